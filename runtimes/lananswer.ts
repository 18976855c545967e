/** What nodes say of themselves in the local network, as records of multicast DNS (RFC 6763). */

import type { NodeId } from '../src/identity.ts'
import { MAX_TXT_BYTES } from '../src/limits.ts'
import type { FoundPeer } from '../src/urldials.ts'

/** A record of an answer; what its data is depends on its type. */
export interface LanAnswer {
  readonly name: string
  readonly type: string
  readonly ttl?: number
  readonly data?: unknown
}

/** A node of this process. */
export interface LanSelf {
  readonly node: NodeId
  /** The id of its network, in hex. */
  readonly network: string
}

/** Seconds for which others may remember it. */
const TTL_SECONDS = 60

export function lanAnswer(
  service: string,
  port: number,
  selves: readonly LanSelf[],
): readonly LanAnswer[] {
  return selves.flatMap(({ node, network }) => {
    const short = node.slice(0, 16)
    const name = `${short}.${service}`
    const ttl = TTL_SECONDS
    return [
      { name: service, type: 'PTR', ttl, data: name },
      { name, type: 'SRV', ttl, data: { port, target: `${short}.local` } },
      { name, type: 'TXT', ttl, data: [`id=${node}`, `network=${network}`] },
    ]
  })
}

/**
 * The nodes in an answer. Where they are is what the answer came from, whatever it says: nobody can name
 * a third machine.
 */
export function lanPeers(
  service: string,
  answers: readonly LanAnswer[],
  address: string,
): readonly FoundPeer[] {
  const [places, said] = [byName(answers, 'SRV'), byName(answers, 'TXT')]
  return [...places].flatMap(([name, { data }]) => {
    const { port } = (data ?? {}) as { readonly port?: unknown }
    if (!name.endsWith(`.${service}`)) return []
    if (typeof port !== 'number' || port < 1 || port > 65_535) return []
    const texts = textsOf(said.get(name))
    const [node = '', network = ''] = [texts.get('id'), texts.get('network')]
    if (![node, network].every((id) => /^[0-9a-f]{64}$/.test(id))) return []
    return [{ url: `http://${address}:${port}`, node, network, isNear: true }]
  })
}

/** The first of this type under each name: looked for in turn, a packet of thousands would cost millions of looks. */
function byName(answers: readonly LanAnswer[], type: string): ReadonlyMap<string, LanAnswer> {
  const found = new Map<string, LanAnswer>()
  for (const answer of answers) {
    if (answer.type === type && !found.has(answer.name)) found.set(answer.name, answer)
  }
  return found
}

function textsOf(answer: LanAnswer | undefined): ReadonlyMap<string, string> {
  const parts = Array.isArray(answer?.data) ? answer.data : [answer?.data]
  const pairs = parts.flatMap((part): [string, string][] => {
    if (!(part instanceof Uint8Array) || part.length > MAX_TXT_BYTES) return []
    const text = new TextDecoder().decode(part)
    const at = text.indexOf('=')
    return at < 1 ? [] : [[text.slice(0, at), text.slice(at + 1)]]
  })
  return new Map(pairs)
}
