/** Edits: small changes of bytes that know what numbers, lengths, lists and texts look like. */

import { concat, utf8 } from '../../src/bytes.ts'

/** One change; eight bytes when kept, and any eight bytes are one. */
export interface Edit {
  readonly op: number
  /** Where, counted around the end. */
  readonly at: number
  readonly arg: number
  readonly value: number
}

export const EDIT_BYTES = 8
/** No link carries more than this, so longer inputs would only test the checks of lengths again. */
const MAX_INPUT_BYTES = 70_000

const EXTREMES: readonly bigint[] = [
  0n,
  1n,
  0x7fn,
  0x80n,
  0xffn,
  0x100n,
  0x1000n,
  0x7fffn,
  0x8000n,
  0xffffn,
  0x1_0000n,
  0x7fff_ffffn,
  0x8000_0000n,
  0xffff_ffffn,
  0x1_0000_0000n,
  2n ** 48n,
  2n ** 53n - 1n,
  2n ** 53n,
  2n ** 63n,
  2n ** 64n - 1n,
]

/** Sizes at and around the bounds of frames, signals, batches, records and blocks. */
const SIZES: readonly number[] = [
  1, 2, 16, 32, 64, 255, 256, 272, 1_024, 2_048, 4_096, 4_097, 32_768, 32_769, 65_535, 65_536,
  65_537,
]

/** Pieces that parsers of addresses, texts, keys and protocol buffers trip over. */
const PIECES: readonly Uint8Array[] = [
  new Uint8Array(32),
  new Uint8Array(32).fill(0xff),
  // Points of small order on the two curves.
  Uint8Array.of(1, ...new Uint8Array(31)),
  Uint8Array.of(0xec, ...new Uint8Array(30).fill(0xff), 0x7f),
  Uint8Array.of(0xff, 0xfe, 0xfd),
  Uint8Array.of(0xed, 0xa0, 0x80),
  Uint8Array.of(0xef, 0xbb, 0xbf),
  Uint8Array.of(0x80, 0x80, 0x80, 0x80, 0x80, 0x01),
  Uint8Array.of(0xff, 0xff, 0xff, 0xff, 0x0f),
  ...[
    'localhost:99999',
    '127.0.0.1:65536',
    '127.0.0.1:',
    '[::1',
    '[::1]:4680',
    '::ffff:10.0.0.1',
    'fe80::1%eth0',
    '0x7f.1:80',
    'http://',
    'http://a:b@127.0.0.1:1/%00',
    'https://[v1.x]:1',
    'javascript:alert(1)',
    '\0',
    '\r\nset: cookie',
    '__proto__',
    'constructor',
    'NaN',
    'v=0\r\n',
    'candidate:',
  ].map(utf8),
]

type Apply = (bytes: Uint8Array, edit: Edit) => Uint8Array

const OPS: readonly Apply[] = [
  (bytes, { at, arg }) => withByte(bytes, at, (byte) => byte ^ (arg || 1)),
  (bytes, { at, arg }) => withByte(bytes, at, () => arg),
  (bytes, { at, arg }) => withNumber(bytes, at, 1, () => extreme(arg)),
  (bytes, { at, arg }) => withNumber(bytes, at, 2, () => extreme(arg)),
  (bytes, { at, arg }) => withNumber(bytes, at, 4, () => extreme(arg)),
  (bytes, { at, arg }) => withNumber(bytes, at, 8, () => extreme(arg)),
  // A length that is a little off.
  (bytes, { at, arg }) => withNumber(bytes, at, 2, (n) => n + BigInt((arg % 9) - 4)),
  (bytes, { at, arg }) => withNumber(bytes, at, 4, (n) => n + BigInt((arg % 9) - 4)),
  (bytes, { at }) => bytes.slice(0, at % (bytes.length + 1)),
  (bytes, { arg, value }) => concat(bytes, new Uint8Array(sizeOf(value)).fill(arg)),
  (bytes, { at, arg }) => spliced(bytes, at, spanOf(arg), NOTHING),
  // A field that comes twice, or many times.
  (bytes, { at, arg, value }) => {
    const start = placeIn(bytes, at)
    const span = bytes.slice(start, start + spanOf(arg))
    return spliced(bytes, at, 0, concat(...Array.from({ length: 1 + (value % 8) }, () => span)))
  },
  (bytes, { at, arg, value }) =>
    spliced(bytes, at, 0, numberBytes(value).subarray(0, 1 + (arg % 4))),
  (bytes, { at, arg }) => spliced(bytes, at, 0, pieceOf(arg)),
  (bytes, { at, arg }) => spliced(bytes, at, pieceOf(arg).length, pieceOf(arg)),
  // A text behind its length, as all texts and blocks stand.
  (bytes, { at, arg }) => {
    const piece = pieceOf(arg)
    return spliced(bytes, at, 2 + piece.length, concat(Uint8Array.of(0, piece.length), piece))
  },
  (bytes, { at, arg, value }) => {
    const from = value % (bytes.length + 1)
    return spliced(bytes, at, spanOf(arg), bytes.slice(from, from + spanOf(arg)))
  },
  (bytes, { at, arg, value }) =>
    spliced(bytes, at, spanOf(arg), new Uint8Array(spanOf(arg)).fill(value)),
  (bytes, { at, value }) => concat(bytes.slice(at % (bytes.length + 1)), numberBytes(value)),
]

const NOTHING = new Uint8Array(0)

/** The bytes after the edits; what they were made from stays as it is. */
export function applyEdits(bytes: Uint8Array, edits: readonly Edit[]): Uint8Array {
  let out: Uint8Array = bytes.slice()
  for (const edit of edits) {
    const next = (OPS[edit.op % OPS.length] as Apply)(out, edit)
    if (next.length <= MAX_INPUT_BYTES) out = next
  }
  return out
}

export function randomEdit(random: () => number, bytes = 0): Edit {
  const reach = bytes > 0 && random() < 0.8 ? bytes : 0x1_0000
  return {
    op: whole(random, OPS.length),
    at: whole(random, Math.min(reach, 0x1_0000)),
    arg: whole(random, 0x100),
    value: whole(random, 2 ** 32),
  }
}

/** A change or a few of them, or a piece of one input in the place of one of another. */
export function mutateBytes(
  input: Uint8Array,
  other: Uint8Array,
  random: () => number,
): Uint8Array {
  if (random() < 0.1) {
    const at = whole(random, input.length + 1)
    return concat(input.slice(0, at), other.slice(whole(random, other.length + 1)))
  }
  const count = 1 + whole(random, random() < 0.2 ? 8 : 2)
  return applyEdits(
    input,
    Array.from({ length: count }, () => randomEdit(random, input.length)),
  )
}

export function whole(random: () => number, below: number): number {
  return Math.floor(random() * below)
}

function withByte(bytes: Uint8Array, at: number, change: (byte: number) => number): Uint8Array {
  const out = bytes.slice()
  if (out.length > 0) out[at % out.length] = change(out[at % out.length] as number)
  return out
}

function withNumber(
  bytes: Uint8Array,
  at: number,
  width: number,
  change: (number: bigint) => bigint,
): Uint8Array {
  if (bytes.length < width) return bytes.slice()
  const out = bytes.slice()
  const start = at % (out.length - width + 1)
  let number = 0n
  for (const byte of out.subarray(start, start + width)) number = number * 256n + BigInt(byte)
  let rest = BigInt.asUintN(width * 8, change(number))
  for (let i = start + width - 1; i >= start; i--) {
    out[i] = Number(rest % 256n)
    rest /= 256n
  }
  return out
}

function spliced(bytes: Uint8Array, at: number, removed: number, added: Uint8Array): Uint8Array {
  const start = placeIn(bytes, at)
  return concat(bytes.subarray(0, start), added, bytes.subarray(start + removed))
}

const placeIn = (bytes: Uint8Array, at: number): number => at % (bytes.length + 1)
const extreme = (arg: number): bigint => EXTREMES[arg % EXTREMES.length] as bigint
const sizeOf = (value: number): number => SIZES[value % SIZES.length] as number
const pieceOf = (arg: number): Uint8Array => PIECES[arg % PIECES.length] as Uint8Array
/** Small spans mostly, and now and then those of keys, hashes and signatures. */
const spanOf = (arg: number): number => (arg < 0xc0 ? 1 + (arg % 16) : ((arg % 3) + 1) * 32)

function numberBytes(value: number): Uint8Array {
  const out = new Uint8Array(4)
  new DataView(out.buffer).setUint32(0, value)
  return out
}
