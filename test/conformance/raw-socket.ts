/** A WebSocket by hand, over TCP: it can do whatever the protocol forbids, and need not read. */

import { randomBytes } from 'node:crypto'
import { connect, type Socket } from 'node:net'

export const OP = { more: 0, text: 1, binary: 2, close: 8, ping: 9, pong: 10 } as const

export interface Ended {
  /** The number of the close frame; 1006 where none came. */
  readonly number: number
  readonly reason: string
}

export interface RawSocket {
  readonly socket: Socket
  /** Sends a frame; by default a whole one, masked as a client's must be. */
  send(op: number, bytes?: Uint8Array, how?: FrameOptions): void
  /** The next binary frame. */
  next(): Promise<Uint8Array>
  readonly ended: Promise<Ended>
}

export interface FrameOptions {
  readonly fin?: boolean
  readonly mask?: boolean
  /** Bits 4 to 6 of the first byte, which nobody has agreed on. */
  readonly reserved?: number
}

/** What a request for an upgrade says, if it is a proper one. */
export function upgradeHead(path = '/edge', host = '127.0.0.1'): string[] {
  return [
    `GET ${path} HTTP/1.1`,
    `Host: ${host}`,
    'Connection: Upgrade',
    'Upgrade: websocket',
    'Sec-WebSocket-Version: 13',
    `Sec-WebSocket-Key: ${randomBytes(16).toString('base64')}`,
  ]
}

/** Sends a request as it is; gives the status, 0 if the socket ended without one. */
export function statusOf(port: number, head: readonly string[]): Promise<number> {
  const socket = connect(port, '127.0.0.1')
  socket.on('error', () => {})
  socket.write(`${head.join('\r\n')}\r\n\r\n`)
  return new Promise((resolve) => {
    const done = (text: string): void => {
      resolve(Number(/^HTTP\/1\.1 (\d{3})/.exec(text)?.[1] ?? 0))
      socket.destroy()
    }
    socket.once('data', (data: Buffer) => done(data.toString('latin1')))
    socket.once('close', () => done(''))
  })
}

/** Opens one; rejects with the first line of the answer if that is no upgrade. */
export function openRaw(port: number, path?: string): Promise<RawSocket> {
  const socket = connect(port, '127.0.0.1')
  socket.on('error', () => {})
  socket.write(`${upgradeHead(path).join('\r\n')}\r\n\r\n`)
  return new Promise((resolve, reject) => {
    let head = Buffer.alloc(0)
    const onData = (data: Buffer): void => {
      head = Buffer.concat([head, data])
      const end = head.indexOf('\r\n\r\n')
      if (end < 0) return
      socket.off('data', onData)
      const first = head.toString('latin1', 0, head.indexOf('\r\n'))
      if (first.includes(' 101 ')) resolve(rawSocket(socket, head.subarray(end + 4)))
      else reject(new Error(first))
    }
    socket.on('data', onData)
    socket.once('close', () => reject(new Error('The socket ended')))
  })
}

function rawSocket(socket: Socket, rest: Buffer): RawSocket {
  const frames: Uint8Array[] = []
  const waiting: ((frame: Uint8Array) => void)[] = []
  let told: Ended = { number: 1006, reason: '' }
  const take = (op: number, payload: Buffer): void => {
    if (op === OP.close && payload.length >= 2) {
      told = { number: payload.readUInt16BE(0), reason: payload.toString('utf8', 2) }
    }
    if (op !== OP.binary) return
    const next = waiting.shift()
    if (next) next(new Uint8Array(payload))
    else frames.push(new Uint8Array(payload))
  }
  let left = rest
  const onData = (data: Buffer): void => {
    left = readFrames(Buffer.concat([left, data]), take)
  }
  socket.on('data', onData)
  onData(Buffer.alloc(0))
  return {
    socket,
    send: (op, bytes = new Uint8Array(0), how = {}) => void socket.write(frameOf(op, bytes, how)),
    next: () => {
      const frame = frames.shift()
      return frame ? Promise.resolve(frame) : new Promise((resolve) => waiting.push(resolve))
    },
    ended: new Promise((resolve) => socket.once('close', () => resolve(told))),
  }
}

export function frameOf(op: number, bytes: Uint8Array, how: FrameOptions): Buffer {
  const { fin = true, mask = true, reserved = 0 } = how
  const first = (fin ? 0x80 : 0) | reserved | op
  const masked = mask ? 0x80 : 0
  const length = Buffer.alloc(bytes.length < 126 ? 1 : bytes.length < 65_536 ? 3 : 9)
  length[0] = masked | (bytes.length < 126 ? bytes.length : bytes.length < 65_536 ? 126 : 127)
  if (length.length === 3) length.writeUInt16BE(bytes.length, 1)
  if (length.length === 9) length.writeBigUInt64BE(BigInt(bytes.length), 1)
  // A mask of zeros changes nothing, and is one.
  return Buffer.concat([Uint8Array.of(first), length, Buffer.alloc(mask ? 4 : 0), bytes])
}

function readFrames(bytes: Buffer, take: (op: number, payload: Buffer) => void): Buffer {
  let at = 0
  for (;;) {
    const short = (bytes[at + 1] ?? 0) & 0x7f
    const head = short < 126 ? 2 : short === 126 ? 4 : 10
    if (at + head > bytes.length) return bytes.subarray(at)
    const long = (): number =>
      short === 126 ? bytes.readUInt16BE(at + 2) : Number(bytes.readBigUInt64BE(at + 2))
    const length = short < 126 ? short : long()
    if (at + head + length > bytes.length) return bytes.subarray(at)
    take((bytes[at] ?? 0) & 0x0f, bytes.subarray(at + head, at + head + length))
    at += head + length
  }
}
