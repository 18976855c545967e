/** Warming: does once in vain what connecting takes, so that the runtime has compiled it when somebody waits. */

import type { Clock } from '../clock.ts'
import { boxKeyPair, type KeyPair, randomBytes, sign, signingKeyPair, verify } from '../crypto.ts'
import { cipherKey, type Handshake, openAt, sealAt, startHandshake } from '../noise.ts'
import { startNative } from './native.ts'

/** How often each part is done: the first time is interpreted, some later one compiled. */
const ROUNDS = 3
/** A node that is near has said hello by then, and is to be answered first. */
const NEAR_MS = 20
/** Between two parts, for what has come meanwhile. */
const GAP_MS = 2
/** After joining a page has other things to do first. */
const REST_MS = 150

export interface Warming {
  /** Somebody waits for other work. */
  pause(): void
  /** Goes on a little later. */
  resume(): void
}

/** Begins soon; one part is done at a time, and what has come meanwhile goes before the next. */
export function startWarming(clock: Clock, parts: readonly (() => void)[] = allParts()): Warming {
  let done = 0
  let cancel: (() => void) | undefined
  const next = (): void => {
    cancel = undefined
    parts[done++]?.()
    if (done < parts.length) after(GAP_MS)
  }
  const after = (ms: number): void => {
    cancel ??= clock.after(ms, next)
  }
  after(NEAR_MS)
  return {
    pause: () => {
      cancel?.()
      cancel = undefined
    },
    resume: () => {
      if (done < parts.length) after(REST_MS)
    },
  }
}

function allParts(): (() => void)[] {
  // Keys and signatures are WebCrypto's then, and nothing compiled is called.
  const parts = startNative() ? [warmHashing] : [warmSigning, warmSealing]
  const again = Array.from({ length: ROUNDS - 1 }, () => parts)
  return [...parts, warmRtc, ...again.flat()]
}

const NETWORK = new Uint8Array(32)
const BYTES = new Uint8Array(512)
const NO_KEYS: KeyPair = { publicKey: NETWORK, secretKey: NETWORK }
/** A handshake that is only begun hashes a few times. */
const HASHINGS = 8

function warmSigning(): void {
  const keys = signingKeyPair(randomBytes(32))
  const signature = sign('presence', NETWORK, BYTES, keys)
  verify('presence', NETWORK, BYTES, signature, keys.publicKey)
}

const ABOUT = { pattern: 'IK', prologue: BYTES } as const

/** Both ends of a handshake between keys that nobody else has, and a frame under one more. */
function warmSealing(): void {
  const [own, other] = [boxKeyPair(), boxKeyPair()]
  const caller = startCall(own, other.publicKey)
  const called = startHandshake({ ...ABOUT, initiator: false, keys: other })
  called.read(caller.write(BYTES))
  caller.read(called.write(BYTES))
  caller.destroy()
  called.destroy()
  sealOne()
}

/** The same as far as it goes without a secret to share. */
function warmHashing(): void {
  for (let i = 0; i < HASHINGS; i++) startCall(NO_KEYS, BYTES.subarray(0, 32)).destroy()
  sealOne()
}

function startCall(keys: KeyPair, remoteStatic: Uint8Array): Handshake {
  return startHandshake({ ...ABOUT, initiator: true, keys, remoteStatic })
}

function sealOne(): void {
  const key = cipherKey(randomBytes(32))
  openAt(key, 0, BYTES, sealAt(key, 0, BYTES, BYTES))
}

/** The first connection of a page starts what all of them share. Nothing is sent. */
function warmRtc(): void {
  if (typeof RTCPeerConnection !== 'function') return
  const connection = new RTCPeerConnection({ iceServers: [] })
  connection.createDataChannel('')
  connection.close()
}
