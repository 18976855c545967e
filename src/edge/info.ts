/** The info of an advert: a few bytes of the application, for those who have the topic's key. */

import { fromHex, writer } from '../bytes.ts'
import { hashNames } from '../crypto.ts'
import { type CipherKey, cipherKey, openAt, sealAt } from '../noise.ts'
import type { Advert } from '../records.ts'

/** The place is in the key, so that nothing need stand beside it. */
const NO_HEADER = new Uint8Array(0)

/** Where a piece of info stands: one key for each, since an edge signs no `seq` twice. */
export type InfoPlace = Pick<Advert, 'peerKey' | 'tag' | 'seq'>

/** Seals it for its place; nothing stays nothing. */
export function sealInfo(topicKey: Uint8Array, place: InfoPlace, info: Uint8Array): Uint8Array {
  return info.length === 0 ? info : sealAt(keyOf(topicKey, place), 0, NO_HEADER, info)
}

/** What the edge says of itself; nothing where that was not sealed for this topic and this place. */
export function openInfo(
  topicKey: Uint8Array,
  advert: InfoPlace & { info: Uint8Array },
): Uint8Array {
  if (advert.info.length === 0) return advert.info
  try {
    return openAt(keyOf(topicKey, advert), 0, NO_HEADER, advert.info)
  } catch {
    return new Uint8Array(0)
  }
}

function keyOf(topicKey: Uint8Array, { peerKey, tag, seq }: InfoPlace): CipherKey {
  const names = [peerKey, fromHex(tag), writer(8).u64(seq).done()]
  return cipherKey(hashNames('info', names, topicKey))
}
