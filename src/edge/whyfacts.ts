/** Facts of one side's network on the wire: fields of which unknown ones are skipped. */

import { badFrame, type Reader, reader, writer } from '../bytes.ts'
import { MAX_FACTS_BYTES, MAX_FACTS_CODES } from '../limits.ts'
import type { NetFacts } from './why.ts'

/** What one side tells the other: its facts, and whether it gave up for want of a path. */
export interface SaidFacts {
  readonly facts: NetFacts
  readonly gaveUp: boolean
}

const FIELD = {
  mapping: 1,
  udp: 2,
  candidates: 3,
  stun: 4,
  turn: 5,
  codes: 6,
  policy: 7,
  ipVersions: 8,
} as const
const GAVE_UP = 2
const RELAY_ONLY = 1

const MAPPINGS = ['unknown', 'none', 'endpoint-independent', 'address-dependent'] as const
/** Each version of IP has a bit. */
const IP_VERSIONS = [4, 6] as const
const UDP = ['unknown', 'open', 'blocked'] as const

export const NO_FACTS: NetFacts = {
  mapping: 'unknown',
  filtering: 'unknown',
  udp: 'unknown',
  candidates: { host: 0, srflx: 0, relay: 0 },
  ipVersions: [],
  stun: { asked: 0, failed: 0 },
  turn: { asked: 0, failed: 0, codes: [] },
  relayOnly: false,
}

export function encodeFacts({ facts, gaveUp }: SaidFacts): Uint8Array {
  const { candidates, stun, turn } = facts
  const w = writer(64)
  const field = (type: number, ...values: readonly number[]): void => {
    w.u8(type).u8(values.length)
    for (const value of values) w.u8(Math.min(value, 255))
  }
  field(FIELD.mapping, MAPPINGS.indexOf(facts.mapping))
  field(FIELD.udp, UDP.indexOf(facts.udp))
  field(FIELD.candidates, candidates.host, candidates.srflx, candidates.relay)
  field(FIELD.stun, stun.asked, stun.failed)
  field(FIELD.turn, turn.asked, turn.failed)
  const codes = turn.codes.slice(0, MAX_FACTS_CODES)
  if (codes.length) field(FIELD.codes, ...codes.flatMap((code) => [code >>> 8, code & 255]))
  const policy = (facts.relayOnly ? RELAY_ONLY : 0) | (gaveUp ? GAVE_UP : 0)
  if (policy) field(FIELD.policy, policy)
  const versions = IP_VERSIONS.map((version, bit) =>
    facts.ipVersions.includes(version) ? 1 << bit : 0,
  )
  const bits = versions.reduce((all, one) => all | one, 0)
  if (bits) field(FIELD.ipVersions, bits)
  return w.done()
}

/** @throws SignalMeshError `BAD_FRAME` */
export function decodeFacts(bytes: Uint8Array): SaidFacts {
  if (bytes.length > MAX_FACTS_BYTES) throw badFrame(`${bytes.length} bytes of facts`)
  const r = reader(bytes)
  let facts = NO_FACTS
  let gaveUp = false
  while (r.left > 0) {
    const type = r.u8()
    const value = reader(r.bytes(r.u8()))
    if (type === FIELD.policy) {
      const policy = value.u8()
      gaveUp = (policy & GAVE_UP) !== 0
      facts = { ...facts, relayOnly: (policy & RELAY_ONLY) !== 0 }
    } else facts = { ...facts, ...factOf(facts, type, value) }
  }
  return { facts, gaveUp }
}

/** Whatever stands behind what is known here is of a later version. */
function factOf({ turn }: NetFacts, type: number, r: Reader): Partial<NetFacts> {
  switch (type) {
    case FIELD.mapping:
      return { mapping: MAPPINGS[r.u8()] ?? 'unknown' }
    case FIELD.udp:
      return { udp: UDP[r.u8()] ?? 'unknown' }
    case FIELD.candidates:
      return { candidates: { host: r.u8(), srflx: r.u8(), relay: r.u8() } }
    case FIELD.stun:
      return { stun: { asked: r.u8(), failed: r.u8() } }
    case FIELD.turn:
      return { turn: { ...turn, asked: r.u8(), failed: r.u8() } }
    case FIELD.codes: {
      const codes = Array.from({ length: Math.min(r.left >> 1, MAX_FACTS_CODES) }, () => r.u16())
      return { turn: { ...turn, codes } }
    }
    case FIELD.ipVersions: {
      const bits = r.u8()
      return { ipVersions: IP_VERSIONS.filter((_, bit) => bits & (1 << bit)) }
    }
    default:
      return {}
  }
}
