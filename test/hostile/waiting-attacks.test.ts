/** Attacks by a home that comes and names others as its way: what waits for it must not be sent to them without end. */

import { HOME_SETTLES_MS, WAY_LOOK_MS } from '../../src/limits.ts'
import { identityOf, presenceOf } from '../fixtures/samples.ts'
import { assert, suite } from '../harness/suite.ts'
import { edgeAt, type Home, homesOf, within } from '../support/homes.ts'

const test = suite('attacks by homes that are waited for')

test('a home that names a node as its way, which it is not, has each signal sent there a few times', async () => {
  const homes = homesOf(3)
  const [own, via, hostile] = homes.all as [Home, Home, Home]
  homes.link(own, via)
  const edge = edgeAt(homes, own, 1)
  const target = identityOf(77)
  homes.contact(hostile, { vias: [via] })
  homes.tell(presenceOf(target, hostile.id), own, via)
  homes.tell(edge.presence, via)
  const state = own.directory.homes.get(hostile.id)
  if (state) state.openedAtMs = homes.clock.monotonicMs()
  edge.send(within(edge.identity, target.id))
  for (let ms = 0; ms < HOME_SETTLES_MS + WAY_LOOK_MS; ms += WAY_LOOK_MS) {
    await homes.clock.advance(WAY_LOOK_MS)
    homes.run()
  }
  assert.ok(via.heard.length > 2 && via.heard.length <= 10, `${via.heard.length} times`)
  assert.equal(edge.words, ['HOME_UNREACHABLE'], 'and its sender is told in time')
})

test.run()
