/** Hostile witnesses: whatever nodes say to an edge that asks whether they know of it. */

import { manualClock } from '../../src/clock.ts'
import { boxKeyPair } from '../../src/crypto.ts'
import { createWitness } from '../../src/edge/witness.ts'
import { type Link, linkPair } from '../../src/link.ts'
import { encodeHello } from '../../src/messages.ts'
import { readNamed } from '../../src/samples.ts'
import {
  advertOf,
  forgedPresence,
  identityOf,
  NETWORK,
  presenceOf,
  tagOf,
} from '../../test/fixtures/samples.ts'
import {
  editIf,
  mutateProgram,
  plainStep,
  readProgram,
  type Step,
  writeProgram,
} from './program.ts'
import { must, type Target } from './target.ts'

const EDGE = identityOf(1)
const HOMES = [identityOf(2), identityOf(3), identityOf(4)] as const
const URLS = ['http://127.0.0.1:1', 'http://127.0.0.1:2/path', 'http://127.0.0.1:3']
/** A look around may take three time-outs of five seconds, and every five one may begin. */
const MAX_OPEN = 4
const TAGS = [tagOf(1), tagOf(2)]
const own = presenceOf(EDGE, HOMES[0].id)
const foreign = presenceOf(identityOf(9), HOMES[0].id)
const HELD = [
  own,
  undefined,
  forgedPresence(EDGE, HOMES[0].id),
  foreign,
  presenceOf(EDGE, HOMES[1].id),
]
const found = [{ presence: own, advert: advertOf(EDGE, tagOf(1)) }]
const { publicKey: challenge } = boxKeyPair()

/** What a node may say first: the truth, or any of what it may lie about. */
function helloOf(url: string, { arg, ...step }: Step): Uint8Array {
  const { tags } = readNamed(url)
  const said = arg & 0x80 ? tags.slice(1) : tags
  const hello = encodeHello({
    versions: [1],
    features: new Uint8Array(8),
    nodeKey: HOMES[arg % HOMES.length]?.keys.publicKey as Uint8Array,
    networks: [NETWORK],
    challenge,
    nowMs: 0,
    topics: said.map((tag) => ({ tag, hasPeer: (arg & 0x40) !== 0, total: arg, found })),
    held: HELD[(arg >> 3) % HELD.length],
  })
  return editIf({ ...step, arg, inside: true }, true, hello)
}

async function run(input: Uint8Array): Promise<void> {
  const clock = manualClock()
  const asked: { readonly url: string; readonly link: Link }[] = []
  let open = 0
  let mostOpen = 0
  let blamed = 0
  let said = 0
  let isHome = true
  const witness = createWitness({
    networkId: NETWORK,
    clock,
    dial: (url) => {
      const [near, far] = linkPair()
      open += 1
      mostOpen = Math.max(mostOpen, open)
      void near.closed.then(() => {
        open -= 1
      })
      asked.push({ url, link: far })
      return near
    },
    expected: () => (isHome ? { presence: own, tags: TAGS } : undefined),
    others: () => URLS,
    onWithheld: () => {
      blamed += 1
    },
  })
  witness.changed()
  for (const step of readProgram(input)) {
    const last = asked.at(-1)
    if (step.kind % 5 === 0) witness.changed()
    else if (step.kind % 5 === 1) await clock.advance(step.arg * (step.arg & 1 ? 5_000 : 100))
    else if (step.kind % 5 === 2) last?.link.close('refused')
    else if (step.kind % 5 === 3) isHome = step.arg % 4 !== 0
    else if (last) {
      last.link.send(helloOf(last.url, step))
      said += 1
    }
    await clock.advance(0)
  }
  must(blamed * 4 <= said, `The home is blamed after ${said} words`)
  witness.stop()
  await clock.advance(60_000)
  must(mostOpen <= MAX_OPEN, `${mostOpen} witnesses are asked at once`)
  must(open === 0, 'A witness is never let go')
  must(clock.pending === 0, `${clock.pending} timers are left of a witness that was stopped`)
}

const steps = (...kinds: readonly (readonly [number, number?])[]): Uint8Array =>
  writeProgram(kinds.map(([kind, arg]) => plainStep(kind, arg)))

const missing = [4, 0x09] as const
const missingToo = [4, 0x0a] as const

export const witnessTarget: Target = {
  name: 'witness',
  weight: 2,
  batch: 16,
  seeds: [
    steps([1, 50], [4, 0x41], [1, 255], [4, 0x41]),
    steps([1, 50], missing, missingToo, [1, 120], missing, missingToo, [1, 255]),
    steps([1, 50], [2], [1, 60], missing, [1, 60], [4, 0], [1, 255], [3, 0], [1, 255]),
    steps([1, 50], [4, 0x12], [4, 0x19], [0], [1, 60], [4, 0x22], [1, 255], [4, 0xc1]),
  ],
  mutate: mutateProgram(5),
  run,
}
