/** The globals that a node's packages expect of Node: Buffer has what @dxos/broadcast asks of it too. */

import { Buffer as ClientBuffer } from './buffer.ts'

export { process } from './globals.ts'

export class Buffer extends ClientBuffer {
  static override from(source: string | ArrayBuffer | ArrayLike<number>): Buffer {
    return new Buffer(typeof source === 'string' ? new TextEncoder().encode(source) : source)
  }

  equals(other: Uint8Array): boolean {
    return this.length === other.length && this.every((byte, i) => byte === other[i])
  }
}
