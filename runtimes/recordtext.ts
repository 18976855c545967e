/** A node's record as it is published: for laconicd, for DXNS, and as a line of a domain's zone. */

import { type MeshRecord, txtOf } from '../src/registryrecord.ts'

export interface Publishable {
  /** The attributes by their names, flat, as laconicd's own program takes them. */
  readonly laconicd: { readonly record: Readonly<Record<string, string | boolean>> }
  /** The same as DXNS has them. */
  readonly dxns: { readonly attributes: readonly KeyValue[] }
  /** One line of a zone, for the name `_signal-mesh` in it. */
  readonly txt: string
}

interface KeyValue {
  readonly key: string
  readonly value: { readonly string: string } | { readonly boolean: boolean }
}

/** A string in a zone holds so many bytes; a longer text is several. */
const STRING_CHARS = 255

export function publishable(record: MeshRecord): Publishable {
  const { url, bootstrap, relay, node, network } = record
  const attributes = {
    type: 'wrn:service',
    service: 'signal',
    active: true,
    ...(url !== undefined && { url }),
    ...(bootstrap !== undefined && { bootstrap }),
    ...(relay !== undefined && { relay }),
    ...(node !== undefined && { nodeId: node }),
    ...(network !== undefined && { network }),
  }
  const inDxns = Object.entries(attributes).map(
    ([key, value]): KeyValue => ({
      key,
      value: typeof value === 'boolean' ? { boolean: value } : { string: value },
    }),
  )
  const strings = txtOf(record).match(new RegExp(`.{1,${STRING_CHARS}}`, 'g')) ?? []
  return {
    laconicd: { record: attributes },
    dxns: { attributes: inDxns },
    txt: `_signal-mesh IN TXT ${strings.map((text) => JSON.stringify(text)).join(' ')}`,
  }
}

/** For people: each form under a line that says where it goes. */
export function recordText(network: string, record: MeshRecord): string {
  const { laconicd, dxns, txt } = publishable(record)
  // Texts of JSON are texts of YAML.
  const yaml = Object.entries(laconicd.record).map(
    ([key, value]) => `  ${key}: ${JSON.stringify(value)}`,
  )
  return `# Node ${record.node} of network ${JSON.stringify(network)}

# laconicd; publish it by: laconic registry record publish --filename record.yml
record:
${yaml.join('\n')}

# DXNS: the attributes of the record
${JSON.stringify(dxns.attributes)}

# DNS: in the zone of your domain
${txt}
`
}
