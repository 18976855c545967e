/** Networks side by side: one listener for the nodes of several networks, none of which knows of the others. */

import { toHex } from './bytes.ts'
import { SignalMeshError } from './errors.ts'
import { healthResponse, text } from './http.ts'
import type { Link } from './link.ts'
import { encodeBye } from './messages.ts'
import type { MeshNode } from './node.ts'
import { networkId } from './topic.ts'

/** What a listener needs of a node; `MeshNode` has it. */
export type Served = Pick<MeshNode, 'fetch' | 'upgrade' | 'onDatagram' | 'health' | 'ready'>

export type Networks = Pick<Served, 'fetch' | 'upgrade' | 'onDatagram'>

/** What is asked of one network at a time: of the first, or by `?network=` of another. */
const OF_ONE = ['/mesh.json', '/admin.json', '/ready']

/** Letters of a name that are said again, and of all: what a bye says is cut at 256. */
const NAME_CHARS = 40
const SHOWN_CHARS = 120

/**
 * Makes one listener of several: whoever names a network comes to its node, whoever names none or one that is
 * not spoken here comes to the first, which refuses the latter. Each node has its own key, directory, bounds
 * and counts, and nothing is handed from one to another.
 */
export function serveNetworks(nodes: readonly [Served, ...Served[]]): Networks {
  const [first, ...others] = nodes
  if (others.length === 0) return first
  const names = nodes.map((node) => node.health().network)
  const byId = new Map(nodes.map((node, i) => [toHex(networkId(names[i] as string)), node]))

  const health = (request: Request): Response => {
    const { searchParams } = new URL(request.url)
    const asked = searchParams.get('network')
    const at = names.indexOf(asked ?? (names[0] as string))
    const node = nodes[at]
    if (!node) return text(404, `${notSpoken(names).message}\n`)
    const all = Object.fromEntries(names.map((name, i) => [name, nodes[i]?.health()]))
    return healthResponse(asked === null ? { ...node.health(), networks: all } : node.health())
  }

  /** A process is ready when each of its nodes is. */
  const lameOr = (node: Served, pathname: string): Served =>
    (pathname === '/ready' && nodes.find((each) => !each.ready().ready)) || node

  return {
    fetch: (request, info) => {
      const { pathname, searchParams } = new URL(request.url)
      const isRead = request.method === 'GET' || request.method === 'HEAD'
      if (!isRead) return first.fetch(request, info)
      if (pathname === '/health') return health(request)
      if (!OF_ONE.includes(pathname)) return first.fetch(request, info)
      const asked = searchParams.get('network')
      const node = asked === null ? lameOr(first, pathname) : nodes[names.indexOf(asked)]
      return node?.fetch(request, info) ?? text(404, `${notSpoken(names).message}\n`)
    },
    upgrade: (request, info) => {
      const { pathname, searchParams } = new URL(request.url)
      // Who watches names a network as who asks for its `/mesh.json` does.
      const watched = pathname === '/mesh/events' ? searchParams.get('network') : null
      const node = nodes[names.indexOf(watched ?? '')] ?? byId.get(searchParams.get('n') ?? '')
      return (node ?? first).upgrade(request, info)
    },
    onDatagram: (datagram, from) => {
      first.onDatagram(datagram, from)
      // Requests are answered once; an answer is for whichever node has asked (RFC 8489, section 5: class).
      if (((datagram[0] ?? 0) & 1) === 1) for (const node of others) node.onDatagram(datagram, from)
    },
  }
}

/** What to say to who asks for a network that is not spoken here: which are. */
export function notSpoken(names: readonly string[]): SignalMeshError {
  const shown: string[] = []
  let left = SHOWN_CHARS
  for (const name of names) {
    const letters = [...name]
    const word = letters.length > NAME_CHARS ? `${letters.slice(0, NAME_CHARS).join('')}…` : name
    left -= word.length
    if (left < 0) break
    shown.push(JSON.stringify(word))
  }
  const more = names.length > shown.length ? ` and ${names.length - shown.length} more` : ''
  return new SignalMeshError(
    'NETWORK_MISMATCH',
    `Spoken here: ${shown.join(', ')}${more}. Join one of these by its name, or dial nodes of your own network`,
  )
}

/** Says so on a socket that was taken for that: a page reads nothing of an answer to its upgrade. */
export function refuse(link: Link, error: SignalMeshError): void {
  link.send(encodeBye(error))
  link.close(error.code)
}
