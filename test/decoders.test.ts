/** Every decoder, fed with every truncation and extension of valid bytes, and with rubbish. */

import fc from 'fast-check'
import { decodeBatch, decodeHead } from '../src/batch.ts'
import { concat, reader } from '../src/bytes.ts'
import { decodeCarryEnd, decodePlace } from '../src/carryframes.ts'
import { decodeProof as decodeCharge } from '../src/equivocation.ts'
import { readPacket } from '../src/gossip.ts'
import {
  decodeBye,
  decodeFound,
  decodeHello,
  decodeProof,
  decodePush,
  decodeWelcome,
  readError,
} from '../src/messages.ts'
import { decodeMuxFrame } from '../src/muxframes.ts'
import { decodeAdvert, decodePresence } from '../src/records.ts'
import { decodeReport } from '../src/report.ts'
import { checkSignal, readControl } from '../src/signal.ts'
import { encodeWord, readWord } from '../src/tree.ts'
import { codeOf } from './fixtures/errors.ts'
import { NETWORK, samples } from './fixtures/samples.ts'
import { assert, suite } from './harness/suite.ts'

interface Case {
  readonly bytes: Uint8Array
  readonly decode: (bytes: Uint8Array) => unknown
  /** Later versions may add to it, since it is read before a version is agreed on. */
  readonly open?: boolean
}

const readWholeError = (bytes: Uint8Array): unknown => {
  const r = reader(bytes)
  const error = readError(r)
  r.end()
  return error
}

const cases: Readonly<Record<string, Case>> = {
  presence: { bytes: samples.presence, decode: decodePresence },
  advert: { bytes: samples.advert, decode: decodeAdvert },
  batch: { bytes: samples.batch, decode: decodeBatch },
  head: { bytes: samples.head, decode: decodeHead },
  report: { bytes: samples.report, decode: decodeReport },
  contradiction: { bytes: samples.contradiction, decode: decodeCharge },
  forgery: { bytes: samples.forgery, decode: decodeCharge },
  hello: { bytes: samples.hello, decode: decodeHello, open: true },
  proof: { bytes: samples.proof, decode: decodeProof },
  welcome: { bytes: samples.welcome, decode: decodeWelcome },
  bye: { bytes: samples.bye, decode: decodeBye, open: true },
  error: { bytes: samples.error, decode: readWholeError },
  found: { bytes: samples.found, decode: decodeFound },
  'shared open': { bytes: samples.sharedOpen, decode: decodeMuxFrame },
  'shared close': { bytes: samples.sharedClose, decode: decodeMuxFrame },
  'pushed join': { bytes: samples.pushedJoin, decode: decodePush },
  'pushed leave': { bytes: samples.pushedLeave, decode: decodePush },
  'place to carry': { bytes: samples.carryPlace, decode: decodePlace },
  'end of carrying': { bytes: samples.carryEnd, decode: decodeCarryEnd },
  'word of the tree': { bytes: encodeWord('have', ['a1'.repeat(32)]), decode: readWord },
  'gossip packet': { bytes: gossipPacket(), decode: readPacket },
}

const test = suite('decoders', { timeoutMs: 20_000 })

for (const [name, { bytes, decode, open }] of Object.entries(cases)) {
  test(`reads a ${name}, but no part of one and nothing behind one`, () => {
    decode(bytes)
    for (let length = 0; length < bytes.length; length++) {
      assert.is(
        codeOf(() => decode(bytes.slice(0, length))),
        'BAD_FRAME',
        `first ${length} bytes`,
      )
    }
    for (let extra = 0; extra < 256; extra++) {
      const code = codeOf(() => decode(concat(bytes, Uint8Array.of(extra))))
      assert.is(code, open ? undefined : 'BAD_FRAME', `with ${extra} behind it`)
    }
  })

  test(`takes rubbish for a ${name} with no exception but BAD_FRAME`, () => {
    const onlyBadFrame = (rubbish: Uint8Array): void => {
      const code = codeOf(() => decode(rubbish))
      assert.ok(code === undefined || code === 'BAD_FRAME', `${code}`)
    }
    fc.assert(fc.property(fc.uint8Array({ maxLength: 400, size: 'max' }), onlyBadFrame), {
      numRuns: 300,
    })
    // Rubbish with the right beginning gets further.
    fc.assert(
      fc.property(
        fc.nat(bytes.length),
        fc.uint8Array({ maxLength: 400, size: 'max' }),
        (at, tail) => onlyBadFrame(concat(bytes.subarray(0, at), tail)),
      ),
      { numRuns: 300 },
    )
    for (let at = 0; at < bytes.length; at++) {
      for (const flip of [1, 0x80, 0xff]) onlyBadFrame(flipped(bytes, at, flip))
    }
  })
}

test('reads a signal’s header only where the length is exactly that of the payload', () => {
  const { signal } = samples
  const check = (frame: Uint8Array) => codeOf(() => checkSignal(NETWORK, frame))
  assert.is(check(signal), undefined)
  for (let length = 0; length < signal.length; length++) {
    assert.is(check(signal.slice(0, length)), 'BAD_FRAME')
  }
  assert.is(check(concat(signal, Uint8Array.of(0))), 'BAD_FRAME')
})

test('takes rubbish for a signal with typed errors alone', () => {
  const allowed = [undefined, 'BAD_FRAME', 'NETWORK_MISMATCH', 'TOO_LARGE']
  const { signal } = samples
  fc.assert(
    fc.property(
      fc.nat(signal.length),
      fc.uint8Array({ maxLength: 400, size: 'max' }),
      (at, tail) => {
        const frame = concat(signal.subarray(0, at), tail)
        assert.ok(allowed.includes(codeOf(() => checkSignal(NETWORK, frame))))
      },
    ),
  )
})

test('reads why a node did not pass a signal on, and refuses a control signal without a code', () => {
  const { control } = samples
  assert.equal(readControl(control), {
    code: 'RATE_LIMITED',
    retryAfterMs: 250,
    evidence: samples.presence,
  })
  for (let payload = 0; payload < control.length - 144; payload++) {
    const short = control.slice(0, 144 + payload)
    assert.is(
      codeOf(() => readControl(short)),
      'BAD_FRAME',
    )
  }
})

test.run()

function flipped(bytes: Uint8Array, at: number, flip: number): Uint8Array {
  const out = bytes.slice()
  out[at] = (out[at] as number) ^ flip
  return out
}

/** Fields 1 to 4 of a Protocol Buffers message, each of bytes. */
function gossipPacket(): Uint8Array {
  const fields = [1, 2, 3, 4].map((field) =>
    concat(Uint8Array.of(field * 8 + 2, 32), new Uint8Array(32).fill(field)),
  )
  return concat(...fields)
}
