/** Registries for tests: graphql-js executes the schemas of DXNS and laconicd over real HTTP. */

import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { buildSchema, graphql, parse, validate } from 'graphql'
import type { Dialect } from '../../src/registry.ts'

/** A record as its owner wrote it; `null` stands for a hole in a list. */
export interface Published {
  readonly attributes: Readonly<Record<string, unknown>>
  readonly expiryTime?: string
  readonly names?: readonly string[]
}

export interface Registry {
  readonly url: string
  /** What is published, to be changed at any time. */
  records: readonly (Published | null)[]
  /** Answers in place of the schema. */
  behave: ((request: IncomingMessage, response: ServerResponse) => void) | undefined
  /** How often it was asked. */
  readonly asked: number
  close(): Promise<void>
}

const COMMON = `
  type Query { queryRecords(attributes: ATTRIBUTES, all: Boolean): [Record] }`

/** As DXNS and WNS have it: a value is a struct with one field set. */
const STRUCT = `
  type Reference { id: String! }
  input ReferenceInput { id: String! }
  type Value {
    null: Boolean int: Int float: Float string: String boolean: Boolean json: String
    reference: Reference values: [Value]
  }
  input ValueInput {
    null: Boolean int: Int float: Float string: String boolean: Boolean
    reference: ReferenceInput values: [ValueInput]
  }
  type KeyValue { key: String! value: Value! }
  input KeyValueInput { key: String! value: ValueInput! }
  type Record {
    id: String! names: [String!] bondId: String! createTime: String! expiryTime: String!
    owners: [String!] attributes: [KeyValue] references: [Record]
  } ${COMMON.replace('ATTRIBUTES', '[KeyValueInput]')}`

/** As laconicd has it: a value is one of a union, and each member's \`value\` is of another type. */
const UNION = `
  scalar Link
  union Value =
    BooleanValue | IntValue | FloatValue | StringValue | BytesValue | LinkValue | ArrayValue | MapValue
  type BooleanValue { value: Boolean! }
  type IntValue { value: Int! }
  type FloatValue { value: Float! }
  type StringValue { value: String! }
  type BytesValue { value: String! }
  type ArrayValue { value: [Value]! }
  type LinkValue { value: Link! }
  type MapValue { value: [Attribute!]! }
  type Attribute { key: String! value: Value }
  input ValueInput {
    int: Int float: Float string: String boolean: Boolean link: Link array: [ValueInput] map: [KeyValueInput!]
  }
  input KeyValueInput { key: String! value: ValueInput }
  type Record {
    id: String! names: [String!] bondId: String! createTime: String! expiryTime: String!
    owners: [String!] attributes: [Attribute!] references: [Record]
  } ${COMMON.replace('ATTRIBUTES', '[KeyValueInput!]')}`

const SCHEMAS = { struct: buildSchema(STRUCT), union: buildSchema(UNION) }
const IN_AN_HOUR_MS = 3_600_000

/** Starts a registry of the dialect at a free port of loopback, or at the one that is given. */
export async function startRegistry(
  dialect: Dialect,
  records: readonly (Published | null)[] = [],
  port = 0,
): Promise<Registry> {
  let asked = 0
  const server = createServer((request, response) => {
    asked += 1
    if (registry.behave) return registry.behave(request, response)
    void answer(dialect, registry.records, request).then(({ status, body }) => {
      response.writeHead(status, { 'content-type': 'application/json' }).end(body)
    })
  })
  await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve))
  const registry: Registry = {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/api`,
    records,
    behave: undefined,
    get asked() {
      return asked
    },
    close: () => {
      server.closeAllConnections()
      return new Promise((resolve) => server.close(() => resolve()))
    },
  }
  return registry
}

async function answer(
  dialect: Dialect,
  records: readonly (Published | null)[],
  request: IncomingMessage,
): Promise<{ status: number; body: string }> {
  let text = ''
  for await (const chunk of request) text += chunk
  const { query } = JSON.parse(text) as { query: string }
  const schema = SCHEMAS[dialect]
  const errors = validate(schema, parse(query))
  // As gqlgen says it, in which both registries are written.
  if (errors.length > 0) return { status: 422, body: JSON.stringify({ errors, data: null }) }
  const rootValue = {
    queryRecords: ({ attributes, all }: { attributes: KeyValue[]; all?: boolean }) =>
      records
        .filter(
          (record) => record === null || (isAsked(record, attributes) && isNamed(record, all)),
        )
        .map((record) => record && shown(dialect, record)),
  }
  return { status: 200, body: JSON.stringify(await graphql({ schema, source: query, rootValue })) }
}

interface KeyValue {
  readonly key: string
  readonly value: { readonly string?: string }
}

function isAsked({ attributes }: Published, asked: readonly KeyValue[]): boolean {
  return asked.every(({ key, value }) => attributes[key] === value.string)
}

/** Records without a name are shown to who asks for all alone. */
function isNamed({ names = [] }: Published, all = false): boolean {
  return all || names.length > 0
}

function shown(dialect: Dialect, { attributes, names = [], expiryTime }: Published): object {
  const now = Date.now()
  return {
    id: 'bafyreib',
    names,
    bondId: 'bond',
    createTime: new Date(now).toISOString(),
    expiryTime: expiryTime ?? new Date(now + IN_AN_HOUR_MS).toISOString().replace('Z', '000000Z'),
    owners: ['owner'],
    attributes: encode(dialect, attributes),
  }
}

function encode(dialect: Dialect, attributes: Readonly<Record<string, unknown>>): unknown[] {
  const pairs = Object.entries(attributes)
  // A list of DXNS may hold nulls.
  if (dialect === 'struct')
    return [...pairs.map(([key, value]) => ({ key, value: inStruct(value) })), null]
  return pairs.map(([key, value]) => ({ key, value: inUnion(value) }))
}

function inStruct(value: unknown): object {
  if (value === null) return { null: true }
  if (typeof value === 'string') return { string: value }
  if (typeof value === 'boolean') return { boolean: value }
  if (typeof value === 'number') return Number.isInteger(value) ? { int: value } : { float: value }
  if (Array.isArray(value)) return { values: value.map(inStruct) }
  return { json: JSON.stringify(value) }
}

function inUnion(value: unknown): object | null {
  if (value === null) return null
  if (typeof value === 'string') return { __typename: 'StringValue', value }
  if (typeof value === 'boolean') return { __typename: 'BooleanValue', value }
  if (typeof value === 'number') {
    return { __typename: Number.isInteger(value) ? 'IntValue' : 'FloatValue', value }
  }
  if (Array.isArray(value)) return { __typename: 'ArrayValue', value: value.map(inUnion) }
  return { __typename: 'MapValue', value: encode('union', value as Record<string, unknown>) }
}

/** What stands in every record of a node. */
export function published(more: Readonly<Record<string, unknown>>): Published {
  return { attributes: { type: 'wrn:service', service: 'signal', ...more } }
}
