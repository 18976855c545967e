/** A sealed channel on a hostile path: frames lost, doubled, reordered, reflected and altered. */

import { equal } from '../../src/bytes.ts'
import { type ManualClock, manualClock } from '../../src/clock.ts'
import { boxKeyPair } from '../../src/crypto.ts'
import type { Item } from '../../src/edge/items.ts'
import { createSealed, type Sealed } from '../../src/edge/sealed.ts'
import { MAX_BAD_SIGNALS } from '../../src/limits.ts'
import { isAckOf, PHASE, phaseOf } from '../../src/signal.ts'
import { identityOf, NETWORK, samples, tagOf } from '../../test/fixtures/samples.ts'
import {
  editIf,
  mutateProgram,
  plainStep,
  readProgram,
  type Step,
  writeProgram,
} from './program.ts'
import { checkError, must, type Target } from './target.ts'

interface End {
  readonly sealed: Sealed
  readonly initiator: boolean
  /** Frames on their way to the other end. */
  readonly out: Uint8Array[]
  readonly said: string[]
  readonly heard: string[]
  /** Altered handshake messages that it was shown. */
  forged: number
}

interface Play {
  readonly clock: ManualClock
  readonly ends: readonly [End, End]
}

type Do = (play: Play, from: End, to: End, step: Step) => void | Promise<void>

const ROUNDS = 80

function say(_play: Play, from: End, _to: End, step: Step): void {
  const text = `${from.initiator ? 'a' : 'b'}${from.said.length}`
  const long = step.arg > 0xf0 ? 40_000 : step.arg
  const items: Item[] = [
    { kind: 'description', generation: 0, type: 'offer', sdp: text.padEnd(long, '.') },
  ]
  try {
    if (from.initiator && !from.sealed.canSend) from.sealed.open(samples.presence, items)
    else if (!from.sealed.canSend) return
    else if (!from.initiator && !from.sealed.answered) from.sealed.answer(items)
    else from.sealed.send(items)
    from.said.push(text)
  } catch (error) {
    checkError(error, ['TOO_LARGE'])
  }
}

function deliver(to: End, frame: Uint8Array | undefined): void {
  if (frame) to.sealed.receive(frame.slice())
}

function alter(_play: Play, from: End, to: End, step: Step): void {
  const frame = from.out[step.arg % 4]
  if (!frame) return
  const altered = editIf({ ...step, inside: false }, false, frame)
  if (altered.length < 144) return
  if (phaseOf(frame) === PHASE.handshake && !equal(altered, frame)) to.forged += 1
  else if (phaseOf(altered) === PHASE.handshake) to.forged += 1
  deliver(to, altered)
}

const STEPS: readonly Do[] = [
  say,
  (_play, from, to) => deliver(to, from.out.shift()),
  (_play, from) => void from.out.shift(),
  (_play, from, to, step) => deliver(to, from.out[step.arg % 8]),
  (_play, from) => {
    const first = from.out.shift()
    if (first) from.out.splice(1, 0, first)
  },
  alter,
  (play, from, to, step) => {
    alter(play, from, to, { ...step, arg: 0 })
    from.out.shift()
  },
  // Back to who sent it.
  (_play, from) => deliver(from, from.out[0]),
  ({ clock }, _from, _to, step) => clock.advance(step.arg * 40),
  (_play, from) => from.sealed.resend(),
  (_play, from, to) => {
    for (const frame of from.out.splice(0)) deliver(to, frame)
  },
  (_play, from, _to, step) => from.sealed.resendAfter(step.arg * 10),
]

function makeEnds(clock: ManualClock): readonly [End, End] {
  const keys = [boxKeyPair(), boxKeyPair()] as const
  const make = (own: 0 | 1): End => {
    const other = own === 0 ? 1 : 0
    const out: Uint8Array[] = []
    const heard: string[] = []
    const sealed = createSealed({
      networkId: NETWORK,
      clock,
      initiator: own === 0,
      connection: tagOf(1).slice(0, 16),
      self: { key: identityOf(1 + own * 2).keys.publicKey, boxKeys: keys[own] },
      remote: { key: identityOf(1 + other * 2).keys.publicKey, boxKey: keys[other].publicKey },
      tag: own === 0 ? tagOf(2) : undefined,
      topicKey: () => tagOf(3),
      send: (frame) => void out.push(frame),
      onItems: (items) => {
        for (const item of items) heard.push(item.kind === 'description' ? item.sdp : item.kind)
      },
    })
    return { sealed, initiator: own === 0, out, said: [], heard, forged: 0 }
  }
  return [make(0), make(1)]
}

async function run(input: Uint8Array): Promise<void> {
  const clock = manualClock()
  const [a, b] = makeEnds(clock)
  const play: Play = { clock, ends: [a, b] }
  say(play, a, b, plainStep(0))
  for (const step of readProgram(input)) {
    const [from, to] = step.kind & 0x40 ? [b, a] : [a, b]
    await (STEPS[(step.kind & 0x3f) % STEPS.length] as Do)(play, from, to, step)
    checkOrder(a, b)
    checkOrder(b, a)
  }
  if (Math.max(a.forged, b.forged) < MAX_BAD_SIGNALS) await heal(play)
  for (const { sealed } of play.ends) sealed.close()
  await clock.advance(60_000)
  must(clock.pending === 0, `${clock.pending} timers are left of a closed channel`)
}

/** Nothing is heard but what was said, in its order and once. */
function checkOrder(from: End, to: End): void {
  const heard = to.heard.map((text) => text.replace(/\.+$/, ''))
  must(heard.length <= from.said.length, 'More was heard than said')
  must(
    heard.every((text, i) => text === from.said[i]),
    'Something else was heard than said',
  )
}

/** Lets all that is on its way arrive. */
async function exchange({ ends: [a, b], clock }: Play): Promise<void> {
  for (const [from, to] of [
    [a, b],
    [b, a],
  ] as const) {
    for (const frame of from.out.splice(0)) deliver(to, frame)
  }
  await clock.advance(200)
}

/** When the path is well again, all that was said arrives. */
async function heal(play: Play): Promise<void> {
  const [a, b] = play.ends
  const isDone = (): boolean => a.heard.length === b.said.length && b.heard.length === a.said.length
  for (let round = 0; round < ROUNDS && !isDone(); round++) {
    for (const { sealed } of play.ends) sealed.resend()
    await exchange(play)
  }
  // A few rounds more, and nothing is said again: all was acknowledged.
  for (let round = 0; round < 5; round++) {
    for (const { sealed } of play.ends) sealed.resend()
    await exchange(play)
  }
  for (const { sealed, out } of play.ends) {
    sealed.resend()
    must(out.splice(0).every(isAckOf), 'What was heard is sent again for ever')
  }
  must(
    isDone(),
    `Heard ${b.heard.length} of ${a.said.length} and ${a.heard.length} of ${b.said.length}`,
  )
  checkOrder(a, b)
  checkOrder(b, a)
}

const A = 0
const B = 0x40
const steps = (...kinds: readonly (readonly [number, number?])[]): Uint8Array =>
  writeProgram(kinds.map(([kind, arg]) => plainStep(kind, arg)))

export const sealedTarget: Target = {
  name: 'sealed',
  weight: 8,
  batch: 8,
  seeds: [
    steps([A + 0], [A + 10], [B + 0], [B + 0], [A + 0], [B + 10], [A + 0], [A + 10], [A + 8, 9]),
    steps([A + 0], [A + 4], [A + 10], [A + 2], [B + 0, 1], [B + 3], [B + 10], [B + 10]),
    steps([A + 1], [B + 0], [B + 0], [B + 2], [A + 8, 0xff], [B + 7], [A + 7], [B + 10]),
    steps([A + 5], [A + 6], [A + 9], [A + 1], [B + 0], [B + 5], [B + 1], [A + 11, 20]),
    steps([A + 0, 0xff], [A + 10], [B + 0, 0xff], [B + 0], [B + 10], [A + 0, 0xff]),
  ],
  mutate: mutateProgram(0x80),
  run,
}
