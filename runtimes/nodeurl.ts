/** Asking a node over HTTP: what a command takes for its URL, and what it makes of the answer. */

import { SignalMeshError } from '../src/errors.ts'
import { DEFAULT_PORT, isUrl } from './config.ts'
import { MAX_VIEW_BYTES } from './limits.ts'
import { askHttp } from './sourcehttp.ts'

/** Where a node is that was started without flags. */
const DEFAULT_URL = `http://127.0.0.1:${DEFAULT_PORT}`

/**
 * The node that is meant, as `http:` or `https:`.
 * @throws SignalMeshError `BAD_CONFIG`
 */
export function nodeUrl(given: string = DEFAULT_URL): string {
  if (!isUrl(given)) {
    const what = JSON.stringify(given)
    throw new SignalMeshError(
      'BAD_CONFIG',
      `A node is named by its URL, such as ${DEFAULT_URL}, not ${what}`,
    )
  }
  return given.replace(/^ws/i, 'http').replace(/\/$/, '')
}

export interface Answer {
  readonly status: number
  /** An object of JSON; what is in it is the node's own word. */
  readonly json: Readonly<Record<string, unknown>>
}

/**
 * Asks a node that the operator has named.
 * @throws SignalMeshError `HOME_UNREACHABLE`, also for an answer that is no node's, `TIMEOUT`, `TOO_LARGE`
 */
export async function askNode(url: string, path: string, timeoutMs?: number): Promise<Answer> {
  const question = { allowPrivate: true, isNamed: true, maxBytes: MAX_VIEW_BYTES }
  const { status, body } = await askHttp(`${url}${path}`, {
    ...question,
    ...(timeoutMs !== undefined && { timeoutMs }),
  })
  if (status === 404) return { status, json: {} }
  try {
    const json: unknown = JSON.parse(body)
    if (typeof json === 'object' && json !== null) return { status, json: { ...json } }
  } catch {
    // Said below.
  }
  throw new SignalMeshError(
    'HOME_UNREACHABLE',
    `What answers at ${url} is no node of a Signal Mesh`,
  )
}
