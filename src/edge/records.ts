/** An edge's own records: signs its presence and adverts, each above all that it signed before. */

import { equal, toHex } from '../bytes.ts'
import type { Clock } from '../clock.ts'
import type { KeyPair } from '../crypto.ts'
import type { Identity } from '../identity.ts'
import { ADVERT_RENEW_MS, MAX_RECORD_TTL_MS, RECORD_TTL_MS } from '../limits.ts'
import {
  type Advert,
  type AdvertFields,
  advertBody,
  decodePresence,
  isAuthentic,
  type Presence,
  type PresenceFields,
  presenceBody,
  signAdvert,
  signPresence,
} from '../records.ts'
import type { Want } from './native.ts'
import { signing } from './wants.ts'

export interface OwnRecordsOptions {
  readonly networkId: Uint8Array
  readonly identity: Identity
  /** This session's X25519 keys. */
  readonly boxKeys: KeyPair
  readonly clock: Clock
}

export interface OwnRecords {
  /** The presence last signed. */
  readonly presence: Presence | undefined
  /** From now on, time is what this home said that it was at `heardAtMs` of the monotonic clock. */
  follow(homeNowMs: number, heardAtMs: number): void
  signPresence(homeKey: Uint8Array): Presence
  /** A presence for this home and fresh adverts of all topics, yet to be signed. */
  draft(homeKey: Uint8Array): Draft
  /** The topics that the edge is in. */
  readonly tags: readonly Uint8Array[]
  /** Takes a topic on; the returned function takes that back. */
  add(tag: Uint8Array, info: InfoOf): () => void
  remove(tag: Uint8Array): void
  /** A fresh advert of one topic; `undefined` if it was removed. */
  signAdvert(tag: Uint8Array): Advert | undefined
  /** Fresh adverts of the topics whose last ones are old. */
  renewAdverts(): Advert[]
  /** Signs above this record from now on. Gives it back if it is this edge's own. */
  heed(evidence: Uint8Array | undefined): Presence | undefined
  /** A home finds the records too far in the future: forgets how high they were. */
  startOver(): void
  /** Whether a presence of this edge was signed by another session than this. */
  isOfOtherSession(presence: Presence): boolean
}

/** Records that are only to be signed. */
export interface Draft {
  /** To sign them. */
  readonly wants: () => readonly Want[]
  sign(): { readonly presence: Presence; readonly adverts: readonly Advert[] }
}

/** The sealed info of an advert that is about to be signed with this `seq`. */
export type InfoOf = (seq: number) => Uint8Array

interface OwnAdvert {
  readonly tag: Uint8Array
  readonly info: InfoOf
  /** When its last advert counts as old, by the monotonic clock. */
  renewAtMs: number
}

export function createOwnRecords(options: OwnRecordsOptions): OwnRecords {
  const { networkId, identity, boxKeys, clock } = options
  const adverts = new Map<string, OwnAdvert>()
  let presence: Presence | undefined
  let lastSeq = 0
  let offsetMs = 0

  const nextSeq = (): number => {
    // Its home's time, since that is what the home compares with; this machine's own may be any.
    lastSeq = Math.max(lastSeq + 1, clock.monotonicMs() + offsetMs)
    return lastSeq
  }

  const presenceFields = (homeKey: Uint8Array): PresenceFields => ({
    homeKey,
    boxKey: boxKeys.publicKey,
    seq: nextSeq(),
    ttlMs: RECORD_TTL_MS,
  })

  const signWith = (fields: PresenceFields): Presence => {
    presence = signPresence(networkId, identity.keys, fields)
    return presence
  }

  const fieldsOf = (own: OwnAdvert): AdvertFields => {
    const { tag, info } = own
    const seq = nextSeq()
    // A little sooner or later, so that topics that began together do not stay so.
    own.renewAtMs = clock.monotonicMs() + ADVERT_RENEW_MS * (0.9 + Math.random() * 0.2)
    return { tag, info: info(seq), seq, ttlMs: MAX_RECORD_TTL_MS }
  }

  const sign = (own: OwnAdvert): Advert => signAdvert(networkId, identity.keys, fieldsOf(own))

  return {
    get presence() {
      return presence
    },
    follow: (homeNowMs, heardAtMs) => {
      offsetMs = homeNowMs - heardAtMs
    },
    signPresence: (homeKey) => signWith(presenceFields(homeKey)),
    draft: (homeKey) => {
      const { keys } = identity
      const fields = presenceFields(homeKey)
      const allFields = [...adverts.values()].map(fieldsOf)
      return {
        wants: () => [
          signing('presence', networkId, presenceBody(keys, fields), keys),
          ...allFields.map((one) => signing('advert', networkId, advertBody(keys, one), keys)),
        ],
        sign: () => {
          const adverts = allFields.map((one) => signAdvert(networkId, keys, one))
          return { presence: signWith(fields), adverts }
        },
      }
    },
    get tags() {
      return [...adverts.values()].map(({ tag }) => tag)
    },
    add: (tag, info) => {
      const key = toHex(tag)
      const before = adverts.get(key)
      const advert = { tag, info, renewAtMs: 0 }
      adverts.set(key, advert)
      return () => {
        if (adverts.get(key) !== advert) return
        if (before) adverts.set(key, before)
        else adverts.delete(key)
      }
    },
    remove: (tag) => void adverts.delete(toHex(tag)),
    signAdvert: (tag) => {
      const advert = adverts.get(toHex(tag))
      return advert && sign(advert)
    },
    renewAdverts: () =>
      [...adverts.values()].filter(({ renewAtMs }) => renewAtMs <= clock.monotonicMs()).map(sign),
    heed: (evidence) => {
      const newer = evidence && ownPresence(options, evidence)
      if (newer) lastSeq = Math.max(lastSeq, newer.seq)
      return newer
    },
    startOver: () => {
      lastSeq = 0
    },
    isOfOtherSession: ({ boxKey }) => !equal(boxKey, boxKeys.publicKey),
  }
}

/** The presence, if this edge signed it: a home could otherwise name any number. */
function ownPresence(options: OwnRecordsOptions, bytes: Uint8Array): Presence | undefined {
  try {
    const presence = decodePresence(bytes)
    const isOwn = presence.peer === options.identity.id && isAuthentic(options.networkId, presence)
    return isOwn ? presence : undefined
  } catch {
    return undefined
  }
}
