/** Via nodes: which a node names for itself, and which of those that a home names is taken. */

import { decodeHead } from '../src/batch.ts'
import { manualClock } from '../src/clock.ts'
import { createDirectory } from '../src/directory.ts'
import { MAX_VIAS } from '../src/limits.ts'
import { createVias, ownVias } from '../src/vias.ts'
import { identityOf, NETWORK, START_MS, samples, testHome } from './fixtures/samples.ts'
import { assert, suite } from './harness/suite.ts'
import { keyOf } from './support/homes.ts'
import { codeOf } from './support/rawedge.ts'

const test = suite('vias')

const ids = Array.from({ length: 8 }, (_, i) => identityOf(600 + i).id)

/** A directory that knows how the homes are reached. */
function known(contacts: Readonly<Record<string, { urls?: string[]; vias?: string[] }>>) {
  const directory = createDirectory(NETWORK)
  for (const [id, { urls = [], vias = [] }] of Object.entries(contacts)) {
    const contact = { dhtKey: undefined, urls, vias }
    Object.assign(directory.open(id, START_MS, START_MS), { contact, lastHead: samples.head })
  }
  return directory
}

test('a node names those neighbours that can be reached, its own dials first, then the longest up', () => {
  const [a, b, c, d, e, f] = ids as [string, string, string, string, string, string]
  const urls = ['http://192.0.2.1']
  const directory = known({ [a]: {}, [b]: { urls }, [c]: { urls }, [d]: { urls }, [e]: { urls } })
  const dialled = new Set([a, c, d])
  const neighbours = {
    ids: [a, b, f, c, d, e],
    linkOf: (id: string) => ({ upMs: 0, initiator: dialled.has(id) }),
  }
  assert.equal(ownVias(directory, neighbours), [c, d, b])
})

test('of a home’s via nodes one with a link is taken, and kept until it is avoided', () => {
  const [home, a, b, c] = ids as [string, string, string, string]
  const links = new Set([b, c, home])
  const directory = known({ [home]: { vias: [home, a, b, c] } })
  const vias = createVias(directory, (node) => links.has(node))
  assert.is(vias.choose(home), b)
  vias.avoid(home, b)
  assert.is(vias.choose(home), c)
  vias.avoid(home, c)
  assert.is(vias.choose(home), b)
  links.clear()
  vias.avoid(home, b)
  assert.is(vias.choose(home), undefined)
  assert.is(vias.choose(a), undefined)
})

test('a head says which via nodes lead to its home, and no more than there may be', async () => {
  const home = testHome(2, START_MS, manualClock())
  const contact = { dhtKey: keyOf(1), urls: [], vias: ids.slice(0, MAX_VIAS) }
  assert.equal(home.log.head(contact).contact, contact)
  const over = { ...contact, vias: ids.slice(0, MAX_VIAS + 1) }
  assert.is(await codeOf(() => home.log.head(over)), 'BAD_FRAME')
  assert.is(decodeHead(samples.head).contact.vias.length, 1)
})

test.run()
