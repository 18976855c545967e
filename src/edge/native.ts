/**
 * Native: Ed25519 and X25519 of WebCrypto, which is asked ahead and answers later. Code that cannot wait
 * finds the answers here by the exact bytes that it asks about; what is not here it computes itself.
 */

import { equal, fromHex } from '../bytes.ts'
import { MAX_NATIVE_ANSWERS, MAX_NATIVE_PAIRS } from '../limits.ts'
import { keepsRule } from './ed25519.ts'

/** What will be asked for soon: what of, and all that goes into it. */
export type Want =
  | readonly ['verify', signature: Uint8Array, message: Uint8Array, publicKey: Uint8Array]
  /** Under a seed with the public key behind it, as libsodium has it. */
  | readonly ['sign', message: Uint8Array, secretKey: Uint8Array]
  /** The public key of a seed of Ed25519. */
  | readonly ['public', seed: Uint8Array]
  | readonly ['dh', secretKey: Uint8Array, publicKey: Uint8Array]

export interface Pair {
  readonly publicKey: Uint8Array
  readonly secretKey: Uint8Array
}

export interface Native {
  /** Asks for all at once; settles when all is there that will come. */
  prepare(wants: readonly Want[]): Promise<void>
  /** The answer to this very question, which is then forgotten; a verdict is 1 or 0. */
  take(want: Want): Uint8Array | undefined
  /** A pair of X25519 that nobody else has; `undefined` while none is ready. */
  takePair(): Pair | undefined
  /** The pair set aside under this name, if need be now. */
  pairFor(name: string): Pair | undefined
  /** The pair that was set aside under this name. */
  knownPair(name: string): Pair | undefined
  /** The next that is taken is the one set aside under this name; only once. */
  usePair(name: string): void
  forgetPair(name: string): void
}

interface Answer {
  readonly want: Want
  readonly result: Uint8Array
}

/** Pairs that are ready before anybody needs one. */
const POOL_PAIRS = 3
/** Of its own secret keys a page uses few. */
const IMPORTED_KEYS = 8
const BASE_POINT: Uint8Array = Uint8Array.of(9, ...new Uint8Array(31))
/** Private keys in PKCS #8, but for their 32 bytes (RFC 8410). */
const PKCS8 = {
  Ed25519: fromHex('302e020100300506032b657004220420'),
  X25519: fromHex('302e020100300506032b656e04220420'),
} as const

type Bytes = Uint8Array<ArrayBuffer>

export function createNative(subtle: SubtleCrypto): Native {
  const answers: Answer[] = []
  const imported: { readonly secret: Bytes; readonly key: Promise<CryptoKey> }[] = []
  const pool: Pair[] = []
  const kept = new Map<string, { readonly pair: Pair; isUsed: boolean }>()
  let making = 0

  const privateKey = (name: keyof typeof PKCS8, secret: Bytes): Promise<CryptoKey> => {
    const at = imported.findIndex((one) => equal(one.secret, secret))
    const [known] = imported.splice(at, at < 0 ? 0 : 1)
    if (known) {
      // The one last used comes last.
      imported.push(known)
      return known.key
    }
    const isEd = name === 'Ed25519'
    const pkcs8 = Uint8Array.of(...PKCS8[name], ...secret)
    const key = subtle.importKey('pkcs8', pkcs8, name, isEd, [isEd ? 'sign' : 'deriveBits'])
    imported.push({ secret, key })
    if (imported.length > IMPORTED_KEYS) imported.shift()
    return key
  }

  const verify = async (signature: Bytes, message: Bytes, publicKey: Bytes): Promise<boolean> => {
    const key = await subtle.importKey('raw', publicKey, 'Ed25519', false, ['verify'])
    return subtle.verify('Ed25519', key, signature, message)
  }

  const dh = async (secretKey: Bytes, publicKey: Bytes): Promise<Bytes> => {
    const [own, other] = await Promise.all([
      privateKey('X25519', secretKey),
      subtle.importKey('raw', publicKey, 'X25519', false, []),
    ])
    return new Uint8Array(await subtle.deriveBits({ name: 'X25519', public: other }, own, 256))
  }

  const publicOf = async (seed: Bytes): Promise<Bytes> => {
    const { x = '' } = await subtle.exportKey('jwk', await privateKey('Ed25519', seed))
    const text = atob(x.replaceAll('-', '+').replaceAll('_', '/'))
    return Uint8Array.from(text, (character) => character.charCodeAt(0))
  }

  const sign = async (message: Bytes, secretKey: Bytes): Promise<Bytes> =>
    new Uint8Array(
      await subtle.sign('Ed25519', await privateKey('Ed25519', secretKey.slice(0, 32)), message),
    )

  /** Implementations differ in what they let pass; one with another rule is not asked. */
  const isAlike = Promise.resolve()
    .then(() => keepsRule(verify))
    .catch(() => false)

  const answerTo = async ([kind, ...[a, b, c]]: readonly [string, ...Bytes[]]): Promise<Bytes> => {
    if (kind === 'sign') return sign(a as Bytes, b as Bytes)
    if (kind === 'dh') return dh(a as Bytes, b as Bytes)
    if (kind === 'public') return publicOf(a as Bytes)
    if (!(await isAlike)) throw new Error('It verifies by another rule')
    return Uint8Array.of(Number(await verify(a as Bytes, b as Bytes, c as Bytes)))
  }

  const prepare = async (given: Want): Promise<void> => {
    const [kind, ...inputs] = given
    // As they are now: who asks may write over them.
    const want = [kind, ...inputs.map((input) => Uint8Array.from(input))] as const
    try {
      answers.push({ want: want as unknown as Want, result: await answerTo(want) })
      if (answers.length > MAX_NATIVE_ANSWERS) answers.shift()?.result.fill(0)
    } catch {
      // Whoever asks computes it, and fails there if that fails.
    }
  }

  const makePair = async (): Promise<void> => {
    making += 1
    try {
      const secretKey = crypto.getRandomValues(new Uint8Array(32))
      pool.push({ publicKey: await dh(secretKey, BASE_POINT as Bytes), secretKey })
    } catch {
      // They are made where they are needed.
    } finally {
      making -= 1
    }
  }

  const fill = (): void => {
    while (pool.length + making < POOL_PAIRS) void makePair()
  }

  const takePair = (): Pair | undefined => {
    const pair = pool.shift()
    fill()
    return pair
  }

  const forgetPair = (name: string): void => void kept.delete(name)

  // Behind what is asked for in this turn, which somebody waits for.
  queueMicrotask(fill)
  return {
    prepare: async (wants) => void (await Promise.all(wants.map(prepare))),
    take: (want) => {
      const at = answers.findIndex((one) => isSame(one.want, want))
      return answers.splice(at, at < 0 ? 0 : 1)[0]?.result
    },
    takePair,
    pairFor: (name) => {
      const known = kept.get(name)
      if (known) return known.isUsed ? undefined : known.pair
      const pair = takePair()
      if (!pair) return undefined
      kept.set(name, { pair, isUsed: false })
      const [eldest] = kept.keys()
      if (eldest !== undefined && kept.size > MAX_NATIVE_PAIRS) forgetPair(eldest)
      return pair
    },
    knownPair: (name) => kept.get(name)?.pair,
    usePair: (name) => {
      const known = kept.get(name)
      if (!known || known.isUsed) return
      known.isUsed = true
      pool.unshift(known.pair)
    },
    forgetPair,
  }
}

function isSame(a: Want, b: Want): boolean {
  return a.length === b.length && a.every((part, i) => areEqual(part, b[i]))
}

function areEqual(a: string | Uint8Array, b: string | Uint8Array | undefined): boolean {
  return typeof a === 'string' || typeof b !== 'object' ? a === b : equal(a, b)
}

let hasFallback = false
let native: Native | undefined

/** The stand-in for libsodium asks for what is ready; libsodium itself needs none of it. */
export function nativeForFallback(): { readonly now: Native | undefined } {
  hasFallback = true
  return {
    get now() {
      return native
    },
  }
}

/** WebCrypto, where there is somebody whom it can help, and the page may ask it: over https, or on its own machine. */
export function startNative(): Native | undefined {
  const subtle = globalThis.crypto?.subtle
  if (hasFallback && subtle) native ??= createNative(subtle)
  return native
}

/** Asks for what is wanted; `undefined` where there is nobody to ask, or nothing to wait for. */
export function prepare(wants: (native: Native) => readonly Want[]): Promise<void> | undefined {
  const all = native ? wants(native) : []
  return all.length > 0 ? native?.prepare(all) : undefined
}

/** The pair that was set aside under this name is the next one taken. */
export function usePair(name: string): void {
  native?.usePair(name)
}

export function forgetPair(name: string): void {
  native?.forgetPair(name)
}
