/** Noise: the published vectors, and the guards that noise-protocol leaves to its callers. */

import { existsSync, readFileSync } from 'node:fs'
import fc from 'fast-check'
import { fromUtf8, utf8 } from '../src/bytes.ts'
import { boxKeyPair } from '../src/crypto.ts'
import { MAX_NOISE_BYTES } from '../src/limits.ts'
import {
  type CipherKey,
  cipherKey,
  type Handshake,
  isRemote,
  openAt,
  openNext,
  prologue,
  sealAt,
  sealNext,
  startHandshake,
  TAG_BYTES,
} from '../src/noise.ts'
import { codeOf } from './fixtures/errors.ts'
import { type NoiseVector, playNoise } from './fixtures/sealing.ts'
import { assert, suite } from './harness/suite.ts'

const NOTHING = new Uint8Array(0)
const vectorsFile = `${import.meta.dirname}/vectors/noise.json`

const test = suite('noise', { timeoutMs: 20_000 })

if (existsSync(vectorsFile)) {
  const { vectors }: { vectors: readonly NoiseVector[] } = JSON.parse(
    readFileSync(vectorsFile, 'utf8'),
  )
  test('plays the published vectors of XX, IK and N, handshake and transport, byte for byte', () => {
    assert.ok(vectors.length >= 3)
    for (const vector of vectors) assert.equal(playNoise(vector), vector.messages)
  })
} else {
  test.skip('plays the published vectors', `${vectorsFile} is not there`)
}

for (const pattern of ['XX', 'IK'] as const) {
  test(`ends ${pattern} with keys that fit, equal hashes and each other’s static key`, () => {
    const { caller, callee, keys } = pair(pattern)
    const read = converse(pattern, caller, callee)
    assert.equal(read, ['payload 0', 'payload 1', 'payload 2'].slice(0, read.length))
    assert.equal(caller.hash(), callee.hash())
    assert.ok(isRemote(caller, keys.callee.publicKey))
    assert.ok(isRemote(callee, keys.caller.publicKey))
    assert.not(isRemote(callee, keys.callee.publicKey))
    const sealed = sealNext(tx(caller), utf8('to the callee'))
    assert.is(fromUtf8(openNext(rx(callee), sealed)), 'to the callee')
    const back = sealNext(tx(callee), utf8('to the caller'))
    assert.is(fromUtf8(openNext(rx(caller), back)), 'to the caller')
    assert.not(caller.split?.tx.state.join() === caller.split?.rx.state.join())
  })

  test(`reads the genuine message of ${pattern} after any forged one`, () => {
    const messages = pattern === 'XX' ? 3 : 2
    for (let forgedAt = 0; forgedAt < messages; forgedAt++) {
      const { caller, callee } = pair(pattern)
      for (let i = 0; i < messages; i++) {
        const [from, to] = i % 2 === 0 ? [caller, callee] : [callee, caller]
        const genuine = from.write(utf8(`payload ${i}`))
        // The first message of XX is all in clear: whatever has its length reads well.
        if (i === forgedAt && !(pattern === 'XX' && i === 0)) refusesForgeries(to, genuine)
        assert.is(fromUtf8(to.read(genuine)), `payload ${i}`)
      }
      assert.equal(caller.hash(), callee.hash())
      assert.is(fromUtf8(openNext(rx(callee), sealNext(tx(caller), utf8('hello')))), 'hello')
    }
  })

  test(`refuses every truncation of each message of ${pattern}`, () => {
    const { caller, callee } = pair(pattern)
    for (const [i, [from, to]] of turns(pattern, caller, callee).entries()) {
      const message = from.write(utf8(`payload ${i}`))
      const whole = pattern === 'XX' && i === 0 ? 32 : message.length
      for (let length = 0; length < whole; length++) {
        assert.is(
          codeOf(() => to.read(message.slice(0, length))),
          'BAD_HANDSHAKE',
        )
      }
      to.read(message)
    }
    assert.ok(caller.split && callee.split)
  })

  test(`gives no keys where the prologues of ${pattern} differ`, () => {
    const { caller, callee } = pair(pattern, prologue('link', [utf8('other')]))
    assert.is(
      codeOf(() => converse(pattern, caller, callee)),
      'BAD_HANDSHAKE',
    )
    assert.is(callee.split, undefined)
  })

  test(`leaves the static keys of ${pattern} as they were, for the next handshake`, () => {
    const keys = { caller: boxKeyPair(), callee: boxKeyPair() }
    for (let round = 0; round < 3; round++) {
      const { caller, callee } = pair(pattern, undefined, keys)
      converse(pattern, caller, callee)
      caller.destroy()
      callee.destroy()
    }
  })
}

test('does not read its own message when it is thrown back', () => {
  for (const pattern of ['XX', 'IK'] as const) {
    const { caller } = pair(pattern)
    const message = caller.write(utf8('payload'))
    assert.is(
      codeOf(() => caller.read(message)),
      'BAD_HANDSHAKE',
    )
  }
})

test('does not read a message of another handshake between the same two', () => {
  const first = pair('IK')
  const second = pair('IK', undefined, first.keys)
  const opening = first.caller.write(utf8('one'))
  second.caller.write(utf8('two'))
  first.callee.read(opening)
  const answer = first.callee.write(utf8('answer'))
  assert.is(
    codeOf(() => second.caller.read(answer)),
    'BAD_HANDSHAKE',
  )
  assert.is(fromUtf8(first.caller.read(answer)), 'answer')
})

test('noise-protocol is pinned to the one version that was tried', () => {
  const read = (file: string) =>
    JSON.parse(readFileSync(`${import.meta.dirname}/../${file}`, 'utf8'))
  const { dependencies } = read('package.json')
  assert.match(dependencies['noise-protocol'], /^\d+\.\d+\.\d+$/)
  assert.is(
    read('node_modules/noise-protocol/package.json').version,
    dependencies['noise-protocol'],
  )
})

test('takes a payload up to Noise’s 65,535 bytes of message, and none above', () => {
  const { caller, callee } = pair('IK')
  const most = MAX_NOISE_BYTES - 32 - 32 - 2 * TAG_BYTES
  assert.is(
    codeOf(() => caller.write(new Uint8Array(most + 1))),
    'TOO_LARGE',
  )
  const message = caller.write(new Uint8Array(most))
  assert.is(message.length, MAX_NOISE_BYTES)
  assert.is(
    codeOf(() => callee.read(new Uint8Array(MAX_NOISE_BYTES + 1))),
    'TOO_LARGE',
  )
  assert.is(callee.read(message).length, most)
})

test('derives early keys that are equal on both ends, one for each label, and change with time', () => {
  const secret = utf8('a secret')
  const { caller, callee } = pair('IK')
  const before = caller.derive('early-initiator', secret).state
  callee.read(caller.write(utf8('offer')))
  const labels = ['early-initiator', 'early-responder']
  const ours = labels.map((label) => caller.derive(label, secret).state)
  assert.equal(
    labels.map((label) => callee.derive(label, secret).state),
    ours,
  )
  assert.not.equal(ours[0], ours[1])
  assert.not.equal(ours[0], before, 'before message 1 anybody could derive it')
  const header = utf8('header')
  const sealed = sealAt(caller.derive('early-initiator', secret), 3, header, utf8('candidate'))
  const opened = openAt(callee.derive('early-initiator', secret), 3, header, sealed)
  assert.is(fromUtf8(opened), 'candidate')
  const other = callee.derive('early-initiator', utf8('another')).state
  assert.not.equal(other, ours[0], 'who has another secret has another key')
  caller.read(callee.write(utf8('answer')))
  assert.ok(caller.split && callee.split, 'early keys take nothing from the handshake')
})

test('opens what was sealed under a counter only with the same key, counter, header and bytes', () => {
  const key = cipherKey(new Uint8Array(32).fill(1))
  const other = cipherKey(new Uint8Array(32).fill(2))
  fc.assert(
    fc.property(
      fc.nat(2 ** 32 + 1000),
      fc.uint8Array({ maxLength: 40, size: 'max' }),
      fc.uint8Array({ maxLength: 90, size: 'max' }),
      fc.nat(),
      (counter, header, plain, at) => {
        const sealed = sealAt(key, counter, header, plain)
        assert.is(sealed.length, plain.length + TAG_BYTES)
        assert.equal(openAt(key, counter, header, sealed), plain)
        const altered = sealed.slice()
        altered[at % sealed.length]! ^= 0x10
        for (const open of [
          () => openAt(key, counter, header, altered),
          () => openAt(key, counter + 1, header, sealed),
          () => openAt(other, counter, header, sealed),
          () => openAt(key, counter, Uint8Array.of(...header, 0), sealed),
          () => openAt(key, counter, header, sealed.slice(0, at % sealed.length)),
        ]) {
          assert.is(codeOf(open), 'BAD_FRAME')
        }
      },
    ),
    { numRuns: 60 },
  )
})

test('tells counters apart also where they differ by 2^32', () => {
  const key = cipherKey(new Uint8Array(32).fill(1))
  const sealed = sealAt(key, 5, NOTHING, utf8('x'))
  assert.is(
    codeOf(() => openAt(key, 5 + 2 ** 32, NOTHING, sealed)),
    'BAD_FRAME',
  )
})

test('opens frames in their order alone: none twice, none left out', () => {
  const [tx, rx] = [cipherKey(new Uint8Array(32).fill(1)), cipherKey(new Uint8Array(32).fill(1))]
  const frames = ['a', 'b', 'c'].map((text) => sealNext(tx, utf8(text)))
  assert.is(fromUtf8(openNext(rx, frames[0]!)), 'a')
  assert.is(
    codeOf(() => openNext(rx, frames[0]!)),
    'BAD_FRAME',
    'replayed',
  )
  assert.is(
    codeOf(() => openNext(rx, frames[2]!)),
    'BAD_FRAME',
    'one left out',
  )
  assert.is(
    codeOf(() => openNext(rx, frames[1]!.slice(0, 15))),
    'BAD_FRAME',
    'cut short',
  )
  assert.is(fromUtf8(openNext(rx, frames[1]!)), 'b', 'a bad frame does not move the counter')
})

test.run()

interface Keys {
  readonly caller: ReturnType<typeof boxKeyPair>
  readonly callee: ReturnType<typeof boxKeyPair>
}

function pair(
  pattern: 'XX' | 'IK',
  calleePrologue = prologue('link', [utf8('same')]),
  keys: Keys = { caller: boxKeyPair(), callee: boxKeyPair() },
): { caller: Handshake; callee: Handshake; keys: Keys } {
  const caller = startHandshake({
    pattern,
    initiator: true,
    prologue: prologue('link', [utf8('same')]),
    keys: keys.caller,
    ...(pattern === 'IK' ? { remoteStatic: keys.callee.publicKey } : {}),
  })
  const callee = startHandshake({
    pattern,
    initiator: false,
    prologue: calleePrologue,
    keys: keys.callee,
  })
  return { caller, callee, keys }
}

function turns(pattern: 'XX' | 'IK', caller: Handshake, callee: Handshake) {
  const there = [caller, callee] as const
  const back = [callee, caller] as const
  return pattern === 'XX' ? [there, back, there] : [there, back]
}

/** Plays the whole handshake; what each message's reader read. */
function converse(pattern: 'XX' | 'IK', caller: Handshake, callee: Handshake): string[] {
  return turns(pattern, caller, callee).map(([from, to], i) =>
    fromUtf8(to.read(from.write(utf8(`payload ${i}`)))),
  )
}

function refusesForgeries(to: Handshake, genuine: Uint8Array): void {
  for (const at of [0, 31, 40, genuine.length - 1]) {
    const forged = genuine.slice()
    forged[at % forged.length]! ^= 1
    assert.is(
      codeOf(() => to.read(forged)),
      'BAD_HANDSHAKE',
      `byte ${at}`,
    )
  }
  assert.is(
    codeOf(() => to.read(genuine.slice(0, -1))),
    'BAD_HANDSHAKE',
  )
  assert.is(
    codeOf(() => to.read(NOTHING)),
    'BAD_HANDSHAKE',
  )
  assert.is(
    codeOf(() => to.read(new Uint8Array(genuine.length))),
    'BAD_HANDSHAKE',
  )
}

function tx(handshake: Handshake): CipherKey {
  return handshake.split!.tx
}

function rx(handshake: Handshake): CipherKey {
  return handshake.split!.rx
}
