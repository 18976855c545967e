/** Structures of any size or count, signed as they should be: what the code's own writers would refuse. */

import { concat, utf8, type Writer, writer } from '../../src/bytes.ts'
import { HASH_BYTES, KEY_BYTES, SIGNATURE_BYTES, type SignedType, sign } from '../../src/crypto.ts'
import { createDirectory } from '../../src/directory.ts'
import type { Identity } from '../../src/identity.ts'
import { decodeAdvert } from '../../src/records.ts'
import { NETWORK } from '../support/rawedge.ts'

const NO_HASH = new Uint8Array(HASH_BYTES)

export interface AdvertFields {
  readonly tag: Uint8Array
  readonly seq: number
  readonly ttlMs?: number
  readonly infoBytes?: number
  readonly extensionBytes?: number
}

export function craftAdvert(edge: Identity, fields: AdvertFields): Uint8Array {
  const w = writer().u8(1).bytes(edge.keys.publicKey).bytes(fields.tag).u64(fields.seq)
  w.u32(fields.ttlMs ?? 60_000).block(new Uint8Array(fields.infoBytes ?? 0))
  return signed('advert', edge, w.block(extension(fields.extensionBytes ?? 0)))
}

/** A home's first batch: so many removals of nobody. */
export function craftRemovals(home: Identity, epoch: number, count: number): Uint8Array {
  const ops = Array.from({ length: count }, (_, i) => removal(i))
  return craftBatch(home, epoch, ops, 0)
}

/** A home's first batch of so many bytes: adverts, removals of nobody, an extension to fill up. */
export function craftSizedBatch(home: Identity, epoch: number, bytes: number): Uint8Array {
  const room = bytes - craftBatch(home, epoch, [], 0).length
  const advert = (i: number): Uint8Array => {
    const tag = writer(HASH_BYTES).bytes(NO_HASH.subarray(4)).u32(i).done()
    // Large ones, for an edge has only so many.
    const made = craftAdvert(home, { tag, seq: epoch, infoBytes: 200, extensionBytes: 200 })
    return writer().u8(2).block(made).done()
  }
  const [large, small] = [advert(0).length, removal(0).length]
  let adverts = Math.floor(room / large)
  // An extension has no single byte.
  if ((room - adverts * large) % small === 1) adverts -= 1
  const left = room - adverts * large
  const removals = Math.floor(left / small) - (left % small === 1 ? 1 : 0)
  const ops = [
    ...Array.from({ length: adverts }, (_, i) => advert(i)),
    ...Array.from({ length: removals }, (_, i) => removal(i)),
  ]
  return craftBatch(home, epoch, ops, left - removals * small)
}

function craftBatch(
  home: Identity,
  epoch: number,
  ops: readonly Uint8Array[],
  extensionBytes: number,
): Uint8Array {
  const w = writer(1024).u8(1).bytes(home.keys.publicKey).u64(epoch).u64(1)
  w.bytes(NO_HASH)
    .u8(0)
    .bytes(stateAfter(ops))
    .u16(ops.length)
    .bytes(concat(...ops))
  return signed('batch', home, w.block(extension(extensionBytes)))
}

/** What a home's state hashes to after the adverts among these changes. */
function stateAfter(ops: readonly Uint8Array[]): Uint8Array {
  const directory = createDirectory(NETWORK)
  const state = directory.open('', 0, 0)
  for (const op of ops) {
    if (op[0] !== 2) continue
    directory.apply(state, { kind: 'put', record: decodeAdvert(op.subarray(3)) }, 0)
  }
  return state.digest.hash()
}

/** The removal of an edge that nobody knows. */
function removal(number: number): Uint8Array {
  return writer().u8(3).bytes(NO_HASH.subarray(4)).u32(number).u64(1).done()
}

/** The head of a home without records, with these URLs and as many vias. */
export function craftHead(
  home: Identity,
  epoch: number,
  fields: {
    urls?: readonly string[]
    vias?: number
    stunAt?: string
    dhtKeyBytes?: number
    extensionBytes?: number
  },
): Uint8Array {
  const { urls = [], vias = 0, stunAt = '', dhtKeyBytes = 0, extensionBytes = 0 } = fields
  const w = writer(1024).u8(1).bytes(home.keys.publicKey).u64(epoch).u64(0).u64(1)
  w.bytes(NO_HASH).bytes(stateAfter([])).u32(0).block(new Uint8Array(dhtKeyBytes)).u8(urls.length)
  for (const url of urls) w.text(url)
  return signed(
    'head',
    home,
    w
      .u8(vias)
      .bytes(new Uint8Array(vias * KEY_BYTES))
      .text(stunAt)
      .block(extension(extensionBytes)),
  )
}

/** Host and port of a STUN server, so long. */
export function stunAtOf(bytes: number): string {
  return `${'h'.repeat(bytes - 5)}:3478`
}

/** A URL of so many bytes. */
export function urlOf(bytes: number): string {
  const start = 'http://node.example/'
  return start + 'x'.repeat(bytes - utf8(start).length)
}

/** An extension area of so many bytes, of a type that is skipped by who does not know it. */
function extension(bytes: number): Uint8Array {
  if (bytes === 0) return new Uint8Array(0)
  return concat(Uint8Array.of(1, bytes - 2), new Uint8Array(bytes - 2))
}

function signed(type: SignedType, by: Identity, body: Writer): Uint8Array {
  const bytes = body.done()
  const signature = sign(type, NETWORK, bytes, by.keys)
  return writer(bytes.length + SIGNATURE_BYTES)
    .bytes(bytes)
    .bytes(signature)
    .done()
}
