/** One play of a hostile home: the edge that it has, what that said, and other edges with their keys. */

import { reader } from '../../src/bytes.ts'
import { boxKeyPair, type KeyPair } from '../../src/crypto.ts'
import type { Edge } from '../../src/edge/mod.ts'
import type { Sealing } from '../../src/edge/sealing.ts'
import type { Identity } from '../../src/identity.ts'
import { type Link, linkPair } from '../../src/link.ts'
import { FRAME } from '../../src/messages.ts'
import { type Advert, type Presence, signAdvert, signPresence } from '../../src/records.ts'
import { topicTag } from '../../src/topic.ts'
import { identityOf, NETWORK } from '../../test/fixtures/samples.ts'
import { editIf, type Step } from './program.ts'
import { TOPIC, type World } from './world.ts'

export interface Play {
  readonly world: World
  readonly evil: Identity
  /** The socket of the edge that is open now. */
  link: Link | undefined
  challenge: Uint8Array
  /** What the edge has said, newest last. */
  proof: Uint8Array | undefined
  readonly asked: Uint8Array[]
  readonly signals: Uint8Array[]
  readonly calls: { sealing: Sealing; from: Identity; counter: number; acks: number }[]
  last: Uint8Array | undefined
  edge: Edge | undefined
  readonly doings: Set<Promise<unknown>>
  readonly troubles: unknown[]
  over: boolean
}

export type Do = (play: Play, step: Step) => void | Promise<void>
export const EVIL_URL = 'http://127.0.0.1:4999'
export const TAG: Uint8Array = topicTag('main', TOPIC)
export const TTL_MS = 7_200_000
/** Other edges, with their sessions' keys. */
export const PEERS: readonly (Identity & { readonly boxKeys: KeyPair })[] = [951, 952, 953].map(
  (n) => ({
    ...identityOf(n),
    boxKeys: boxKeyPair(),
  }),
)
export const peerOf = (arg: number): (typeof PEERS)[0] =>
  PEERS[arg % PEERS.length] as (typeof PEERS)[0]

export function presenceOf(play: Play, peer: (typeof PEERS)[0]): Presence {
  return signPresence(NETWORK, peer.keys, {
    homeKey: play.evil.keys.publicKey,
    boxKey: peer.boxKeys.publicKey,
    seq: play.world.mesh.clock.nowMs(),
    ttlMs: TTL_MS,
  })
}

export function advertOf(play: Play, peer: (typeof PEERS)[0]): Advert {
  const seq = play.world.mesh.clock.nowMs()
  return signAdvert(NETWORK, peer.keys, { tag: TAG, info: new Uint8Array(4), seq, ttlMs: TTL_MS })
}

export function dial(play: Play, url: string): Link {
  const { host } = new URL(url)
  if (host === new URL(play.world.mesh.urlOf(play.world.node)).host) return play.world.dial()
  const [near, far] = linkPair()
  if (play.over || host !== new URL(EVIL_URL).host) {
    far.close('refused')
    return near
  }
  play.link = far
  play.proof = undefined
  far.subscribe((frame) => {
    if (frame[0] === FRAME.proof) play.proof = frame
    if (frame[0] === FRAME.rpc && reader(frame.subarray(1)).u32() % 2 === 0) play.asked.push(frame)
    if (frame[0] === FRAME.signal) play.signals.push(frame)
  })
  return near
}

export function say(play: Play, frame: Uint8Array, step: Step): void {
  play.last = editIf(step, false, frame)
  play.link?.send(play.last)
}
