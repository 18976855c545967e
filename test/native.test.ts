/** WebCrypto asked ahead: it gives libsodium's verdicts, and no answer to another question than was asked. */

import { readFileSync } from 'node:fs'
import fc from 'fast-check'
import sodium from 'sodium-universal'
import { isPlain, keepsRule } from '../src/edge/ed25519.ts'
import { createInTurn } from '../src/edge/inturn.ts'
import { createNative, type Native, type Want } from '../src/edge/native.ts'
import { torsionCases } from './fixtures/torsion.ts'
import { assert, suite } from './harness/suite.ts'

const readVectors = (name: string) =>
  JSON.parse(readFileSync(`${import.meta.dirname}/vectors/${name}.json`, 'utf8'))

interface Signed {
  readonly signature: Uint8Array
  readonly message: Uint8Array
  readonly publicKey: Uint8Array
}

const edgeCases: readonly Signed[] = readVectors('ed25519-edge-cases').cases.map(
  (edge: Record<'signature' | 'message' | 'pub_key', string>) => ({
    signature: hex(edge.signature),
    message: hex(edge.message),
    publicKey: hex(edge.pub_key),
  }),
)
const pinned: { readonly edgeCases: string; readonly smallOrder: readonly string[] } =
  readVectors('ed25519-verdicts')

const test = suite('native', { timeoutMs: 30_000 })
const native = createNative(crypto.subtle)

test('this runtime’s WebCrypto gives the verdicts that were written down', async () => {
  assert.is(await bitsOf(edgeCases), pinned.edgeCases)
  assert.is(await bitsOf(torsionCases()), pinned.smallOrder.join(''))
})

test('it signs, makes keys and agrees on secrets as sodium-native does', async () => {
  for (let i = 0; i < 10; i++) {
    const seed = random(32)
    const message = random(100)
    const publicKey = new Uint8Array(32)
    const secretKey = new Uint8Array(64)
    sodium.crypto_sign_seed_keypair(publicKey, secretKey, seed)
    assert.equal(await answerTo(['public', seed]), publicKey)
    const signature = (await answerTo(['sign', message, secretKey])) as Uint8Array
    assert.ok(sodium.crypto_sign_verify_detached(signature, message, publicKey))
    const own = await pairOf(native)
    const again = new Uint8Array(32)
    sodium.crypto_scalarmult_base(again, own.secretKey)
    assert.equal(own.publicKey, again)
    const shared = new Uint8Array(32)
    const other = await pairOf(native)
    sodium.crypto_scalarmult(shared, own.secretKey, other.publicKey)
    assert.equal(await answerTo(['dh', own.secretKey, other.publicKey]), shared)
  }
})

test('a verdict for other bytes than those asked about is never used', async () => {
  const [first] = torsionCases() as [Signed]
  const good: Want = ['verify', first.signature, first.message, first.publicKey]
  await fc.assert(
    fc.asyncProperty(
      fc.nat(2),
      fc.nat(1000),
      fc.integer({ min: 1, max: 255 }),
      async (part, at, flip) => {
        await native.prepare([good])
        const inputs = [first.signature, first.message, first.publicKey].map((one) => one.slice())
        const altered = inputs[part] as Uint8Array
        altered[at % altered.length]! ^= flip
        assert.is(
          native.take(['verify', ...(inputs as [Uint8Array, Uint8Array, Uint8Array])]),
          undefined,
        )
        const shorter: Want = ['verify', first.signature, new Uint8Array(0), first.publicKey]
        assert.is(native.take(shorter), undefined)
        assert.equal(native.take(good), Uint8Array.of(1), 'its own it still is')
        assert.is(native.take(good), undefined, 'once')
      },
    ),
    { numRuns: 40 },
  )
})

test('who writes over the bytes after asking has asked about what they were', async () => {
  const [{ signature, message, publicKey }] = torsionCases() as [Signed]
  const forged = message.slice()
  const asked = native.prepare([['verify', signature, forged, publicKey]])
  forged[0]! ^= 1
  await asked
  assert.is(native.take(['verify', signature, forged, publicKey]), undefined)
  assert.equal(native.take(['verify', signature, message, publicKey]), Uint8Array.of(1))
})

test('one question is no other’s answer, whatever their bytes', async () => {
  const { secretKey, publicKey } = await pairOf(native)
  await native.prepare([['dh', secretKey, publicKey]])
  assert.is(native.take(['sign', secretKey, publicKey]), undefined)
  assert.is(native.take(['dh', publicKey, secretKey]), undefined)
  assert.is(native.take(['dh', secretKey, publicKey])?.length, 32)
})

test('an implementation that verifies by another rule is not asked', async () => {
  const [good] = torsionCases() as [Signed]
  for (const verdict of [true, false]) {
    const subtle = subtleWith({ verify: async () => verdict })
    assert.not(await keepsRule(async () => verdict))
    const other = createNative(subtle)
    const want: Want = ['verify', good.signature, good.message, good.publicKey]
    await other.prepare([want])
    assert.is(other.take(want), undefined)
  }
})

test('what WebCrypto cannot do is left to who computes it', async () => {
  const fails = async (): Promise<never> => {
    throw new DOMException('not here', 'NotSupportedError')
  }
  const without = createNative(subtleWith({ importKey: fails }))
  const seed = random(32)
  await without.prepare([
    ['public', seed],
    ['dh', seed, seed],
  ])
  assert.is(without.take(['public', seed]), undefined)
  assert.is(without.takePair(), undefined)
  assert.is(without.pairFor('call'), undefined)
  const zeros = new Uint8Array(32)
  await native.prepare([['dh', seed, zeros]])
  assert.is(native.take(['dh', seed, zeros]), undefined, 'a secret of zeros is none')
})

test('a pair that is set aside goes to what it is for, and to nobody else, once', async () => {
  await pairOf(native)
  const pair = await until(() => native.pairFor('caller 1'))
  assert.is(native.pairFor('caller 1'), pair, 'it is asked for again')
  assert.is.not((await pairOf(native)).secretKey, pair.secretKey)
  native.usePair('caller 1')
  assert.is(native.takePair()?.secretKey, pair.secretKey)
  native.usePair('caller 1')
  assert.is.not((await pairOf(native)).secretKey, pair.secretKey, 'a second time it is another')
  assert.is(native.pairFor('caller 1'), undefined)
  assert.is(native.knownPair('caller 1'), pair)
  native.forgetPair('caller 1')
  assert.is(native.knownPair('caller 1'), undefined)
})

test('frames keep their order, whichever are ready first', async () => {
  const done: string[] = []
  const inTurn = createInTurn()
  const first = Promise.withResolvers<void>()
  const add = (name: string, ready?: Promise<void>): void =>
    inTurn.add(
      () => ready,
      () => void done.push(name),
    )
  add('at once')
  assert.equal(done, ['at once'])
  add('late', first.promise)
  add('quick', Promise.resolve())
  add('ready')
  await Promise.resolve()
  assert.equal(done, ['at once'])
  first.resolve()
  await new Promise((resolve) => setTimeout(resolve))
  assert.equal(done, ['at once', 'late', 'quick', 'ready'])
})

test('what is flushed runs in order and only once, ready or not', async () => {
  const done: string[] = []
  const inTurn = createInTurn()
  const never = Promise.withResolvers<void>()
  for (const name of ['a', 'b', 'c']) {
    inTurn.add(
      () => never.promise,
      () => void done.push(name),
    )
  }
  inTurn.flush()
  assert.equal(done, ['a', 'b', 'c'])
  never.resolve()
  await new Promise((resolve) => setTimeout(resolve))
  assert.equal(done, ['a', 'b', 'c'])
})

test.run()

/** As the stand-in does: by the bytes first, then by the answer. */
async function bitsOf(cases: readonly Signed[]): Promise<string> {
  const verdicts = cases.map(async ({ signature, message, publicKey }) => {
    const answer = await answerTo(['verify', signature, message, publicKey])
    return isPlain(signature, publicKey) ? answer?.[0] : 0
  })
  return (await Promise.all(verdicts)).join('')
}

async function answerTo(want: Want): Promise<Uint8Array | undefined> {
  await native.prepare([want])
  return native.take(want)
}

function pairOf(from: Native): Promise<{ publicKey: Uint8Array; secretKey: Uint8Array }> {
  return until(() => from.takePair())
}

async function until<T>(get: () => T | undefined): Promise<T> {
  for (;;) {
    const value = get()
    if (value !== undefined) return value
    await new Promise((resolve) => setTimeout(resolve, 1))
  }
}

function subtleWith(other: Partial<SubtleCrypto>): SubtleCrypto {
  const { subtle } = crypto
  return {
    importKey: subtle.importKey.bind(subtle),
    exportKey: subtle.exportKey.bind(subtle),
    deriveBits: subtle.deriveBits.bind(subtle),
    ...other,
  } as SubtleCrypto
}

function random(length: number): Uint8Array {
  return crypto.getRandomValues(new Uint8Array(length))
}

function hex(text: string): Uint8Array {
  return Uint8Array.from(text.match(/../g) ?? [], (pair) => Number.parseInt(pair, 16))
}
