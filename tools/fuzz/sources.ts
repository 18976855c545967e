/** What sources of nodes answer, as targets: registries in both dialects, TXT records, kept lists, the local network. */

import { lanPeers } from '../../runtimes/lananswer.ts'
import { utf8 } from '../../src/bytes.ts'
import { readRegistry } from '../../src/registry.ts'
import {
  decodeKept,
  encodeKept,
  type MeshRecord,
  readTxt,
  recordOf,
  txtOf,
} from '../../src/registryrecord.ts'
import { type Decoder, targetsOf } from './decoder.ts'
import { must, type Target } from './target.ts'

const RECORD: MeshRecord = {
  url: 'https://a.example',
  bootstrap: 'b.example:49737',
  node: 'a1'.repeat(32),
  network: 'b2'.repeat(32),
}
const FIELDS = {
  type: 'wrn:service',
  service: 'signal',
  active: 'true',
  nodeId: RECORD.node,
  ...RECORD,
}
const texts = Object.entries(FIELDS).map(([key, string]) => ({ key, value: { string } }))
const json = JSON.stringify({ url: RECORD.url, active: true })
const expiryTime = '2099-01-01T00:00:00.000000000Z'
const attributes = [...texts.slice(0, 2), { key: 'signal', value: { json } }, null]
const nested = [...texts.slice(0, 2), { key: 'signal', value: { map: texts } }]
const lists = [texts, attributes, nested].map((list) => ({ expiryTime, attributes: list }))

const decoders: Readonly<Record<string, Decoder>> = {
  registry: {
    seeds: [
      ...lists.map((record) => utf8(JSON.stringify({ data: { queryRecords: [record, null] } }))),
      utf8('{"data":null,"errors":[{"message":"Unknown type"}]}'),
    ],
    codes: ['BAD_FRAME', 'TOO_LARGE'],
    decode: (bytes) => {
      const { records = [] } = readRegistry(new TextDecoder().decode(bytes), 0) ?? {}
      for (const record of records) check(record)
    },
  },
  txt: {
    seeds: [utf8(txtOf(RECORD)), utf8('v=signal-mesh1 active=false')],
    decode: (bytes) => {
      const record = readTxt(new TextDecoder().decode(bytes))
      if (!record) return
      check(record)
      must(same(readTxt(txtOf(record)), record), 'A record is not written as it was read')
    },
  },
  keptSources: {
    seeds: [encodeKept({ 'dns a.example': [RECORD], 'last run': [] })],
    codes: ['DATA_UNREADABLE'],
    decode: (bytes) => {
      const kept = decodeKept(bytes)
      for (const record of Object.values(kept).flat()) check(record)
      must(same(decodeKept(encodeKept(kept)), kept), 'A list is not kept as it was read')
    },
  },
  lan: {
    seeds: [utf8(`id=${RECORD.node}`), utf8(`network=${RECORD.network}`)],
    decode: (bytes) => {
      const name = 'a._signal-mesh._tcp.local'
      const srv = { name, type: 'SRV', data: { port: bytes[0] ?? 0 } }
      const own = [utf8(`id=${RECORD.node}`), utf8(`network=${RECORD.network}`), bytes]
      const answers = [srv, { name, type: 'TXT', data: own }]
      for (const peer of lanPeers('_signal-mesh._tcp.local', answers, '192.0.2.7')) {
        must(new URL(peer.url).hostname === '192.0.2.7', 'It names another machine')
        check({ url: peer.url, node: peer.node ?? '', network: peer.network ?? '' })
      }
    },
  },
}

export const sourceTargets: readonly Target[] = targetsOf(decoders)

/** Whatever was read is a record, and nothing else comes along. */
function check(record: MeshRecord): void {
  must(same(recordOf({ ...record }), record), 'What was read is no record')
}

function same(a: unknown, b: unknown): boolean {
  return JSON.stringify(a) === JSON.stringify(b)
}
