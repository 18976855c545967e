/** Anchors: two neighbours remembered over a restart, so that nobody can surround a node that starts. */

import { concat, equal, fromHex, reader, toHex, writer } from './bytes.ts'
import { hashNames, KEY_BYTES } from './crypto.ts'
import { asMeshError, SignalMeshError } from './errors.ts'
import type { NodeId } from './identity.ts'
import { MAX_ANCHORS } from './limits.ts'
import type { Log } from './log.ts'
import type { Store } from './runtime.ts'

export interface Anchor {
  readonly node: NodeId
  /** Under which it can be dialled on the DHT. */
  readonly dhtKey: Uint8Array
}

export interface Anchors {
  /** Those kept by the last process. */
  readonly kept: readonly Anchor[]
  /** Keeps the first of these, and former ones in the places that are left. */
  keep(best: readonly Anchor[]): void
}

const ANCHORS_FILE = 'anchors'
const FORMAT = 1
const CHECK_BYTES = 8

/** What was kept; a damaged file is as good as none, since a node meets others without it too. */
export async function loadAnchors(store: Store, log: Log): Promise<Anchors> {
  const kept = await readAnchors(store, log)
  let now = kept
  let writing = Promise.resolve()
  return {
    kept,
    keep: (best) => {
      const others = now.filter(({ node }) => !best.some((anchor) => anchor.node === node))
      const next = [...best, ...others].slice(0, MAX_ANCHORS)
      const bytes = encodeAnchors(next)
      if (equal(bytes, encodeAnchors(now))) return
      now = next
      // One after the other, or an older list could be kept last.
      writing = writing
        .then(() => store.write(ANCHORS_FILE, bytes))
        .catch((error: unknown) => {
          log.warn('Could not keep the anchors', { why: asMeshError(error).message })
        })
    },
  }
}

async function readAnchors(store: Store, log: Log): Promise<readonly Anchor[]> {
  try {
    const bytes = await store.read(ANCHORS_FILE)
    return bytes ? decodeAnchors(bytes) : []
  } catch (error) {
    const { code, message } = asMeshError(error)
    log.warn('Ignored the kept anchors', { code, why: message })
    return []
  }
}

export function encodeAnchors(anchors: readonly Anchor[]): Uint8Array {
  const w = writer().u8(FORMAT).u8(anchors.length)
  for (const { node, dhtKey } of anchors) w.bytes(fromHex(node)).bytes(dhtKey)
  const body = w.done()
  return concat(body, checkOf(body))
}

/** @throws SignalMeshError `DATA_UNREADABLE` */
export function decodeAnchors(bytes: Uint8Array): readonly Anchor[] {
  const body = bytes.subarray(0, Math.max(0, bytes.length - CHECK_BYTES))
  // A few bytes of hash tell a damaged file from a good one.
  if (!equal(bytes.subarray(body.length), checkOf(body))) throw damaged()
  const r = reader(body)
  const isKnown = r.u8() === FORMAT
  const count = r.u8()
  if (!isKnown || count > MAX_ANCHORS) throw damaged()
  const anchors = Array.from({ length: count }, () => ({
    node: toHex(r.bytes(KEY_BYTES)),
    dhtKey: r.bytes(KEY_BYTES).slice(),
  }))
  r.end()
  return anchors
}

function checkOf(body: Uint8Array): Uint8Array {
  return hashNames('anchors-check', [body]).subarray(0, CHECK_BYTES)
}

function damaged(): SignalMeshError {
  return new SignalMeshError('DATA_UNREADABLE', 'The kept anchors are damaged')
}
