/** A signal on its way: a header at fixed offsets, which nodes read, and a payload that they cannot. */

import { badFrame, reader, toHex, writer } from './bytes.ts'
import { CODE_NUMBERS, codeOfNumber, type ErrorCode, SignalMeshError } from './errors.ts'
import { MAX_RECORD_BYTES, MAX_SIGNAL_BYTES } from './limits.ts'
import { FRAME } from './messages.ts'

/** open: begins an attempt; within: belongs to one; control: a node's word about one. */
export const CLASS = { open: 1, within: 2, control: 5 } as const

/** Under which key the payload stands: the handshake itself, its early keys, its split keys. */
export const PHASE = { handshake: 0, early: 1, split: 2 } as const

/** Offsets in the frame; the frame's kind is byte 0. */
const AT = {
  version: 1,
  class: 2,
  flags: 3,
  hopsLeft: 4,
  phase: 5,
  network: 8,
  from: 16,
  to: 48,
  fromHome: 80,
  connection: 112,
  counter: 128,
  length: 132,
  reserved: 136,
} as const

const VERSION = 1
const FLAG_ACK = 1
const NETWORK_BYTES = 8
export const CONNECTION_BYTES = 16
export const HEADER_BYTES = 144

export interface SignalFields {
  readonly class: number
  readonly phase: number
  readonly from: Uint8Array
  readonly to: Uint8Array
  readonly connection: Uint8Array
  readonly counter: number
  /** Only acknowledges; numbered apart from the others. */
  readonly ack?: boolean
  readonly payload: Uint8Array
}

export function encodeSignal(networkId: Uint8Array, fields: SignalFields): Uint8Array {
  if (fields.payload.length > MAX_SIGNAL_BYTES) {
    throw new SignalMeshError(
      'TOO_LARGE',
      `A signal of ${fields.payload.length} bytes is over the ${MAX_SIGNAL_BYTES} allowed`,
    )
  }
  return writer(HEADER_BYTES + fields.payload.length)
    .bytes(signalHeader(networkId, fields, fields.payload.length))
    .bytes(fields.payload)
    .done()
}

/** The header alone, for what is sealed under it; the length counts the sealed payload. */
export function signalHeader(
  networkId: Uint8Array,
  fields: Omit<SignalFields, 'payload'>,
  payloadBytes: number,
): Uint8Array {
  const header = new Uint8Array(HEADER_BYTES)
  const view = new DataView(header.buffer)
  header[0] = FRAME.signal
  header[AT.version] = VERSION
  header[AT.class] = fields.class
  header[AT.phase] = fields.phase
  header[AT.flags] = fields.ack ? FLAG_ACK : 0
  header.set(networkId.subarray(0, NETWORK_BYTES), AT.network)
  header.set(fields.from, AT.from)
  header.set(fields.to, AT.to)
  header.set(fields.connection, AT.connection)
  view.setUint32(AT.counter, fields.counter)
  view.setUint32(AT.length, payloadBytes)
  return header
}

/**
 * Checks what a node has to know before it reads the offsets below.
 * @throws SignalMeshError `BAD_FRAME`, `NETWORK_MISMATCH` or `TOO_LARGE`
 */
export function checkSignal(networkId: Uint8Array, frame: Uint8Array): void {
  if (frame.length < HEADER_BYTES) throw badFrame(`a signal of ${frame.length} bytes`)
  if (frame[AT.version] !== VERSION) throw badFrame(`a signal of version ${frame[AT.version]}`)
  for (let i = 0; i < NETWORK_BYTES; i++) {
    if (frame[AT.network + i] !== networkId[i]) {
      throw new SignalMeshError('NETWORK_MISMATCH', 'The signal is for another network')
    }
  }
  const payloadBytes = u32At(frame, AT.length)
  if (payloadBytes > MAX_SIGNAL_BYTES) {
    throw new SignalMeshError('TOO_LARGE', `A signal of ${payloadBytes} bytes`)
  }
  if (payloadBytes !== frame.length - HEADER_BYTES) throw badFrame('a signal of another length')
}

export const classOf = (frame: Uint8Array): number => frame[AT.class] as number
export const phaseOf = (frame: Uint8Array): number => frame[AT.phase] as number
export const isAckOf = (frame: Uint8Array): boolean =>
  ((frame[AT.flags] as number) & FLAG_ACK) !== 0
export const hopsLeftOf = (frame: Uint8Array): number => frame[AT.hopsLeft] as number
export const fromKeyOf = (frame: Uint8Array): Uint8Array => frame.subarray(AT.from, AT.from + 32)
export const fromOf = (frame: Uint8Array): string => toHex(fromKeyOf(frame))
export const toKeyOf = (frame: Uint8Array): Uint8Array => frame.subarray(AT.to, AT.to + 32)
export const toOf = (frame: Uint8Array): string => toHex(toKeyOf(frame))
export const fromHomeOf = (frame: Uint8Array): string =>
  toHex(frame.subarray(AT.fromHome, AT.fromHome + 32))
export const connectionOf = (frame: Uint8Array): Uint8Array =>
  frame.subarray(AT.connection, AT.connection + CONNECTION_BYTES)
/** The first four bytes of the connection id, as a number. */
export const connectionStartOf = (frame: Uint8Array): number => u32At(frame, AT.connection)
export const counterOf = (frame: Uint8Array): number => u32At(frame, AT.counter)
export const payloadOf = (frame: Uint8Array): Uint8Array => frame.subarray(HEADER_BYTES)

/** What the sender's home writes over whatever the edge wrote there. */
export function stamp(frame: Uint8Array, homeKey: Uint8Array, hopsLeft: number): void {
  frame.set(homeKey, AT.fromHome)
  frame[AT.hopsLeft] = hopsLeft
}

/** Says how many links between nodes the signal may pass, the next one counted. */
export function setHops(frame: Uint8Array, hopsLeft: number): void {
  frame[AT.hopsLeft] = hopsLeft
}

/** The header as the ends seal it: without what homes write on the way. */
export function sealedHeader(frame: Uint8Array): Uint8Array {
  const header = frame.slice(0, HEADER_BYTES)
  header.fill(0, AT.fromHome, AT.fromHome + 32)
  header[AT.hopsLeft] = 0
  return header
}

/**
 * A node's word to a signal's sender: why it went no further. The error's evidence is the newer
 * presence of the target, where there is one.
 */
export function encodeControl(
  networkId: Uint8Array,
  about: Uint8Array,
  error: SignalMeshError,
  nodeKey: Uint8Array,
  hopsLeft = 1,
): Uint8Array {
  const payload = writer()
    .u16(CODE_NUMBERS[error.code])
    .u32(error.retryAfterMs ?? 0)
    .block(error.evidence ?? new Uint8Array(0))
    .done()
  const frame = encodeSignal(networkId, {
    class: CLASS.control,
    phase: phaseOf(about),
    from: toKeyOf(about),
    to: fromKeyOf(about),
    connection: connectionOf(about),
    counter: counterOf(about),
    ack: isAckOf(about),
    payload,
  })
  stamp(frame, nodeKey, hopsLeft)
  return frame
}

export interface Control {
  readonly code: ErrorCode
  readonly retryAfterMs: number
  /** A presence, not checked here; empty where there is none. */
  readonly evidence: Uint8Array
}

/** @throws SignalMeshError `BAD_FRAME` */
export function readControl(frame: Uint8Array): Control {
  const r = reader(payloadOf(frame))
  const code = codeOfNumber(r.u16())
  const retryAfterMs = r.u32()
  const evidence = r.block(MAX_RECORD_BYTES)
  r.end()
  return { code, retryAfterMs, evidence }
}

/** Byte by byte, for a DataView of every frame would cost more than the reading. */
function u32At(frame: Uint8Array, at: number): number {
  const high = ((frame[at] as number) << 24) | ((frame[at + 1] as number) << 16)
  return (high | ((frame[at + 2] as number) << 8) | (frame[at + 3] as number)) >>> 0
}
