/** Bytes: what a writer wrote a reader reads, and whatever is short, long or out of range is refused. */

import fc from 'fast-check'
import {
  compare,
  concat,
  equal,
  fromHex,
  fromUtf8,
  reader,
  toHex,
  utf8,
  writer,
} from '../src/bytes.ts'
import { codeOf } from './fixtures/errors.ts'
import { assert, suite } from './harness/suite.ts'

const test = suite('bytes')
const bytes = (maxLength = 80) => fc.uint8Array({ maxLength, size: 'max' })

test('turns bytes into hex digits and back, and reads nothing else as hex', () => {
  fc.assert(fc.property(bytes(), (value) => assert.equal(fromHex(toHex(value)), value)))
  assert.equal(fromHex('00fFA0'), Uint8Array.of(0, 255, 160))
  for (const text of ['0', 'zz', '0x00', ' 00', '00\n', '٠٠']) {
    assert.is(
      codeOf(() => fromHex(text)),
      'BAD_ARGUMENT',
      JSON.stringify(text),
    )
  }
})

test('compares as the hex digits do', () => {
  fc.assert(
    fc.property(bytes(4), bytes(4), (a, b) => {
      const [x, y] = [toHex(a), toHex(b)]
      assert.is(Math.sign(compare(a, b)), x < y ? -1 : x > y ? 1 : 0)
      assert.is(equal(a, b), x === y)
      assert.is(toHex(concat(a, b)), x + y)
    }),
  )
})

test('reads what was written, at any first size', () => {
  fc.assert(
    fc.property(
      fc.nat(0xff),
      fc.nat(0xffff),
      fc.nat(0xffffffff),
      fc.nat(Number.MAX_SAFE_INTEGER),
      bytes(300),
      fc.string({ unit: 'grapheme' }),
      fc.integer({ min: 1, max: 400 }),
      (a, b, c, d, blob, text, firstBytes) => {
        const w = writer(firstBytes).u8(a).u16(b).u32(c).u64(d).block(blob).text(text).bytes(blob)
        const r = reader(w.done())
        assert.equal([r.u8(), r.u16(), r.u32(), r.u64()], [a, b, c, d])
        assert.equal(r.block(300), blob)
        assert.is(r.text(4096), text)
        assert.is(r.left, blob.length)
        assert.equal(r.rest(), blob)
        r.end()
      },
    ),
  )
})

test('reads a view that does not begin at the start of its memory', () => {
  const frame = writer().u32(0xdeadbeef).u16(7).done()
  const inside = concat(Uint8Array.of(1, 2, 3), frame).subarray(3)
  const r = reader(inside)
  assert.is(r.u32(), 0xdeadbeef)
  assert.is(r.u16(), 7)
})

test('refuses to read past the end, and moves on by nothing when it refuses', () => {
  const r = reader(Uint8Array.of(1, 2, 3))
  for (const read of [() => r.u32(), () => r.u64(), () => r.bytes(4), () => r.block(9)]) {
    const before = r.at
    assert.is(codeOf(read), 'BAD_FRAME')
    if (read.toString().includes('block')) break
    assert.is(r.at, before)
  }
  assert.is(
    codeOf(() => reader(Uint8Array.of(1, 2)).end()),
    'BAD_FRAME',
  )
})

test('takes numbers up to 2^53 - 1 and refuses the next', () => {
  const most = fromHex('001fffffffffffff')
  assert.is(reader(most).u64(), Number.MAX_SAFE_INTEGER)
  for (const text of ['0020000000000000', '0020000000000001', 'ffffffffffffffff']) {
    assert.is(
      codeOf(() => reader(fromHex(text)).u64()),
      'BAD_FRAME',
      text,
    )
  }
})

test('holds blocks to the bound of the place where they stand', () => {
  const frame = writer().block(new Uint8Array(8)).done()
  assert.is(reader(frame).block(8).length, 8)
  assert.is(
    codeOf(() => reader(frame).block(7)),
    'BAD_FRAME',
  )
  assert.is(writer().block(new Uint8Array(0xffff)).done().length, 0x10001)
  assert.is(
    codeOf(() => writer().block(new Uint8Array(0x10000))),
    'TOO_LARGE',
  )
})

test('refuses text that is not UTF-8, and keeps a byte order mark', () => {
  for (const text of ['ff', 'c0af', 'eda080', 'f4908080', 'e282']) {
    assert.is(
      codeOf(() => fromUtf8(fromHex(text))),
      'BAD_FRAME',
      text,
    )
  }
  assert.is(fromUtf8(utf8('\ufeffa')), '\ufeffa')
})

test.run()
