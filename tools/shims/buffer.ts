/** Buffer for the browser bundle: the few words of it that the bundled packages use. */

/** Uint8Array without its static functions, which Buffer's own differ from. */
const Bytes: new (source: number | ArrayBuffer | ArrayLike<number>) => Uint8Array = Uint8Array

export class Buffer extends Bytes {
  /** A view of an ArrayBuffer; a copy of anything else. */
  static from(source: string | ArrayBuffer | ArrayLike<number>): Buffer {
    return new Buffer(typeof source === 'string' ? new TextEncoder().encode(source) : source)
  }

  static isBuffer(value: unknown): value is Buffer {
    return value instanceof Buffer
  }

  static alloc(length: number): Buffer {
    return new Buffer(length)
  }

  static allocUnsafe(length: number): Buffer {
    return new Buffer(length)
  }

  /** The streams call it on any Uint8Array. */
  copy(target: Uint8Array, offset: number): void {
    target.set(this, offset)
  }

  override toString(encoding?: string): string {
    if (encoding !== 'hex') return new TextDecoder().decode(this)
    return Array.from(this, (byte) => byte.toString(16).padStart(2, '0')).join('')
  }
}
