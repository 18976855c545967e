/** Registries: how DXNS and laconicd are asked for records of nodes, and what their answers say. */

import { SignalMeshError } from './errors.ts'
import {
  MAX_MEMBERS,
  MAX_RECORD_ATTRIBUTES,
  MAX_RECORD_TEXT_BYTES,
  MAX_REGISTRY_BYTES,
} from './limits.ts'
import { type MeshRecord, recordOf } from './registryrecord.ts'

/** How a registry writes values: as members of a union, or as a struct of which one field is set. */
export type Dialect = 'union' | 'struct'

export interface RegistryAnswer {
  readonly records: readonly MeshRecord[]
  /** How many there were that expired, are inactive, or make no sense. */
  readonly dropped: number
}

type Fields = Readonly<Record<string, unknown>>

const TYPE = 'wrn:service'
const SERVICE = 'signal'

/** Members of the union have values of different types, which only aliases can stand side by side. */
const SCALARS = `
  ... on BooleanValue { boolean: value } ... on IntValue { int: value }
  ... on FloatValue { float: value } ... on StringValue { string: value }`
const VALUES: Readonly<Record<Dialect, string>> = {
  union: `__typename ${SCALARS} ... on MapValue { map: value { key value { __typename ${SCALARS} } } }`,
  struct: 'null int float string boolean json',
}

/** What a registry of the dialect is asked; without `all` it would leave out records without a name. */
export function registryQuery(dialect: Dialect): string {
  const attributes = `[{ key: "type", value: { string: "${TYPE}" } }, { key: "service", value: { string: "${SERVICE}" } }]`
  return `{ queryRecords(attributes: ${attributes}, all: true) {
    id expiryTime attributes { key value { ${VALUES[dialect]} } } } }`
}

/**
 * Reads an answer; `undefined` if the registry does not know what it was asked for, as one of the
 * other dialect does not.
 * @throws SignalMeshError `BAD_FRAME` for what is no answer, `TOO_LARGE`
 */
export function readRegistry(body: string, nowMs: number): RegistryAnswer | undefined {
  if (body.length > MAX_REGISTRY_BYTES) {
    throw new SignalMeshError('TOO_LARGE', `The answer is over ${MAX_REGISTRY_BYTES} bytes`)
  }
  const answer = objectOf(jsonOf(body))
  const list = objectOf(answer?.['data'])?.['queryRecords']
  if (!Array.isArray(list)) {
    if (Array.isArray(answer?.['errors']) && answer['errors'].length > 0) return undefined
    throw new SignalMeshError('BAD_FRAME', 'The answer holds no list of records')
  }
  if (list.length > MAX_MEMBERS) {
    throw new SignalMeshError('TOO_LARGE', `The answer holds more than ${MAX_MEMBERS} records`)
  }
  const records = list.flatMap((item) => readRecord(item, nowMs) ?? [])
  return { records, dropped: list.length - records.length }
}

/** The record of one item; `undefined` if it is none, expired, inactive, or of another service. */
function readRecord(item: unknown, nowMs: number): MeshRecord | undefined {
  const record = objectOf(item)
  const attributes = record?.['attributes']
  if (!Array.isArray(attributes) || attributes.length > MAX_RECORD_ATTRIBUTES) return undefined
  if (isOver(record?.['expiryTime'], nowMs)) return undefined
  const fields = fieldsOf(attributes)
  if (fields['type'] !== TYPE || fields['service'] !== SERVICE) return undefined
  // What a registry without flat attributes holds in one object.
  const nested = objectOf(fields['signal']) ?? {}
  const { active = nested['active'], url = nested['url'] } = fields
  const { bootstrap = nested['bootstrap'], nodeId = nested['nodeId'] } = fields
  const { network = nested['network'], relay = nested['relay'] } = fields
  if (active !== undefined && active !== true && active !== 'true') return undefined
  return recordOf({ url, bootstrap, relay, node: nodeId, network })
}

/** Attributes by their keys; lists may hold nulls. */
function fieldsOf(attributes: readonly unknown[], isInMap = false): Fields {
  const entries = attributes.flatMap((item): [string, unknown][] => {
    const { key, value } = objectOf(item) ?? {}
    return typeof key === 'string' ? [[key, plainValue(value, isInMap)]] : []
  })
  return Object.fromEntries(entries)
}

/** A value of either dialect; `undefined` for one that is null or of no use here. */
function plainValue(value: unknown, isInMap: boolean): unknown {
  const { string, boolean, int, float, json, map } = objectOf(value) ?? {}
  if (typeof string === 'string') return string.length <= MAX_RECORD_TEXT_BYTES ? string : null
  if (typeof json === 'string') {
    return json.length <= MAX_RECORD_TEXT_BYTES ? objectOf(jsonOf(json)) : null
  }
  // No map in a map is asked for, and many of them would fill the stack.
  if (Array.isArray(map)) {
    return !isInMap && map.length <= MAX_RECORD_ATTRIBUTES ? fieldsOf(map, true) : null
  }
  return boolean ?? int ?? float ?? undefined
}

/** Times as Go writes them: with nanoseconds, and without a zone where it is UTC. */
function isOver(time: unknown, nowMs: number): boolean {
  if (time === undefined || time === null || time === '') return false
  if (typeof time !== 'string') return true
  const match = /^(\d{4}-\d\d-\d\d)[T ](\d\d:\d\d:\d\d)(?:\.\d+)? ?(Z|[+-]\d\d:?\d\d)?/.exec(time)
  const zone = (match?.[3] ?? 'Z').replace(/^(...)(\d\d)$/, '$1:$2')
  const atMs = match ? Date.parse(`${match[1]}T${match[2]}${zone}`) : Number.NaN
  // A time that cannot be read may be over.
  return !(atMs > nowMs)
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

function objectOf(value: unknown): Fields | undefined {
  return typeof value === 'object' && value !== null ? (value as Fields) : undefined
}
