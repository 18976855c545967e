/** What two edges say inside sealed signals: typed items, of which unknown ones are skipped. */

import { badFrame, fromUtf8, reader, utf8, writer } from '../bytes.ts'
import { CODE_NUMBERS, codeOfNumber, type ErrorCode } from '../errors.ts'
import { MAX_METADATA_BYTES, MAX_SIGNAL_BYTES, MAX_TEXT_BYTES } from '../limits.ts'

export type Item =
  | { readonly kind: 'description'; readonly type: 'offer' | 'answer'; readonly sdp: string }
  | {
      readonly kind: 'candidate'
      readonly candidate: string
      readonly sdpMid: string | null
      readonly sdpMLineIndex: number | null
    }
  | { readonly kind: 'renegotiate' }
  | { readonly kind: 'transceiver'; readonly media: 'audio' | 'video' }
  | { readonly kind: 'refused'; readonly code: ErrorCode; readonly reason: string }
  | { readonly kind: 'bye'; readonly reason: string }
  | { readonly kind: 'metadata'; readonly data: Uint8Array }

/** Numbers of the kinds. Left free: end of candidates 3, ICE restart 6, relay control 11, topic 12. */
const KIND = {
  description: 1,
  candidate: 2,
  renegotiate: 4,
  transceiver: 5,
  refused: 7,
  bye: 10,
  metadata: 13,
} as const

const NO_INDEX = 0xffff

/** The plaintext of a sealed signal: the next counter awaited from the other side, then the items. */
export interface Plain {
  readonly ack: number
  readonly items: readonly Item[]
}

export function encodePlain(plain: Plain): Uint8Array {
  const w = writer(1024).u32(plain.ack)
  for (const item of plain.items) w.u8(KIND[item.kind]).block(encodeItem(item))
  return w.done()
}

export function decodePlain(bytes: Uint8Array): Plain {
  const r = reader(bytes)
  const ack = r.u32()
  const items: Item[] = []
  while (r.left > 0) {
    const kind = r.u8()
    const item = decodeItem(kind, r.block(MAX_SIGNAL_BYTES))
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
    case 'renegotiate':
      return new Uint8Array(0)
    case 'transceiver':
      return utf8(item.media)
    case 'refused':
      return writer().u16(CODE_NUMBERS[item.code]).bytes(shortText(item.reason)).done()
    case 'bye':
      return shortText(item.reason)
    case 'metadata':
      return item.data
  }
}

function decodeItem(kind: number, body: Uint8Array): Item | undefined {
  const r = reader(body)
  switch (kind) {
    case KIND.description: {
      const type = r.u8()
      if (type !== 1 && type !== 2) throw badFrame(`a description of type ${type}`)
      return { kind: 'description', type: type === 1 ? 'offer' : 'answer', sdp: fromUtf8(r.rest()) }
    }
    case KIND.candidate: {
      const index = r.u16()
      const hasMid = r.u8() === 1
      const mid = r.text(MAX_TEXT_BYTES)
      return {
        kind: 'candidate',
        sdpMLineIndex: index === NO_INDEX ? null : index,
        sdpMid: hasMid ? mid : null,
        candidate: fromUtf8(r.rest()),
      }
    }
    case KIND.renegotiate:
      return { kind: 'renegotiate' }
    case KIND.transceiver: {
      const media = fromUtf8(r.rest())
      if (media !== 'audio' && media !== 'video') throw badFrame('an unknown kind of media')
      return { kind: 'transceiver', media }
    }
    case KIND.refused:
      return { kind: 'refused', code: codeOfNumber(r.u16()), reason: fromUtf8(r.rest()) }
    case KIND.bye:
      return { kind: 'bye', reason: fromUtf8(r.rest()) }
    case KIND.metadata:
      if (body.length > MAX_METADATA_BYTES) throw badFrame(`${body.length} bytes of metadata`)
      return { kind: 'metadata', data: body.slice() }
    default:
      return undefined
  }
}

function shortText(text: string): Uint8Array {
  // Cut twice, so that a text of any length costs little: a character is one or two units.
  const start = [...text.slice(0, MAX_TEXT_BYTES / 2)]
  return utf8(start.slice(0, MAX_TEXT_BYTES / 4).join(''))
}
