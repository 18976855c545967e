/** Cases of homes' logs: what a batch, a proof or a first frame may hold, and what is kept to serve. */

import { fromHex, writer } from '../../src/bytes.ts'
import { decodeProof } from '../../src/equivocation.ts'
import { remember } from '../../src/homelog.ts'
import { decodeHello, FRAME } from '../../src/messages.ts'
import { NODE_METHOD, type Serve } from '../../src/rpc.ts'
import { checkSkew } from '../../src/skew.ts'
import { REPLY } from '../../src/snapshots.ts'
import { createSupply } from '../../src/supply.ts'
import { identityOf, presenceOf, put, samples, testHome } from '../fixtures/samples.ts'
import { assert } from '../harness/suite.ts'
import { type Cases, FORGOT, forgets, KEPT, outcomeOf, refuses } from './case.ts'
import { craftRemovals } from './craft.ts'
import { lookedInto, multicast } from './sizes.ts'

const NO_HASH = new Uint8Array(32)

export const logs: Cases = {
  MAX_OPS_PER_BATCH: refuses('BAD_FRAME', (count) =>
    multicast('batch', (home, epoch) => craftRemovals(home, epoch, count)),
  ),
  MAX_PROOF_BYTES: refuses('BAD_FRAME', (bytes) => lookedInto(decodeProof, bytes)),
  MAX_HELLO_BYTES: refuses('BAD_FRAME', (bytes) => {
    const hello = new Uint8Array(bytes)
    hello.set(samples.hello)
    assert.is(hello[0], FRAME.hello)
    return outcomeOf(() => decodeHello(hello))
  }),
  MAX_KEPT_BATCHES: forgets((count) => kept(Array(count).fill(10))),
  MAX_KEPT_BATCHES_BYTES: forgets((bytes) =>
    kept([...Array(15).fill(Math.floor(bytes / 16)), bytes - 15 * Math.floor(bytes / 16)]),
  ),
  MAX_KEPT_SNAPSHOTS: forgets(async (count) => {
    const { serve, homes } = supplyOf(count)
    for (const home of homes) {
      const page = await pull(serve, home, 0, 0)
      assert.equal([page[0], page[1]], [REPLY.snapshot, 1], 'a page, and there is more')
    }
    const next = await pull(serve, homes[0] as string, 9, 1)
    if (next[0] !== REPLY.nothing) return KEPT
    // Who was at it begins anew.
    assert.is((await pull(serve, homes[0] as string, 0, 0))[0], REPLY.snapshot)
    return FORGOT
  }),
  MAX_SEQ_STEP: refuses('CLOCK_SKEW', (step) => {
    const [wallMs, lastSeq] = [1_000_000, 1e12]
    const record = { kind: 'advert', seq: lastSeq + step, ttlMs: 1e13 } as const
    return outcomeOf(() => checkSkew(record, wallMs, lastSeq))
  }),
}

/** A home whose batches have these sizes; whether all are kept to be served one by one. */
async function kept(sizes: readonly number[]): Promise<string> {
  const { directory, clock, log } = testHome(1)
  for (const [i, bytes] of sizes.entries()) {
    const batch = { bytes: new Uint8Array(bytes), hash: NO_HASH, epoch: 1, index: i + 1 }
    remember(log.state, batch)
  }
  const serve = createSupply({ directory, clock, flush: () => {}, pulling: () => undefined })
  const page = await pull(serve, log.state.id, 0, 0)
  return page[0] === REPLY.batches ? KEPT : FORGOT
}

/** So many homes, each too far on for anything but a snapshot, which takes two pages. */
function supplyOf(count: number): { serve: Serve; homes: string[] } {
  const { directory, clock } = testHome(1)
  const homes = Array.from({ length: count }, (_, i) => identityOf(100 + i).id)
  const presence = presenceOf(identityOf(2), identityOf(3).id)
  for (const id of homes) {
    const home = directory.open(id, 1, 0)
    home.position = { epoch: 1, index: 9 }
    home.recent = [new Uint8Array(8)]
    for (let i = 0; i < 400; i++) {
      const peer = i.toString(16).padStart(64, '0')
      directory.apply(home, put({ ...presence, peer }), 0)
    }
  }
  const serve = createSupply({ directory, clock, flush: () => {}, pulling: () => undefined })
  return { serve, homes }
}

async function pull(
  serve: Serve,
  home: string,
  index: number,
  cursor: number,
): Promise<Uint8Array> {
  const body = writer().bytes(fromHex(home)).u64(1).u64(index).u32(cursor).done()
  return serve(NODE_METHOD.pull, body)
}
