/** Bytes: hex, comparison, and the reader and writer that every binary structure goes through. */

import { SignalMeshError } from './errors.ts'

const HEX = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, '0'))
const encoder = new TextEncoder()
const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

export function toHex(bytes: Uint8Array): string {
  let text = ''
  for (const byte of bytes) text += HEX[byte]
  return text
}

/**
 * The bytes of a string of hex digits.
 * @throws SignalMeshError `BAD_ARGUMENT` if it is anything else.
 */
export function fromHex(text: string): Uint8Array {
  if (text.length % 2 !== 0 || !/^[0-9a-f]*$/i.test(text)) {
    throw new SignalMeshError('BAD_ARGUMENT', `Cannot read ${JSON.stringify(text)} as hex digits`)
  }
  const bytes = new Uint8Array(text.length / 2)
  for (let i = 0; i < bytes.length; i++)
    bytes[i] = Number.parseInt(text.slice(2 * i, 2 * i + 2), 16)
  return bytes
}

export function utf8(text: string): Uint8Array {
  return encoder.encode(text)
}

/** The text, or `BAD_FRAME` if the bytes are not UTF-8. */
export function fromUtf8(bytes: Uint8Array): string {
  try {
    return decoder.decode(bytes)
  } catch (cause) {
    throw new SignalMeshError('BAD_FRAME', 'Cannot decode text that is not UTF-8', { cause })
  }
}

export function equal(a: Uint8Array, b: Uint8Array): boolean {
  if (a.length !== b.length) return false
  let difference = 0
  for (let i = 0; i < a.length; i++) difference |= (a[i] as number) ^ (b[i] as number)
  return difference === 0
}

/** Negative, zero or positive, as `a` stands before, at or after `b` in byte order. */
export function compare(a: Uint8Array, b: Uint8Array): number {
  const shared = Math.min(a.length, b.length)
  for (let i = 0; i < shared; i++) {
    const difference = (a[i] as number) - (b[i] as number)
    if (difference !== 0) return difference
  }
  return a.length - b.length
}

export function concat(...parts: readonly Uint8Array[]): Uint8Array {
  const out = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0))
  let at = 0
  for (const part of parts) {
    out.set(part, at)
    at += part.length
  }
  return out
}

/** Appends big-endian numbers and byte strings; `done` gives what was written. */
export interface Writer {
  u8(value: number): Writer
  u16(value: number): Writer
  u32(value: number): Writer
  /** A whole number up to 2^53 - 1 in eight bytes. */
  u64(value: number): Writer
  bytes(value: Uint8Array): Writer
  /** Two bytes of length, then the bytes. */
  block(value: Uint8Array): Writer
  text(value: string): Writer
  done(): Uint8Array
}

export function writer(firstBytes = 256): Writer {
  let out = new Uint8Array(firstBytes)
  let view = new DataView(out.buffer)
  let at = 0
  const room = (more: number): number => {
    if (at + more > out.length) {
      const bigger = new Uint8Array(Math.max(out.length * 2, at + more))
      bigger.set(out)
      out = bigger
      view = new DataView(out.buffer)
    }
    const start = at
    at += more
    return start
  }
  const self: Writer = {
    u8: (value) => {
      const at = room(1)
      view.setUint8(at, value)
      return self
    },
    u16: (value) => {
      const at = room(2)
      view.setUint16(at, value)
      return self
    },
    u32: (value) => {
      const at = room(4)
      view.setUint32(at, value)
      return self
    },
    u64: (value) => {
      const at = room(8)
      view.setBigUint64(at, BigInt(value))
      return self
    },
    bytes: (value) => {
      // `room` may replace `out`, so it has to run before `out` is read.
      const start = room(value.length)
      out.set(value, start)
      return self
    },
    block: (value) => {
      if (value.length > 0xffff) throw new SignalMeshError('TOO_LARGE', 'Block over 65535 bytes')
      return self.u16(value.length).bytes(value)
    },
    text: (value) => self.block(utf8(value)),
    done: () => out.slice(0, at),
  }
  return self
}

/** Reads what a writer wrote; whatever is short, long or out of range is `BAD_FRAME`. */
export interface Reader {
  u8(): number
  u16(): number
  u32(): number
  u64(): number
  /** A view of the next bytes, not a copy. */
  bytes(length: number): Uint8Array
  block(maxBytes: number): Uint8Array
  text(maxBytes: number): string
  readonly at: number
  readonly left: number
  rest(): Uint8Array
  /** Throws unless everything was read. */
  end(): void
}

export function reader(bytes: Uint8Array): Reader {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  let at = 0
  const take = (length: number): number => {
    if (at + length > bytes.length) {
      throw badFrame(`${length} bytes wanted at ${at}, ${bytes.length - at} there`)
    }
    const start = at
    at += length
    return start
  }
  const self: Reader = {
    u8: () => view.getUint8(take(1)),
    u16: () => view.getUint16(take(2)),
    u32: () => view.getUint32(take(4)),
    u64: () => {
      const value = Number(view.getBigUint64(take(8)))
      if (value > Number.MAX_SAFE_INTEGER) throw badFrame('a number over 2^53')
      return value
    },
    bytes: (length) => {
      const start = take(length)
      return bytes.subarray(start, start + length)
    },
    block: (maxBytes) => {
      const length = self.u16()
      if (length > maxBytes) throw badFrame(`a block of ${length} bytes, ${maxBytes} allowed`)
      return self.bytes(length)
    },
    text: (maxBytes) => fromUtf8(self.block(maxBytes)),
    get at() {
      return at
    },
    get left() {
      return bytes.length - at
    },
    rest: () => self.bytes(bytes.length - at),
    end: () => {
      if (at !== bytes.length) throw badFrame(`${bytes.length - at} bytes too many`)
    },
  }
  return self
}

export function badFrame(what: string): SignalMeshError {
  return new SignalMeshError('BAD_FRAME', `Cannot decode the frame: ${what}`)
}
