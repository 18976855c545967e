/** The few bytes of STUN (RFC 5780) that proving a NAT takes, with the CHANGE-REQUEST that nodes refuse. */

import { randomBytes } from 'node:crypto'
import { isIPv6 } from 'node:net'
import { addressBytes } from '../../src/authority.ts'

const COOKIE = 0x2112_a442
const BINDING = 0x0001
const SUCCESS = 0x0101
const XOR_MAPPED_ADDRESS = 0x0020
const CHANGE_REQUEST = 0x0003

export interface Change {
  readonly address?: boolean
  readonly port?: boolean
}

export interface Place {
  readonly address: string
  readonly port: number
}

export interface Message {
  readonly id: string
  readonly isRequest: boolean
  readonly change: Change
  readonly mapped: Place | undefined
}

/** A request that, if it says so, wants its answer from another address or port. */
export function request(change: Change = {}): { readonly id: string; readonly bytes: Buffer } {
  const id = randomBytes(12)
  const flags = Buffer.alloc(4)
  flags.writeUInt32BE((change.address ? 4 : 0) | (change.port ? 2 : 0))
  return { id: id.toString('hex'), bytes: message(BINDING, id, CHANGE_REQUEST, flags) }
}

/** The answer: by which address and port the request came. */
export function answer(id: string, { address, port }: Place): Buffer {
  const tid = Buffer.from(id, 'hex')
  const bytes = Buffer.from(addressBytes(address) as Uint8Array)
  const value = Buffer.concat([Buffer.from([0, isIPv6(address) ? 2 : 1, 0, 0]), masked(bytes, tid)])
  value.writeUInt16BE(port ^ (COOKIE >>> 16), 2)
  return message(SUCCESS, tid, XOR_MAPPED_ADDRESS, value)
}

export function parse(bytes: Buffer): Message | undefined {
  if (bytes.length < 20 || bytes.readUInt32BE(4) !== COOKIE) return undefined
  const tid = bytes.subarray(8, 20)
  let change: Change = {}
  let mapped: Place | undefined
  for (let at = 20; at + 4 <= bytes.length; ) {
    const [type, size] = [bytes.readUInt16BE(at), bytes.readUInt16BE(at + 2)]
    const value = bytes.subarray(at + 4, at + 4 + size)
    if (type === CHANGE_REQUEST)
      change = { address: (value[3]! & 4) > 0, port: (value[3]! & 2) > 0 }
    if (type === XOR_MAPPED_ADDRESS) {
      const address = masked(value.subarray(4), tid)
      mapped = { address: textOf(address), port: value.readUInt16BE(2) ^ (COOKIE >>> 16) }
    }
    at += 4 + ((size + 3) & ~3)
  }
  return { id: tid.toString('hex'), isRequest: bytes.readUInt16BE(0) === BINDING, change, mapped }
}

function message(type: number, id: Buffer, attribute: number, value: Buffer): Buffer {
  const head = Buffer.alloc(24)
  head.writeUInt16BE(type, 0)
  head.writeUInt16BE(4 + value.length, 2)
  head.writeUInt32BE(COOKIE, 4)
  id.copy(head, 8)
  head.writeUInt16BE(attribute, 20)
  head.writeUInt16BE(value.length, 22)
  return Buffer.concat([head, value])
}

/** An address as it is written, and read: over the cookie and the transaction. */
function masked(address: Buffer, id: Buffer): Buffer {
  const mask = Buffer.concat([Buffer.alloc(4), id])
  mask.writeUInt32BE(COOKIE, 0)
  return Buffer.from(address.map((byte, i) => byte ^ mask[i]!))
}

function textOf(bytes: Buffer): string {
  if (bytes.length === 4) return bytes.join('.')
  const parts = Array.from({ length: 8 }, (_, i) => bytes.readUInt16BE(2 * i).toString(16))
  return new URL(`http://[${parts.join(':')}]`).hostname.slice(1, -1)
}
