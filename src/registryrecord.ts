/** Records: where a node of the mesh is, as a registry, a domain or this node's own memory tells it. */

import { authorityOf, reachOf } from './authority.ts'
import { fromUtf8, utf8 } from './bytes.ts'
import { SignalMeshError } from './errors.ts'
import type { NodeId } from './identity.ts'
import { MAX_KEPT_BYTES, MAX_MEMBERS, MAX_TXT_BYTES, MAX_URL_BYTES } from './limits.ts'

/** At least one of them is there. */
export interface MeshRecord {
  /** Where the node takes edges, and links of other nodes at `/mesh`. */
  readonly url?: string
  /** A node of the DHT, as `host:port`. */
  readonly bootstrap?: string
  /** Whether it lends its DHT, at that URL, to nodes that cannot be on one. */
  readonly relay?: true
  readonly node?: NodeId
  /** The id of the network that it serves, in hex; without it, whichever is meant. */
  readonly network?: string
}

/** Lists of records by the source that they came from. */
export type Kept = Readonly<Record<string, readonly MeshRecord[]>>

/** With what the text of a TXT record begins that is one of ours. */
const TXT_MARK = 'v=signal-mesh1'
const KEPT_FORMAT = 1

/** Where the TXT records of a domain stand. */
export function txtName(domain: string): string {
  return `_signal-mesh.${domain}`
}

/** The record of these fields; `undefined` if one of them is wrong, or none is there. */
export function recordOf(fields: Readonly<Record<string, unknown>>): MeshRecord | undefined {
  const { url, bootstrap, relay, node, network } = fields
  const lends = relay === true || relay === 'true'
  if (relay !== undefined && !lends && relay !== false && relay !== 'false') return undefined
  if (url !== undefined && !isNodeUrl(url)) return undefined
  if (bootstrap !== undefined && !isHostPort(bootstrap)) return undefined
  if (node !== undefined && !isKey(node)) return undefined
  if (network !== undefined && !isKey(network)) return undefined
  if (url === undefined && bootstrap === undefined && node === undefined) return undefined
  return {
    ...(url !== undefined && { url: url.replace(/^ws/i, 'http') }),
    ...(bootstrap !== undefined && { bootstrap }),
    ...(url !== undefined && lends && { relay: true as const }),
    ...(node !== undefined && { node: node.toLowerCase() }),
    ...(network !== undefined && { network: network.toLowerCase() }),
  }
}

/**
 * What of a record may be used where local addresses may not: who writes a record could otherwise make
 * nodes knock at their own network. Names are looked at again once they are looked up.
 */
export function publicPart({ url, bootstrap, ...rest }: MeshRecord): MeshRecord | undefined {
  return recordOf({
    url: url !== undefined && reachOf(authorityOf(url)) === 'public' ? url : undefined,
    bootstrap: bootstrap !== undefined && reachOf(bootstrap) === 'public' ? bootstrap : undefined,
    ...rest,
  })
}

/** The record in the text of a TXT record; `undefined` if that is something else, or wrong. */
export function readTxt(text: string): MeshRecord | undefined {
  if (utf8(text).length > MAX_TXT_BYTES) return undefined
  const [mark, ...words] = text.trim().split(/\s+/)
  if (mark !== TXT_MARK) return undefined
  const fields: Record<string, string> = {}
  for (const word of words) {
    const at = word.indexOf('=')
    const key = word.slice(0, Math.max(0, at))
    // Of two that say the same nobody knows which is meant.
    if (Object.hasOwn(fields, key)) return undefined
    fields[key] = word.slice(at + 1)
  }
  return fields['active'] === 'false' ? undefined : recordOf(fields)
}

export function txtOf(record: MeshRecord): string {
  const words = (['url', 'bootstrap', 'relay', 'node', 'network'] as const).flatMap((key) =>
    record[key] === undefined ? [] : [`${key}=${record[key]}`],
  )
  return [TXT_MARK, ...words].join(' ')
}

export function encodeKept(kept: Kept): Uint8Array {
  return utf8(JSON.stringify({ format: KEPT_FORMAT, sources: kept }))
}

/** @throws SignalMeshError `DATA_UNREADABLE` for what this program did not write */
export function decodeKept(bytes: Uint8Array): Kept {
  if (bytes.length > MAX_KEPT_BYTES) throw damaged()
  const { format, sources } = objectOf(jsonOf(bytes))
  if (format !== KEPT_FORMAT) throw damaged()
  const lists = Object.entries(objectOf(sources)).map(([key, list]) => {
    if (!Array.isArray(list) || list.length > MAX_MEMBERS) throw damaged()
    return [key, list.flatMap((fields) => recordOf(objectOf(fields)) ?? [])]
  })
  return Object.fromEntries(lists) as Kept
}

function jsonOf(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(fromUtf8(bytes))
  } catch (cause) {
    throw damaged(cause)
  }
}

function objectOf(value: unknown): Readonly<Record<string, unknown>> {
  if (typeof value !== 'object' || value === null) throw damaged()
  return value as Readonly<Record<string, unknown>>
}

function damaged(cause?: unknown): SignalMeshError {
  return new SignalMeshError('DATA_UNREADABLE', 'The kept list of nodes is damaged', { cause })
}

function isKey(value: unknown): value is string {
  return typeof value === 'string' && /^[0-9a-f]{64}$/i.test(value)
}

/** A URL of a node: no name and password go to whom a record names, nor anything after the path. */
function isNodeUrl(value: unknown): value is string {
  if (typeof value !== 'string' || utf8(value).length > MAX_URL_BYTES) return false
  if (!/^(https?|wss?):\/\/[^\s?#]+$/i.test(value) || !URL.canParse(value)) return false
  const { username, password } = new URL(value)
  return username + password === ''
}

/** A name or an IPv4 address, which is all that the DHT knows, and a port. */
function isHostPort(value: unknown): value is string {
  if (typeof value !== 'string' || value.length > MAX_URL_BYTES) return false
  const match = /^[a-z0-9_][\w.-]*:(\d{1,5})$/i.exec(value)
  return match !== null && Number(match[1]) >= 1 && Number(match[1]) <= 65_535
}
