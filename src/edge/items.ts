/** What two edges say inside sealed signals: typed items, of which unknown ones are skipped. */

import { badFrame, fromUtf8, reader, utf8, writer } from '../bytes.ts'
import { CODE_NUMBERS, codeOfNumber, type ErrorCode } from '../errors.ts'
import { MAX_METADATA_BYTES, MAX_RELAY_BYTES, MAX_SIGNAL_BYTES, MAX_TEXT_BYTES } from '../limits.ts'
import { decodeFacts, encodeFacts, type SaidFacts } from './whyfacts.ts'

/** `generation` counts the ICE restarts of a connection, from 0 to 255 and on from 0. */
export type Item =
  | {
      readonly kind: 'description'
      readonly generation: number
      readonly type: 'offer' | 'answer'
      readonly sdp: string
    }
  | {
      readonly kind: 'candidate'
      readonly generation: number
      readonly candidate: string
      readonly sdpMid: string | null
      readonly sdpMLineIndex: number | null
    }
  /** All candidates of this generation have been named. */
  | { readonly kind: 'end-of-candidates'; readonly generation: number }
  | { readonly kind: 'renegotiate' }
  | { readonly kind: 'transceiver'; readonly media: 'audio' | 'video' }
  /** Asks the initiator for an offer of this generation. */
  | { readonly kind: 'ice-restart'; readonly generation: number }
  | { readonly kind: 'refused'; readonly code: ErrorCode; readonly reason: string }
  | { readonly kind: 'bye'; readonly reason: string }
  /** Whether homes are to carry; `carrying` says what stands in it. */
  | { readonly kind: 'relay'; readonly data: Uint8Array }
  | { readonly kind: 'metadata'; readonly data: Uint8Array }
  /** What the other side sees of its own network. */
  | ({ readonly kind: 'facts' } & SaidFacts)

/** Numbers of the kinds; 8, 9 and 12 are left free. */
const KIND = {
  description: 1,
  candidate: 2,
  'end-of-candidates': 3,
  renegotiate: 4,
  transceiver: 5,
  'ice-restart': 6,
  refused: 7,
  bye: 10,
  relay: 11,
  metadata: 13,
  facts: 14,
} as const

const NO_INDEX = 0xffff

/** The plaintext of a sealed signal: the next counter awaited from the other side, then the items. */
export interface Plain {
  readonly ack: number
  readonly items: readonly Item[]
}

export function encodePlain(plain: Plain): Uint8Array {
  const w = writer(1024).u32(plain.ack)
  for (const item of plain.items) {
    const generation = 'generation' in item ? item.generation : 0
    w.u8(KIND[item.kind]).u8(generation).block(encodeItem(item))
  }
  return w.done()
}

export function decodePlain(bytes: Uint8Array): Plain {
  const r = reader(bytes)
  const ack = r.u32()
  const items: Item[] = []
  while (r.left > 0) {
    const kind = r.u8()
    const generation = r.u8()
    const item = decodeItem(kind, generation, r.block(MAX_SIGNAL_BYTES))
    if (item) items.push(item)
  }
  return { ack, items }
}

function encodeItem(item: Item): Uint8Array {
  switch (item.kind) {
    case 'description':
      return writer(4096)
        .u8(item.type === 'offer' ? 1 : 2)
        .bytes(utf8(item.sdp))
        .done()
    case 'candidate': {
      const w = writer()
        .u16(item.sdpMLineIndex ?? NO_INDEX)
        .u8(item.sdpMid === null ? 0 : 1)
      return w
        .text(item.sdpMid ?? '')
        .bytes(utf8(item.candidate))
        .done()
    }
    case 'end-of-candidates':
    case 'renegotiate':
    case 'ice-restart':
      return new Uint8Array(0)
    case 'transceiver':
      return utf8(item.media)
    case 'refused':
      return writer().u16(CODE_NUMBERS[item.code]).bytes(shortText(item.reason)).done()
    case 'bye':
      return shortText(item.reason)
    case 'relay':
    case 'metadata':
      return item.data
    case 'facts':
      return encodeFacts(item)
  }
}

function decodeItem(kind: number, generation: number, body: Uint8Array): Item | undefined {
  const r = reader(body)
  switch (kind) {
    case KIND.description: {
      const type = r.u8()
      if (type !== 1 && type !== 2) throw badFrame(`a description of type ${type}`)
      const sdp = fromUtf8(r.rest())
      return { kind: 'description', generation, type: type === 1 ? 'offer' : 'answer', sdp }
    }
    case KIND.candidate: {
      const index = r.u16()
      const hasMid = r.u8() === 1
      const mid = r.text(MAX_TEXT_BYTES)
      return {
        kind: 'candidate',
        generation,
        sdpMLineIndex: index === NO_INDEX ? null : index,
        sdpMid: hasMid ? mid : null,
        candidate: fromUtf8(r.rest()),
      }
    }
    case KIND['end-of-candidates']:
      return { kind: 'end-of-candidates', generation }
    case KIND.renegotiate:
      return { kind: 'renegotiate' }
    case KIND.transceiver: {
      const media = fromUtf8(r.rest())
      if (media !== 'audio' && media !== 'video') throw badFrame('an unknown kind of media')
      return { kind: 'transceiver', media }
    }
    case KIND['ice-restart']:
      return { kind: 'ice-restart', generation }
    case KIND.refused:
      return { kind: 'refused', code: codeOfNumber(r.u16()), reason: fromUtf8(r.rest()) }
    case KIND.bye:
      return { kind: 'bye', reason: fromUtf8(r.rest()) }
    case KIND.relay:
      if (body.length > MAX_RELAY_BYTES) throw badFrame(`${body.length} bytes for a relay`)
      return { kind: 'relay', data: body.slice() }
    case KIND.metadata:
      if (body.length > MAX_METADATA_BYTES) throw badFrame(`${body.length} bytes of metadata`)
      return { kind: 'metadata', data: body.slice() }
    case KIND.facts:
      return { kind: 'facts', ...decodeFacts(body) }
    default:
      return undefined
  }
}

function shortText(text: string): Uint8Array {
  // Cut twice, so that a text of any length costs little: a character is one or two units.
  const start = [...text.slice(0, MAX_TEXT_BYTES / 2)]
  return utf8(start.slice(0, MAX_TEXT_BYTES / 4).join(''))
}
