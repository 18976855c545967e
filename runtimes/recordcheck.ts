/** Whether what is published of a node is true: the record against the node itself, and the node at its URL. */

import { asMeshError } from '../src/errors.ts'
import type { MeshRecord } from '../src/registryrecord.ts'
import { MAX_BODY_BYTES } from './limits.ts'
import type { OwnRecord } from './record.ts'
import { askHttp } from './sourcehttp.ts'

export interface RecordFinding {
  readonly isWrong: boolean
  readonly says: string
}

/** Looks at each of the own records, and says what is right and what is not. */
export async function checkRecord(
  own: readonly OwnRecord[],
  records: readonly MeshRecord[],
  allowPrivate: boolean,
): Promise<readonly RecordFinding[]> {
  const findings = own.map((one) => checkOne(one, records, allowPrivate))
  return (await Promise.all(findings)).flat()
}

async function checkOne(
  { network, record: own }: OwnRecord,
  records: readonly MeshRecord[],
  allowPrivate: boolean,
): Promise<readonly RecordFinding[]> {
  const named = records.filter(({ node }) => node === own.node)
  const [first] = named
  if (!first) {
    const says = `network ${JSON.stringify(network)}: no record of ${records.length} names node ${own.node}`
    return [wrong(says)]
  }
  const alike = named.find((it) => it.url === own.url && it.bootstrap === own.bootstrap) ?? first
  const compared = (['url', 'bootstrap', 'network'] as const).map((key) =>
    alike[key] === own[key]
      ? right(`${key}: ${own[key] ?? 'none'}`)
      : wrong(`${key}: ${alike[key] ?? 'none'} is published, ${own[key] ?? 'none'} is meant`),
  )
  const others = named.length > 1 ? [wrong(`${named.length} records name this node`)] : []
  const there = alike.url === undefined ? [] : [await checkUrl(alike.url, own, allowPrivate)]
  return [...compared, ...others, ...there]
}

/** Asks who is there. */
async function checkUrl(
  url: string,
  { node = '' }: MeshRecord,
  allowPrivate: boolean,
): Promise<RecordFinding> {
  const at = `${url.replace(/\/$/, '')}/health`
  try {
    const { status, body } = await askHttp(at, { allowPrivate, maxBytes: MAX_BODY_BYTES })
    // The ids of all networks that are spoken there are somewhere in it.
    const isThere = status === 200 && body.includes(`"nodeId":"${node}"`)
    return isThere ? right(`${at} answers as this node`) : wrong(`${at} is not this node`)
  } catch (error) {
    return wrong(asMeshError(error).message)
  }
}

function right(says: string): RecordFinding {
  return { isWrong: false, says }
}

function wrong(says: string): RecordFinding {
  return { isWrong: true, says }
}
