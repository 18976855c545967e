/** What one advert for each topic costs beside one salted Merkle root over all topics; kept in results/records.json. */

import { mkdirSync, writeFileSync } from 'node:fs'
import { opBytes } from '../src/batch.ts'
import { HASH_BYTES, signingKeyPair } from '../src/crypto.ts'
import { ADVERT_RENEW_MS, AUDIT_ONE_IN, RECORD_RENEW_MS, RECORD_TTL_MS } from '../src/limits.ts'
import { type EdgeRecord, isAuthentic, signAdvert, signPresence } from '../src/records.ts'
import { networkId, topicTag } from '../src/topic.ts'

const TOPICS = [1, 4, 16, 64]
const EDGES = 1_000_000
const CHECKS = 4_000
const ROUNDS = 7
/** Without a salt, who is shown a path could guess the topics beside it. */
const SALT_BYTES = 16
/** Before `info`, and before a record in a batch, stands its length; before that, its kind. */
const LENGTH_BYTES = 2
const KIND_BYTES = 1

const network = networkId('main')
const keys = signingKeyPair(new Uint8Array(32).fill(1))
const common = { seq: Date.now(), ttlMs: RECORD_TTL_MS }
const key = new Uint8Array(32).fill(2)
const presence = signPresence(network, keys, { homeKey: key, boxKey: key, ...common })
const info = new Uint8Array(0)
const advert = signAdvert(network, keys, { tag: topicTag('main', 'bench'), info, ...common })

/** The presence with a root in it, and what nodes hold of each topic to find edges by it. */
const rooted = presence.bytes.length + HASH_BYTES
const leaf = HASH_BYTES + SALT_BYTES + LENGTH_BYTES + info.length
const perHour = (EDGES * 3_600_000) / RECORD_RENEW_MS
/** An advert is signed again less often than its presence, by which it lives. */
const advertsPerPresence = RECORD_RENEW_MS / ADVERT_RENEW_MS
const checksPerSecond = measure()

const result = {
  bench: 'records',
  runtime: `node ${process.version}`,
  edges: EDGES,
  presenceBytes: presence.bytes.length,
  advertBytes: advert.bytes.length,
  checksPerSecond,
  ours: TOPICS.map((topics) =>
    costs(topics, {
      held: presence.bytes.length + topics * advert.bytes.length,
      discovered: presence.bytes.length + advert.bytes.length,
      added: putBytes(advert),
      renewedRecords: 1 + topics * advertsPerPresence,
      renewed: putBytes(presence) + topics * advertsPerPresence * putBytes(advert),
    }),
  ),
  merkle: TOPICS.map((topics) =>
    costs(topics, {
      held: rooted + topics * leaf,
      discovered: rooted + leaf + pathBytes(topics),
      added: KIND_BYTES + LENGTH_BYTES + rooted + KIND_BYTES + leaf,
      renewedRecords: 1,
      renewed: KIND_BYTES + LENGTH_BYTES + rooted,
    }),
  ),
}
console.log(JSON.stringify(result, null, 2))
mkdirSync('bench/results', { recursive: true })
writeFileSync('bench/results/records.json', `${JSON.stringify(result, null, 2)}\n`)

interface Sizes {
  /** What each node holds of an edge. */
  readonly held: number
  /** What who asks for one topic is shown of it. */
  readonly discovered: number
  /** What is multicast when one topic more is advertised. */
  readonly added: number
  readonly renewedRecords: number
  readonly renewed: number
}

/** The same for all edges; the batches' own bytes are left out, for they are shared by up to 256 changes. */
function costs(topics: number, { held, discovered, added, renewed, renewedRecords }: Sizes) {
  const recordsPerHour = perHour * renewedRecords
  return {
    topics,
    bytesPerEdge: held,
    bytesToDiscoverer: discovered,
    bytesToAddOne: added,
    renewedRecordsPerSecond: Math.round(recordsPerHour / 3_600),
    renewedMegabytesPerHour: Math.round((perHour * renewed) / 1e6),
    coreSecondsPerHourToAudit: round(recordsPerHour / AUDIT_ONE_IN / checksPerSecond),
    coreSecondsPerHourToCheckAll: Math.round(recordsPerHour / checksPerSecond),
  }
}

/** From a leaf to the root, and which leaf it is. */
function pathBytes(topics: number): number {
  return 1 + Math.ceil(Math.log2(topics)) * HASH_BYTES
}

function putBytes(record: EdgeRecord): number {
  return opBytes({ kind: 'put', record })
}

/** Records whose edge's signature one core checks in a second of its own time: the best of some rounds. */
function measure(): number {
  const rounds = Array.from({ length: ROUNDS }, () => {
    const before = process.cpuUsage()
    for (let i = 0; i < CHECKS; i++) {
      if (!isAuthentic(network, advert)) throw new Error('A good signature was refused')
    }
    const { user, system } = process.cpuUsage(before)
    return (CHECKS * 1e6) / (user + system)
  })
  return Math.round(Math.max(...rounds))
}

function round(value: number): number {
  return Math.round(value * 10) / 10
}
