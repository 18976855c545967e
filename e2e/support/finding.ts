/** What tests of sources share: nodes and what names them, all ended after each test. */

import { killPrograms } from '../../test/support/program.ts'
import {
  type Published,
  published,
  type Registry,
  startRegistry,
} from '../../test/support/registry.ts'
import { type RuntimeNode, startOn } from './runtimes.ts'

export interface Ground {
  /** Those that run, to be stopped. */
  readonly nodes: RuntimeNode[]
  readonly others: { stop(): Promise<unknown> }[]
  start(args?: readonly string[], runtime?: RuntimeNode['runtime']): Promise<RuntimeNode>
  registry(...args: Parameters<typeof startRegistry>): Promise<Registry>
}

/** Something may take so long on a busy machine. */
export const WITHIN_MS = 15_000

/** Prepares a suite, which ends everything after each of its tests. */
export function prepare(test: { afterEach(end: () => Promise<void>): void }): Ground {
  const nodes: RuntimeNode[] = []
  const others: { stop(): Promise<unknown> }[] = []
  test.afterEach(async () => {
    killPrograms()
    // The last first: one that was restarted still writes into the folder that its former self would remove.
    for (const node of nodes.splice(0).reverse()) await node.stop()
    await Promise.all(others.splice(0).map((other) => other.stop()))
  })
  return {
    nodes,
    others,
    start: async (args = [], runtime = 'node') => {
      const node = await startOn(runtime, args)
      nodes.push(node)
      return node
    },
    registry: async (...args) => {
      const made = await startRegistry(...args)
      others.push({ stop: () => made.close() })
      return made
    },
  }
}

export function recordOf({ url, nodeId }: RuntimeNode): Published {
  return published({ url, nodeId, active: true })
}

type Linked = (all: readonly { readonly neighbours: number }[]) => boolean

/** Whether all have so many neighbours. */
export function linked(count: number): Linked {
  return (all) => all.every(({ neighbours }) => neighbours === count)
}
