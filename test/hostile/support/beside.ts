/** An attack beside honest edges: what they had before it they have after it, and what they want comes about. */

import type { Connection, Edge, JoinOptions } from '../../../src/edge/mod.ts'
import type { MeshNode } from '../../../src/node.ts'
import { assert, type Suite } from '../../harness/suite.ts'
import { during, type TestMesh, testMesh } from '../../support/mesh.ts'
import { meet, reported } from './story.ts'

export const ROOM = 'room'

export interface Scene {
  readonly mesh: TestMesh
  readonly nodes: readonly MeshNode[]
  /** Two edges in one room, at the first node and at the last, connected before the attack. */
  readonly a: Edge
  readonly b: Edge
  readonly connection: Connection
  /** Who came into connection with `a` or `b`, from the beginning. */
  readonly met: string[]
}

export interface BesideOptions {
  readonly nodes?: number
  readonly network?: string
  readonly linked?: boolean
  readonly a?: JoinOptions
}

/** A test of an attack: fails too if the honest edges lose anything by it, or meet anybody but each other. */
export function besides(
  test: Suite,
  { nodes: count = 2, network = 'test', linked = true, ...options }: BesideOptions = {},
): (name: string, attack: (scene: Scene) => Promise<void>) => void {
  return (name, attack) =>
    test(name, async () => {
      const mesh = await testMesh(count, { network, linked })
      const { nodes } = mesh
      const errors = await reported(async () => {
        const a = await mesh.edge(nodes[0] as MeshNode, { topics: [ROOM], ...options.a })
        const b = await mesh.edge(nodes.at(-1) as MeshNode, { topics: [ROOM] })
        const met: string[] = []
        for (const edge of [a, b]) edge.on('connection', ({ id }) => met.push(id))
        await mesh.clock.advance(100)
        const connection = await during(a.connect(b.id, { topic: ROOM }), mesh.clock)
        await mesh.clock.advance(500)
        await attack({ mesh, nodes, a, b, connection, met })
        assert.equal([...met].sort(), [a.id, b.id].sort(), 'nobody else came in')
        assert.is(connection.state, 'open', 'what was open stays open')
        assert.equal([a.home.state, b.home.state], ['open', 'open'])
        const c = await mesh.edge(nodes[0] as MeshNode, { topics: [ROOM] })
        await mesh.clock.advance(100)
        await meet(mesh, c, b)
      })
      assert.equal(errors, [], 'no exception that nobody expected')
      await mesh.close()
    })
}
