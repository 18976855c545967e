/** A session: one edge's socket at its home node, from the challenge to the goodbye. */

import { toHex, writer } from './bytes.ts'
import type { Carry } from './carry.ts'
import { featuresOf } from './carryframes.ts'
import type { Clock } from './clock.ts'
import { HASH_BYTES, KEY_BYTES, randomBytes, sign } from './crypto.ts'
import { asMeshError, SignalMeshError } from './errors.ts'
import type { IceOffer } from './ice.ts'
import type { Identity, PeerId } from './identity.ts'
import { keepAlive } from './keepalive.ts'
import {
  EDGE_PROOF_MS,
  MAX_BUFFERED_BYTES,
  MAX_FRAME_BYTES,
  REQUESTS_BURST,
  REQUESTS_PER_SECOND,
  SIGNALS_BURST,
  SIGNALS_PER_SECOND,
  STANDBY_MS,
} from './limits.ts'
import type { Link } from './link.ts'
import { decodeProof, encodeBye, encodeHello, encodeWelcome, FRAME } from './messages.ts'
import { checkProof, type ProofOptions } from './proof.ts'
import { type Bucket, createBucket, take } from './rate.ts'
import type { Advert, Presence } from './records.ts'
import { serveEdge } from './requests.ts'
import { answerOnce } from './rpc.ts'
import type { Named, Sample } from './samples.ts'
import { checkSignal, encodeControl, fromKeyOf } from './signal.ts'
import { PROTOCOL_VERSION } from './topic.ts'

/** What a session asks of its node. */
export interface SessionHost extends ProofOptions {
  readonly identity: Identity
  readonly clock: Clock
  /**
   * Counts a socket, by its address, until the returned function is called; throws over the bound.
   * One that is only ready for an edge is counted apart.
   */
  admit(session: Session, isStandby: boolean): () => void
  /** Takes the edge on; throws a typed refusal. `adverts` were checked. */
  join(session: Session, presence: Presence, adverts: readonly Advert[]): void
  leave(session: Session): void
  renew(session: Session, presence: Presence): void
  advertise(session: Session, advert: Advert): void
  unadvertise(session: Session, tag: string): void
  /** What the first frame tells of the topics and the edge that the upgrade named. */
  sample(remoteAddress: string, named: Named): Sample
  discover(tag: string, limit: number): Uint8Array
  lookup(peer: PeerId): Uint8Array
  watch(session: Session, tag: string): void
  unwatch(session: Session, tag: string): void
  signal(session: Session, frame: Uint8Array): void
  /** What passes between edges without a path of their own; without it nothing does. */
  readonly carry?: Pick<Carry, 'isOn' | 'begin' | 'end' | 'fromEdge'>
  /** STUN servers, for anybody who comes. */
  stun(): IceOffer
  /** TURN servers, with credentials for an edge that has proved itself. */
  turn(session: Session): IceOffer
  /** Both. */
  ice(session: Session): IceOffer
  /** Other nodes that an edge which dialled `authority` can reach too. */
  otherHomes(authority: string): readonly string[]
}

export interface Session {
  readonly link: Link
  readonly remoteAddress: string
  /** The proven edge; empty until then. */
  readonly peer: PeerId
  readonly peerKey: Uint8Array
  /** Sends a frame; false if the edge reads too slowly, and is closed for it. */
  send(frame: Uint8Array): boolean
  /** Says why, then closes. */
  end(error: SignalMeshError): void
}

/** Runs a session over an accepted socket until it closes. */
export function runSession(
  link: Link,
  remoteAddress: string,
  host: SessionHost,
  named: Named,
): Session {
  const { clock } = host
  const challenge = randomBytes(HASH_BYTES)
  const hello = encodeHello({
    versions: [PROTOCOL_VERSION],
    features: featuresOf(host.carry?.isOn ?? false),
    nodeKey: host.identity.keys.publicKey,
    networks: [host.networkId],
    challenge,
    nowMs: clock.nowMs(),
    ...host.sample(remoteAddress, named),
    ice: host.stun(),
  })
  let peerKey: Uint8Array | undefined
  let peer = ''
  let over = false
  const signals = createBucket(SIGNALS_PER_SECOND, SIGNALS_BURST)
  const requests = createBucket(REQUESTS_PER_SECOND, REQUESTS_BURST)
  const refusals = createBucket(SIGNALS_PER_SECOND, SIGNALS_BURST)
  const alive = keepAlive(link, clock)
  let release = (): void => {}
  const { isStandby = false } = named
  const proofMs = isStandby ? STANDBY_MS : EDGE_PROOF_MS
  const cancelTimer = clock.after(proofMs, () =>
    session.end(new SignalMeshError('TIMEOUT', `No proof came within ${proofMs} ms`)),
  )

  const session: Session = {
    link,
    remoteAddress,
    get peer() {
      return peer
    },
    get peerKey() {
      return peerKey ?? new Uint8Array(KEY_BYTES)
    },
    send: (frame) => {
      if (over) return false
      if (link.bufferedBytes > MAX_BUFFERED_BYTES) {
        session.end(new SignalMeshError('RATE_LIMITED', 'The edge reads too slowly'))
        return false
      }
      link.send(frame)
      return true
    },
    end: (error) => {
      if (over) return
      link.send(encodeBye(error))
      finish(error.code)
    },
  }

  /** The edge is gone from here on, however long its socket takes to close. */
  const finish = (reason: string): void => {
    over = true
    link.close(reason)
    if (peerKey) host.leave(session)
  }

  const prove = (frame: Uint8Array): void => {
    const proof = decodeProof(frame)
    checkProof(proof, hello, host)
    cancelTimer()
    if (isStandby) {
      release()
      release = host.admit(session, false)
    }
    peerKey = proof.peerKey.slice()
    peer = toHex(peerKey)
    host.join(session, proof.presence, proof.adverts)
    const body = writer(64).bytes(proof.nonce).bytes(challenge).done()
    const signature = sign('node-proof', host.networkId, body, host.identity.keys)
    const otherHomes = host.otherHomes(proof.authority)
    link.send(encodeWelcome({ signature, otherHomes, ice: host.turn(session) }))
  }

  const receive = (frame: Uint8Array): void => {
    if (frame.length === 0 || frame.length > MAX_FRAME_BYTES) {
      throw new SignalMeshError('BAD_FRAME', `A frame of ${frame.length} bytes`)
    }
    if (alive.heard(frame)) return
    if (!peerKey) prove(frame)
    else if (frame[0] === FRAME.signal) {
      const tooMany = tooManyOf(signals, 'signals')
      if (tooMany) refuseSignal(frame, tooMany)
      else host.signal(session, frame)
    } else if (frame[0] === FRAME.carry) countCarried(frame)
    else if (frame[0] === FRAME.rpc) {
      const tooMany = tooManyOf(requests, 'requests')
      const serve = tooMany ? () => Promise.reject(tooMany) : serveEdge(session, host)
      answerOnce(frame, serve, session.send).catch(fail)
    } else if (frame[0] === FRAME.bye) finish('GOODBYE')
    else throw new SignalMeshError('BAD_FRAME', `A frame of unknown kind ${frame[0]}`)
  }

  /** The refusal that is due over a bound. Who goes on in spite of refusals is shown the door. */
  const tooManyOf = (bucket: Bucket, what: string): SignalMeshError | undefined => {
    const retryAfterMs = take(bucket, clock.monotonicMs())
    if (retryAfterMs === 0) return undefined
    const error = new SignalMeshError('RATE_LIMITED', `Too many ${what}`, { retryAfterMs })
    if (take(refusals, clock.monotonicMs()) > 0) throw error
    return error
  }

  /** What was under way when the home stopped carrying is let be; not so who goes on. */
  const countCarried = (frame: Uint8Array): void => {
    if (host.carry?.fromEdge(session, frame)) return
    const retryAfterMs = take(refusals, clock.monotonicMs())
    if (retryAfterMs === 0) return
    throw new SignalMeshError('RATE_LIMITED', 'Too much that is not carried', { retryAfterMs })
  }

  const refuseSignal = (frame: Uint8Array, error: SignalMeshError): void => {
    checkSignal(host.networkId, frame)
    fromKeyOf(frame).set(session.peerKey)
    session.send(encodeControl(host.networkId, frame, error, host.identity.keys.publicKey))
  }

  const fail = (error: unknown): void => session.end(asMeshError(error))

  link.subscribe((frame) => {
    // A socket that is being closed may still bring frames for a while.
    if (over) return
    try {
      receive(frame)
    } catch (error) {
      fail(error)
    }
  })
  void link.closed.then(() => {
    cancelTimer()
    alive.stop()
    release()
    finish('closed')
  })
  try {
    release = host.admit(session, isStandby)
    link.send(hello)
  } catch (error) {
    fail(error)
  }
  return session
}
