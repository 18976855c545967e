/** The control of a demo's nodes: a socket on this machine over which the demo's own pages stop one. */

import { randomBytes } from 'node:crypto'
import type { ControlNews, ControlRequest } from '../demo/control.ts'
import { asMeshError } from '../src/errors.ts'
import type { Link } from '../src/link.ts'
import type { Testnet } from './local-mesh.ts'
import { runtime } from './node.ts'
import { plain } from './pages.ts'

export interface DemoControl {
  /** `127.0.0.1:port/token`, as the links carry it. */
  readonly at: string
  close(): Promise<void>
}

const HOST = '127.0.0.1'
/** 128 bits: nobody guesses it while a demo runs. */
const TOKEN_BYTES = 16

/** Opens it; `phoneAt` is the link for other devices at the node of that number. */
export async function openDemoControl(
  testnet: Testnet,
  phoneAt: (node: number) => string | undefined,
): Promise<DemoControl> {
  const token = randomBytes(TOKEN_BYTES).toString('hex')
  const links = new Set<Link>()

  const runningNodes = (): number[] =>
    [...testnet.processes.keys()].filter((node) => {
      const child = testnet.processes[node]
      return child?.exitCode === null && child.signalCode === null
    })

  const tell = (link: Link, news: ControlNews): void =>
    link.send(new TextEncoder().encode(JSON.stringify(news)))

  const tellNodes = (to: Iterable<Link>): void => {
    const nodes = runningNodes()
    const phone = phoneAt(nodes.at(-1) ?? 0)
    const running = nodes.map((node) => testnet.nodeIds[node] as string)
    for (const link of to) tell(link, { kind: 'nodes', running, ...(phone && { phone }) })
  }

  const stop = async (nodeId: string): Promise<void> => {
    const nodes = runningNodes()
    const node = nodes.find((each) => testnet.nodeIds[each] === nodeId)
    if (node === undefined) throw new Error('The node was not stopped: it is none that runs here')
    if (nodes.length === 1) throw new Error('The node was not stopped: it is the last that runs')
    await testnet.kill(node)
  }

  const take = (link: Link): void => {
    links.add(link)
    void link.closed.then(() => links.delete(link))
    link.subscribe((frame) => {
      Promise.resolve()
        .then(() => stop(nodeIdOf(frame)))
        .catch((error: unknown) => {
          tell(link, { kind: 'refused', reason: asMeshError(error).message })
        })
    })
    tellNodes([link])
  }

  for (const child of testnet.processes) child.once('exit', () => tellNodes(links))
  const running = await runtime.listen({
    host: HOST,
    port: 0,
    fetch: () => plain(404, 'Not found; here is only the control of a demo'),
    upgrade: (request) => {
      // The token is the permission; the origin keeps it from being of use to other sites' pages.
      const isOurs = testnet.urls.includes(request.headers.get('origin') ?? '')
      if (!isOurs || new URL(request.url).pathname !== `/${token}`) return plain(403, 'Not allowed')
      return take
    },
  })
  return { at: `${HOST}:${running.port}/${token}`, close: running.close }
}

function nodeIdOf(frame: Uint8Array): string {
  const request = JSON.parse(new TextDecoder().decode(frame)) as Partial<ControlRequest> | null
  return request?.kind === 'stop' && typeof request.nodeId === 'string' ? request.nodeId : ''
}
