/** Attacks by who watches the mesh: by coming again and again, and by not reading what is told. */

import { MAX_BUFFERED_BYTES, MAX_PAGE_BYTES, WATCH_TICK_MS } from '../../src/limits.ts'
import { linkPair } from '../../src/link.ts'
import type { MeshMessage, NodeView } from '../../src/management.ts'
import { assert, suite } from '../harness/suite.ts'
import { NODES, stuckLink, watched } from '../support/watched.ts'

const test = suite('attacks by who watches')

test('who comes and goes a hundred times in a second has the mesh drawn twice', async () => {
  const { clock, watching, open, views } = watched()
  for (let i = 0; i < 100; i++) {
    const [near, far] = linkPair()
    open(far)
    near.close('gone')
    await clock.advance(9)
    assert.ok(watching.count <= 1)
  }
  assert.ok(views() <= 2, `${views()} times`)
})

test('who reads nothing holds a socket’s bound, then is closed, and others are told all', async () => {
  const { clock, nodes, open } = watched()
  const lazy = stuckLink()
  open(lazy.link)
  const [near, far] = linkPair()
  const told: MeshMessage[] = []
  near.subscribe((frame) => told.push(JSON.parse(new TextDecoder().decode(frame))))
  open(far)
  await clock.advance(0)
  const count = told.flatMap((message) => (message.type === 'nodes' ? message.nodes : [])).length
  assert.is(count, NODES)
  assert.ok(lazy.bytes() <= MAX_BUFFERED_BYTES + MAX_PAGE_BYTES, `${lazy.bytes()} bytes`)
  nodes[7] = { ...(nodes[7] as NodeView), epoch: 2 }
  await clock.advance(WATCH_TICK_MS)
  const last = told.findLast(({ type }) => type === 'nodes')
  assert.equal(last?.type === 'nodes' && last.nodes.map(({ id }) => id), ['7'])
  await clock.advance(40 * WATCH_TICK_MS)
  assert.is(await lazy.near.closed, 'RATE_LIMITED')
})

test('who reads slowly is told all in its order, what came meanwhile behind it', async () => {
  const { clock, nodes, open } = watched()
  const slow = stuckLink()
  const seen: string[] = []
  slow.near.subscribe((frame) => {
    const message: MeshMessage = JSON.parse(new TextDecoder().decode(frame))
    if (message.type === 'nodes')
      seen.push(...message.nodes.map(({ id, epoch }) => `${id}/${epoch}`))
  })
  open(slow.link)
  await clock.advance(100)
  nodes[7] = { ...(nodes[7] as NodeView), epoch: 2 }
  await clock.advance(2 * WATCH_TICK_MS)
  slow.read()
  await clock.advance(100)
  assert.equal(seen, [...Array.from({ length: NODES }, (_, i) => `${i}/1`), '7/2'])
})

test('a mesh that takes long to draw is drawn less often, for a twentieth of the time at most', async () => {
  const ground = watched()
  ground.takesMs = 500
  const [near, far] = linkPair()
  near.subscribe(() => undefined)
  ground.open(far)
  for (let i = 0; i < 60; i++) await ground.clock.advance(WATCH_TICK_MS)
  assert.ok(ground.views() >= 4 && ground.views() <= 8, `${ground.views()} times in a minute`)
})

test.run()
