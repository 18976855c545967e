/** Dials another node by Bun's own WebSocket, which follows no redirect. */

import { SignalMeshError } from '../src/errors.ts'
import { DIAL_TIMEOUT_MS, MAX_FRAME_BYTES } from '../src/limits.ts'
import { type Link, makeLink } from '../src/link.ts'
import type { Dialled, DialOptions } from '../src/runtime.ts'
import { CLOSE_TIMEOUT_MS } from './limits.ts'
import { addressesOf } from './reach.ts'
import { LOST, reasonBytes } from './reason.ts'

/** Bun's has more than the standard's. */
interface Socket extends WebSocket {
  terminate(): void
}

const NORMAL = 1000
const UNSUPPORTED_DATA = 1003
const ABNORMAL = 1006
const TOO_LARGE = 1009

/**
 * Opens a link to another node. Bun looks the name up a second time; whoever answers otherwise then
 * gains a handshake that a program which is no node does not know.
 */
export async function dialMesh(url: string, options: DialOptions): Promise<Dialled> {
  const [{ address }] = await addressesOf(url, options)
  const Dialler = WebSocket as unknown as new (url: string, options: object) => Socket
  // Or a server could send little that unpacks to much.
  const ws = new Dialler(url, { perMessageDeflate: false })
  ws.binaryType = 'arraybuffer'
  const link = linkOf(ws)
  const late = setTimeout(() => ws.terminate(), DIAL_TIMEOUT_MS)
  try {
    await new Promise<void>((resolve, reject) => {
      ws.onopen = () => resolve()
      ws.onclose = ({ reason }) => reject(unreachable(url, reason || 'no answer'))
      ws.onerror = (event) => reject(unreachable(url, (event as ErrorEvent).message))
    })
  } finally {
    clearTimeout(late)
  }
  return { link, remoteAddress: address }
}

function linkOf(ws: Socket): Link {
  let ownReason: string | undefined
  let cut: ReturnType<typeof setTimeout> | undefined
  const source = makeLink({
    send: (frame) => ws.send(frame as Uint8Array<ArrayBuffer>),
    bufferedBytes: () => ws.bufferedAmount,
    close: (reason) => end(NORMAL, new TextDecoder().decode(reasonBytes(reason))),
  })
  const end = (code: number, reason: string): void => {
    ownReason ??= reason
    ws.close(code, reason)
    // Bun waits for an answer for as long as it takes.
    cut ??= setTimeout(() => ws.terminate(), CLOSE_TIMEOUT_MS)
  }
  ws.addEventListener('message', ({ data }: MessageEvent<string | ArrayBuffer>) => {
    if (ownReason !== undefined) return
    if (typeof data === 'string') end(UNSUPPORTED_DATA, 'TEXT_FRAME')
    else if (data.byteLength > MAX_FRAME_BYTES) end(TOO_LARGE, 'TOO_LARGE')
    else source.receive(new Uint8Array(data))
  })
  ws.addEventListener('close', ({ code, reason }) => {
    clearTimeout(cut)
    source.end(ownReason ?? (reason || (code === ABNORMAL ? LOST : 'closed')))
  })
  return source.link
}

function unreachable(url: string, why: string): SignalMeshError {
  return new SignalMeshError('HOME_UNREACHABLE', `Cannot dial ${url}: ${why}`)
}
