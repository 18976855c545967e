/** What goes over a shared socket: the frames of several sessions, each behind the number of its own. */

import { badFrame, reader, writer } from './bytes.ts'
import { MAX_FRAME_BYTES, MAX_QUERY_BYTES, MAX_REASON_BYTES } from './limits.ts'

const KIND = { open: 1, frame: 2, close: 3 } as const

export type MuxFrame =
  /** Begins a session; the query is what the URL of a socket of its own would have. */
  | { readonly kind: 'open'; readonly session: number; readonly query: string }
  | { readonly kind: 'frame'; readonly session: number; readonly frame: Uint8Array }
  | { readonly kind: 'close'; readonly session: number; readonly reason: string }

export function encodeMuxFrame(mux: MuxFrame): Uint8Array {
  const w = writer(mux.kind === 'frame' ? 5 + mux.frame.length : 64)
  w.u8(KIND[mux.kind]).u32(mux.session)
  if (mux.kind === 'frame') return w.bytes(mux.frame).done()
  // A letter takes up to four bytes.
  const text = mux.kind === 'open' ? mux.query : mux.reason.slice(0, MAX_REASON_BYTES / 4)
  return w.text(text).done()
}

/** @throws SignalMeshError `BAD_FRAME` */
export function decodeMuxFrame(bytes: Uint8Array): MuxFrame {
  if (bytes.length > MAX_FRAME_BYTES) throw badFrame(`a frame of ${bytes.length} bytes`)
  const r = reader(bytes)
  const kind = r.u8()
  const session = r.u32()
  if (kind === KIND.frame) return { kind: 'frame', session, frame: r.rest() }
  if (kind === KIND.open) {
    const query = r.text(MAX_QUERY_BYTES)
    r.end()
    return { kind: 'open', session, query }
  }
  if (kind !== KIND.close) throw badFrame(`a kind of ${kind} in a shared socket`)
  const reason = r.text(MAX_REASON_BYTES)
  r.end()
  return { kind: 'close', session, reason }
}
