/** What edges say inside sealed signals: each kind there and back, and what is not one. */

import fc from 'fast-check'
import { reader, writer } from '../src/bytes.ts'
import { decodePlain, encodePlain, type Item } from '../src/edge/items.ts'
import { CODE_NUMBERS, type ErrorCode, SignalMeshError } from '../src/errors.ts'
import { MAX_METADATA_BYTES, MAX_RELAY_BYTES } from '../src/limits.ts'
import { everyItem, samples } from './fixtures/samples.ts'
import { assert, suite } from './harness/suite.ts'

const test = suite('items')

/** As `fc.record`, of objects as literals make them. */
const record = <T>(model: { [Key in keyof T]: fc.Arbitrary<T[Key]> }): fc.Arbitrary<T> =>
  fc.record<T>(model, { noNullPrototype: true })

const text = fc.string({ unit: 'grapheme', maxLength: 60 })
const generation = fc.nat(255)
const code = fc.constantFrom(...(Object.keys(CODE_NUMBERS) as ErrorCode[]))
const item: fc.Arbitrary<Item> = fc.oneof(
  record({
    kind: fc.constant('description' as const),
    generation,
    type: fc.constantFrom('offer' as const, 'answer' as const),
    sdp: text,
  }),
  record({
    kind: fc.constant('candidate' as const),
    generation,
    candidate: text,
    sdpMid: fc.option(text),
    sdpMLineIndex: fc.option(fc.integer({ min: 0, max: 0xfffe })),
  }),
  record({ kind: fc.constant('end-of-candidates' as const), generation }),
  fc.constant({ kind: 'renegotiate' as const }),
  record({ kind: fc.constant('ice-restart' as const), generation }),
  record({
    kind: fc.constant('relay' as const),
    data: fc.uint8Array({ maxLength: MAX_RELAY_BYTES }),
  }),
  record({
    kind: fc.constant('transceiver' as const),
    media: fc.constantFrom('audio' as const, 'video' as const),
  }),
  record({ kind: fc.constant('refused' as const), code, reason: text }),
  record({ kind: fc.constant('bye' as const), reason: text }),
  record({
    kind: fc.constant('metadata' as const),
    data: fc.uint8Array({ maxLength: MAX_METADATA_BYTES }),
  }),
)
const plain = record({ ack: fc.nat(2 ** 32 - 1), items: fc.array(item, { maxLength: 6 }) })

test('comes back as it was said', () => {
  fc.assert(fc.property(plain, (said) => assert.equal(decodePlain(encodePlain(said)), said)))
})

test('every kind has its number, and its generation behind that', () => {
  const r = reader(samples.plain)
  assert.is(r.u32(), 6, 'the next counter awaited')
  const heads: number[][] = []
  while (r.left > 0) {
    heads.push([r.u8(), r.u8()])
    r.block(1024)
  }
  const [ofFirst, ofRestart, ofNone] = [1, 2, 0]
  assert.equal(heads, [
    [1, ofFirst],
    [2, ofFirst],
    [3, ofFirst],
    [4, ofNone],
    [5, ofNone],
    [6, ofRestart],
    [7, ofNone],
    [10, ofNone],
    [11, ofNone],
    [13, ofNone],
    [14, ofNone],
  ])
  assert.equal(decodePlain(samples.plain), { ack: 6, items: everyItem })
})

test('a kind of a later version is skipped, and what stands around it is heard', () => {
  const [before, after] = [[{ kind: 'renegotiate' }], [{ kind: 'bye', reason: 'x' }]] as Item[][]
  const known = encodePlain({ ack: 7, items: before! })
  const rest = encodePlain({ ack: 0, items: after! }).subarray(4)
  const w = writer()
    .bytes(known)
    .u8(99)
    .u8(1)
    .block(Uint8Array.of(1, 2, 3))
    .bytes(rest)
  assert.equal(decodePlain(w.done()), { ack: 7, items: [...before!, ...after!] })
})

test('a code of a later version is heard as INTERNAL', () => {
  const body = writer().u16(65_000).done()
  const bytes = writer().u32(0).u8(7).u8(0).block(body).done()
  assert.equal(decodePlain(bytes).items, [{ kind: 'refused', code: 'INTERNAL', reason: '' }])
})

test('bytes that are no items are refused as such, whatever they are', () => {
  const cut = fc.tuple(plain, fc.nat(2000), fc.nat(255))
  fc.assert(
    fc.property(cut, ([said, at, byte]) => {
      const bytes = encodePlain(said)
      bytes[at % bytes.length] = byte
      for (const broken of [bytes, bytes.subarray(0, at % bytes.length)]) {
        try {
          decodePlain(broken)
        } catch (error) {
          assert.instance(error, SignalMeshError)
          assert.is((error as SignalMeshError).code, 'BAD_FRAME')
        }
      }
    }),
  )
})

test('descriptions of unknown type and metadata over the bound are refused', () => {
  const of = (kind: number, body: Uint8Array) => writer().u32(0).u8(kind).u8(0).block(body).done()
  for (const bytes of [
    of(1, Uint8Array.of(3, 65)),
    of(13, new Uint8Array(MAX_METADATA_BYTES + 1)),
    of(11, new Uint8Array(MAX_RELAY_BYTES + 1)),
    of(2, Uint8Array.of(0, 0, 1, 0, 9, 65)),
    of(10, Uint8Array.of(0xff, 0xfe)),
  ]) {
    assert.throws(
      () => decodePlain(bytes),
      (error: SignalMeshError) => error.code === 'BAD_FRAME',
    )
  }
})

test('long reasons are cut between characters, never within one', () => {
  const reason = '👋'.repeat(2000)
  const [said] = decodePlain(encodePlain({ ack: 0, items: [{ kind: 'bye', reason }] })).items
  assert.ok(said?.kind === 'bye' && reason.startsWith(said.reason))
  assert.ok(said.reason.length > 100)
  assert.not.match(said.reason, '�')
})

test.run()
