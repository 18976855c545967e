/** Cases of the tree: how much neighbours may name and ask for, and how soon it is told and asked. */

import { toHex } from '../../src/bytes.ts'
import { type ManualClock, manualClock } from '../../src/clock.ts'
import { GRAFT_AFTER_MS, MAX_HASHES_PER_WORD, TREE_WORDS_BURST } from '../../src/limits.ts'
import { createSeen } from '../../src/seen.ts'
import { createTree, encodeWord, readWord, type Tree } from '../../src/tree.ts'
import { identityOf, tagOf } from '../fixtures/samples.ts'
import { assert } from '../harness/suite.ts'
import {
  type Cases,
  caps,
  changesAt,
  DROPPED,
  drops,
  FORGOT,
  forgets,
  KEPT,
  outcomeOf,
  refuses,
  TAKEN,
} from './case.ts'

const [A, B, ROOT] = [identityOf(1).id, identityOf(2).id, '00'.repeat(32)] as const

interface TreeGround {
  readonly clock: ManualClock
  readonly tree: Tree
  /** The words that went out. */
  readonly said: { to: string; word: string; ids: readonly string[] }[]
  readonly given: { to: string; id: string }[]
}

export const tree: Cases = {
  MAX_HASHES_PER_WORD: refuses('BAD_FRAME', (count) => {
    const { tree, said } = treeGround()
    return outcomeOf(() => tree.receive(encodeWord('have', hashes(count)), A)).finally(() => {
      assert.equal(said, [])
      tree.close()
    })
  }),
  MAX_MISSING_PER_NEIGHBOUR: caps(async (count) => {
    const { clock, tree, said } = treeGround()
    const ids = hashes(count)
    for (let at = 0; at < count; at += MAX_HASHES_PER_WORD) {
      tree.receive(encodeWord('have', ids.slice(at, at + MAX_HASHES_PER_WORD)), A)
    }
    tree.receive(encodeWord('have', [toHex(tagOf(9_999))]), B)
    await clock.advance(GRAFT_AFTER_MS)
    assert.is(said.filter(({ to }) => to === B).length, 1, 'who is beside has its own')
    tree.close()
    return `${said.flatMap(({ to, ids }) => (to === A ? ids : [])).length}`
  }),
  TREE_WORDS_BURST: drops((count) => words(count)),
  TREE_WORDS_PER_SECOND: drops((count) => words(TREE_WORDS_BURST, count)),
  HAVE_AFTER_MS: changesAt('gathering', 'told', async (ms) => {
    const { clock, tree, said } = treeGround()
    tree.receive(encodeWord('prune'), A)
    tree.news(toHex(tagOf(1)), undefined, ROOT)
    await clock.advance(ms)
    tree.close()
    return said.length > 0 ? 'told' : 'gathering'
  }),
  GRAFT_AFTER_MS: changesAt('waiting', 'asked', async (ms) => {
    const { clock, tree, said } = treeGround()
    tree.receive(encodeWord('have', hashes(1)), A)
    await clock.advance(ms)
    tree.close()
    return said.length > 0 ? 'asked' : 'waiting'
  }),
  MAX_KEPT_PACKETS_BYTES: forgets((bytes) => {
    const seen = createSeen(manualClock())
    seen.add('first', ROOT, new Uint8Array(1_000))
    seen.add('second', ROOT, new Uint8Array(bytes - 1_000))
    assert.ok(seen.giveTo(A, 'second'))
    assert.is(seen.originOf('first'), ROOT, 'it is known as seen all the same')
    return seen.giveTo(A, 'first') ? KEPT : FORGOT
  }),
}

/** A tree with two neighbours, which knows its root. */
function treeGround(): TreeGround {
  const clock = manualClock()
  const said: TreeGround['said'] = []
  const given: TreeGround['given'] = []
  const tree = createTree({
    clock,
    send: (to, frame) => said.push({ to, ...readWord(frame) }),
    has: () => false,
    give: (to, id) => given.push({ to, id }),
    setEager: () => undefined,
  })
  tree.setNeighbours([A, B])
  tree.news(toHex(tagOf(0)), undefined, ROOT)
  return { clock, tree, said, given }
}

const hashes = (count: number): string[] =>
  Array.from({ length: count }, (_, i) => toHex(tagOf(1_000 + i)))

/** So many words at once and a second later; whether the last was heard. */
async function words(atOnce: number, later = 0): Promise<string> {
  const { clock, tree, given } = treeGround()
  const ask = (by: string): void => tree.receive(encodeWord('graft', hashes(1)), by)
  for (let i = 0; i < atOnce; i++) ask(A)
  await clock.advance(later ? 1_000 : 0)
  for (let i = 0; i < later; i++) ask(A)
  const heard = given.length
  ask(B)
  assert.is(given.length, heard + 1, 'who is beside has its own')
  tree.close()
  return heard === atOnce + later ? TAKEN : DROPPED
}
