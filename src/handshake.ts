/** The handshake of a mesh link: Noise XX that proves both NodeIds, then every frame under its keys. */

import { reader, toHex, writer } from './bytes.ts'
import { cardFeatures, doesCarry, takesApps, takesReports } from './carryframes.ts'
import type { Clock } from './clock.ts'
import { KEY_BYTES, type KeyPair, SIGNATURE_BYTES, sign, verify } from './crypto.ts'
import { asMeshError, SignalMeshError } from './errors.ts'
import type { Identity, NodeId } from './identity.ts'
import { LINK_HANDSHAKE_MS, MAX_EARLY_FRAMES, MAX_FRAME_BYTES } from './limits.ts'
import { type Link, makeLink } from './link.ts'
import {
  type Handshake,
  openNext,
  prologue,
  type Split,
  sealNext,
  startHandshake,
  TAG_BYTES,
} from './noise.ts'
import { PROTOCOL_VERSION } from './topic.ts'

export interface SecureLink {
  readonly link: Link
  /** The NodeId that the other side proved. */
  readonly remote: NodeId
  readonly initiator: boolean
  /** Whether the other side carries between edges. */
  readonly carries: boolean
  /** Whether it takes reports of nodes on themselves. */
  readonly reports: boolean
  /** Whether it takes frames of applications. */
  readonly apps: boolean
}

export interface SecureLinkOptions {
  readonly initiator: boolean
  /** Who has to be at the other end; default: any node. */
  readonly wanted?: NodeId | undefined
  readonly identity: Identity
  /** This process's X25519 keys, the static keys of Noise XX. */
  readonly boxKeys: KeyPair
  readonly networkId: Uint8Array
  readonly clock: Clock
  /** Whether this node carries between edges. */
  readonly carries?: boolean
  /** Whether this node takes frames of applications. */
  readonly apps?: boolean
  /** Whether this node takes reports; default: yes. */
  readonly reports?: boolean
}

/** What the other side has shown of itself. */
type Shown = Pick<SecureLink, 'remote' | 'carries' | 'reports' | 'apps'>

const FEATURE_BYTES = 8

/**
 * Secures a raw link.
 * @throws SignalMeshError `BAD_HANDSHAKE`, `BAD_SIGNATURE`, `TIMEOUT`, or `REFUSED` for who is not wanted, with
 * the NodeId as evidence; the raw link is then closed
 */
export async function secureLink(raw: Link, options: SecureLinkOptions): Promise<SecureLink> {
  const handshake = startHandshake({
    pattern: 'XX',
    initiator: options.initiator,
    prologue: prologue('link', [writer(2).u16(PROTOCOL_VERSION).done(), options.networkId]),
    keys: options.boxKeys,
  })
  const frames = frameQueue(raw, options.clock)
  try {
    const shown = await exchange(raw, frames, handshake, options)
    const link = sealedLink(raw, frames, handshake.split as Split)
    return { link, ...shown, initiator: options.initiator }
  } catch (error) {
    const failure = asMeshError(error, 'BAD_HANDSHAKE')
    raw.close(failure.code)
    throw failure
  } finally {
    frames.stop()
    handshake.destroy()
  }
}

async function exchange(
  raw: Link,
  frames: FrameQueue,
  handshake: Handshake,
  options: SecureLinkOptions,
): Promise<Shown> {
  const card = nodeCard(options)
  if (options.initiator) {
    raw.send(handshake.write(new Uint8Array(0)))
    const shown = readCard(handshake, handshake.read(await frames.next()), options)
    raw.send(handshake.write(card))
    return shown
  }
  handshake.read(await frames.next())
  raw.send(handshake.write(card))
  return readCard(handshake, handshake.read(await frames.next()), options)
}

/** What a node shows of itself inside the handshake: its NodeId, which signs the Noise key in use. */
function nodeCard(options: SecureLinkOptions): Uint8Array {
  const body = cardBody(options.identity.keys.publicKey, options.boxKeys.publicKey)
  return writer()
    .bytes(options.identity.keys.publicKey)
    .bytes(sign('link', options.networkId, body, options.identity.keys))
    .bytes(cardFeatures(options.carries ?? false, options.apps ?? false, options.reports))
    .done()
}

function readCard(handshake: Handshake, card: Uint8Array, options: SecureLinkOptions): Shown {
  const r = reader(card)
  const nodeKey = r.bytes(KEY_BYTES)
  const signature = r.bytes(SIGNATURE_BYTES)
  const features = r.bytes(FEATURE_BYTES)
  const body = cardBody(nodeKey, handshake.remoteStatic ?? new Uint8Array(0))
  if (!verify('link', options.networkId, body, signature, nodeKey)) {
    throw new SignalMeshError('BAD_SIGNATURE', 'The other node did not prove its NodeId')
  }
  const remote = toHex(nodeKey)
  if (remote === options.identity.id) {
    throw new SignalMeshError('SELF_CONNECT', 'The other node is this node')
  }
  // Before this side shows who it is.
  if (options.wanted !== undefined && remote !== options.wanted) {
    const text = `There is node ${remote}, not ${options.wanted}`
    throw new SignalMeshError('REFUSED', text, { evidence: nodeKey.slice() })
  }
  return {
    remote,
    carries: doesCarry(features),
    reports: takesReports(features),
    apps: takesApps(features),
  }
}

function cardBody(nodeKey: Uint8Array, boxKey: Uint8Array): Uint8Array {
  return writer(64).bytes(nodeKey).bytes(boxKey).done()
}

interface FrameQueue {
  next(): Promise<Uint8Array>
  /** Ends the waiting and gives the frames that came too early for it. */
  stop(): readonly Uint8Array[]
}

/** The raw link's frames one by one, until the handshake's time is up. */
function frameQueue(raw: Link, clock: Clock): FrameQueue {
  const waiting: Uint8Array[] = []
  let wake: { resolve(frame: Uint8Array): void; reject(error: unknown): void } | undefined
  let failure: SignalMeshError | undefined
  const fail = (error: SignalMeshError): void => {
    failure ??= error
    wake?.reject(failure)
  }
  const unsubscribe = raw.subscribe((frame) => {
    if (wake) wake.resolve(frame)
    else if (waiting.length < MAX_EARLY_FRAMES) waiting.push(frame)
    else fail(new SignalMeshError('TOO_MANY', 'Too many frames came before the handshake was over'))
    wake = undefined
  })
  const cancelTimer = clock.after(LINK_HANDSHAKE_MS, () =>
    fail(new SignalMeshError('TIMEOUT', `No handshake within ${LINK_HANDSHAKE_MS} ms`)),
  )
  void raw.closed.then((reason) =>
    fail(new SignalMeshError('CLOSED', `The link closed during the handshake: ${reason}`)),
  )
  return {
    next: () => {
      if (failure?.code === 'TOO_MANY') return Promise.reject(failure)
      const frame = waiting.shift()
      if (frame) return Promise.resolve(frame)
      if (failure) return Promise.reject(failure)
      return new Promise((resolve, reject) => (wake = { resolve, reject }))
    },
    stop: () => {
      unsubscribe()
      cancelTimer()
      return waiting.splice(0)
    },
  }
}

/** The link as its users see it: frames sealed in order; one that does not open ends the link. */
function sealedLink(raw: Link, frames: FrameQueue, split: Split): Link {
  const { link, receive, end } = makeLink({
    send: (frame) => raw.send(sealNext(split.tx, frame)),
    bufferedBytes: () => raw.bufferedBytes,
    close: (reason) => raw.close(reason),
  })
  let broken = false
  const open = (sealed: Uint8Array): void => {
    if (broken) return
    let frame: Uint8Array
    try {
      if (sealed.length > MAX_FRAME_BYTES + TAG_BYTES) throw tooLarge(sealed.length)
      frame = openNext(split.rx, sealed)
    } catch (error) {
      // Nothing after it is read either, for a close takes its time.
      broken = true
      raw.close(asMeshError(error).code)
      return
    }
    receive(frame)
  }
  // The other side may have sent its first frames right behind the handshake.
  for (const sealed of frames.stop()) open(sealed)
  raw.subscribe(open)
  void raw.closed.then(end)
  return link
}

function tooLarge(bytes: number): SignalMeshError {
  return new SignalMeshError('TOO_LARGE', `A frame of ${bytes} bytes is over ${MAX_FRAME_BYTES}`)
}
