/** Forwarding as a state machine: signals of edges and of nodes in any order, while links, homes and ways change. */

import { SignalMeshError } from '../../src/errors.ts'
import { MAX_HOPS } from '../../src/limits.ts'
import { CLASS, checkSignal, classOf, fromHomeOf, fromOf, hopsLeftOf } from '../../src/signal.ts'
import { NETWORK, presenceOf, START_MS } from '../../test/fixtures/samples.ts'
import {
  edgeAt,
  type Home,
  type Homes,
  homesOf,
  keyOf,
  open,
  stamped,
  type TestEdge,
  within,
  word,
} from '../../test/support/homes.ts'
import {
  editIf,
  mutateProgram,
  plainStep,
  readProgram,
  type Step,
  writeProgram,
} from './program.ts'
import { checkError, must, type Target } from './target.ts'
import { codeOfArg } from './world.ts'

interface Play {
  readonly homes: Homes
  /** Two at the node that is tried, the first, and one at each other. */
  readonly edges: readonly TestEdge[]
  /** What was sent last, which may be said again, or be spoken of. */
  last: Uint8Array
  moves: number
}

type Do = (play: Play, step: Step) => void | Promise<void>

const NODES = 4
/** Frames that one frame may lead to: to a home, by a way, anew after a word, and the words about it. */
const MAX_PER_FRAME = 12
const ANYBODY = 'anybody'

const homeAt = ({ homes }: Play, number: number): Home => homes.all[number % NODES] as Home
const edgeOf = ({ edges }: Play, number: number): TestEdge =>
  edges[number % edges.length] as TestEdge

/** A signal of one edge to another, opening an attempt or within one. */
function signalOf(play: Play, { arg }: Step): Uint8Array {
  const [from, to] = [edgeOf(play, arg >> 4), edgeOf(play, arg)]
  return arg & 8
    ? open(from.identity, to.id, from.presence, { counter: arg })
    : within(from.identity, to.id, { counter: arg })
}

const STEPS: readonly Do[] = [
  (play, step) => {
    play.last = editIf(step, false, signalOf(play, step))
    sendAs(play, edgeOf(play, step.arg >> 4), play.last)
  },
  // Whatever an edge sends, it speaks for itself alone.
  (play, step) => sendAs(play, edgeOf(play, step.arg), play.last),
  (play, step) => {
    const by = homeAt(play, 1 + (step.arg % 3))
    const frame = stamped(signalOf(play, step), homeAt(play, step.arg >> 2), 1 + (step.arg >> 7))
    post(play, by, editIf(step, false, frame))
  },
  (play, step) => {
    const by = homeAt(play, 1 + (step.arg % 3))
    const evidence = editIf(step, true, edgeOf(play, step.arg >> 3).presence.bytes)
    const more = { evidence: evidence.subarray(0, 30_000) }
    const error = new SignalMeshError(codeOfArg(step.arg >> 2), 'Not here', more)
    post(play, by, editIf(step, false, word(play.last, error, by, 1 + (step.arg % 2))))
  },
  (play, { arg }) => play.homes.link(homeAt(play, arg % NODES), homeAt(play, other(arg))),
  (play, { arg }) => play.homes.unlink(homeAt(play, arg % NODES), homeAt(play, other(arg))),
  // An edge moves, of which not all hear.
  (play, { arg }) => {
    const { identity } = edgeOf(play, arg)
    const presence = presenceOf(identity, homeAt(play, arg >> 4).id, {
      seq: START_MS + ++play.moves,
    })
    play.homes.tell(presence, ...play.homes.all.filter((_, i) => (arg >> i) & 4))
  },
  (play, { arg }) => play.homes.clock.advance(arg * 50),
  (play, { arg }) => {
    const home = homeAt(play, arg)
    if (arg & 4) home.canDial = !home.canDial
    if (arg & 8) home.isFull = !home.isFull
    if (arg & 16) home.act = home.act ? undefined : () => undefined
    const node = homeAt(play, arg >> 5).id
    toggle(arg & 128 ? home.unlisted : home.vias, node)
  },
  (play, { arg }) => {
    const vias = play.homes.all.filter((_, i) => (arg >> i) & 16)
    play.homes.contact(homeAt(play, arg), { vias, ...(arg & 8 && { dhtKey: keyOf(arg) }) })
  },
  ({ homes }) => {
    for (const { forward } of homes.all) forward.sweep()
  },
]

const KIND = { send: 0, again: 1, bring: 2, say: 3, link: 4, unlink: 5, move: 6, wait: 7, set: 8 }
const CONTACT = 9

const other = (arg: number): number => (arg % NODES) + 1 + ((arg >> 2) % (NODES - 1))

function toggle(set: Set<string>, one: string): void {
  if (!set.delete(one)) set.add(one)
}

function sendAs(play: Play, edge: TestEdge, frame: Uint8Array): void {
  const inbox = edge.home.inboxes
  try {
    watched(play, () => edge.send(frame), edge.id)
  } catch (error) {
    checkError(error, ['BAD_FRAME', 'NETWORK_MISMATCH', 'TOO_LARGE'])
  }
  must(edge.home.inboxes === inbox, 'An edge has another home now')
}

function post(play: Play, by: Home, frame: Uint8Array): void {
  const tried = play.homes.all[0] as Home
  try {
    // After a word, what an edge here has sent before may go another way, and that be here.
    const isWord = classOf(frame) === CLASS.control
    watched(play, () => play.homes.post(by, tried, frame), isWord ? ANYBODY : undefined)
  } catch (error) {
    // The link that brought it is ended for these.
    checkError(error, ['BAD_FRAME', 'NETWORK_MISMATCH', 'TOO_LARGE'])
  }
}

/** Does it, and looks at all that comes of it. */
function watched(play: Play, act: () => void, sender?: string): void {
  const { all } = play.homes
  const boxes = all.flatMap((home) => [...home.inboxes.values()].map((box) => ({ home, box })))
  const heard = all.map((home) => home.heard.length)
  const had = boxes.map(({ box }) => box.length)
  act()
  const brought = all.flatMap((home, i) => home.heard.slice(heard[i]))
  const given = boxes.flatMap(({ home, box }, i) =>
    box.slice(had[i]).map((frame) => ({ home, frame })),
  )
  must(brought.length + given.length <= MAX_PER_FRAME, `${brought.length + given.length} of one`)
  for (const { home, frame } of given) checkGiven(home, frame, sender)
}

/** What reaches an edge is well formed, and in the name of another edge there only if that one sent it. */
function checkGiven(home: Home, frame: Uint8Array, sender: string | undefined): void {
  checkSignal(NETWORK, frame)
  const hops = hopsLeftOf(frame)
  must(hops > 0 && hops <= MAX_HOPS, `A signal arrives with ${hops} hops left`)
  if (classOf(frame) === CLASS.control || fromHomeOf(frame) !== home.id) return
  must(sender === ANYBODY || fromOf(frame) === sender, 'A node has spoken for an edge at home here')
}

async function run(input: Uint8Array): Promise<void> {
  const homes = homesOf(NODES)
  const [tried] = homes.all as [Home]
  const edges = [tried, ...homes.all].map((home, i) => edgeAt(homes, home, i + 1))
  for (const { presence } of edges) homes.tell(presence, ...homes.all)
  for (const home of homes.all.slice(1)) homes.link(tried, home)
  const [a, b] = edges as [TestEdge, TestEdge]
  const play: Play = { homes, edges, last: within(a.identity, b.id), moves: 0 }
  for (const step of readProgram(input)) {
    await (STEPS[step.kind % STEPS.length] as Do)(play, step)
    homes.run()
  }
  for (const { forward } of homes.all) forward.close()
  must(homes.clock.pending === 0, `${homes.clock.pending} timers are left of a closed node`)
}

const steps = (...kinds: readonly (readonly [number, number?])[]): Uint8Array =>
  writeProgram(kinds.map(([kind, arg]) => plainStep(kind, arg)))

const { send, again, bring, say, link, unlink, move, wait, set } = KIND

export const forwardTarget: Target = {
  name: 'forward',
  weight: 4,
  batch: 16,
  seeds: [
    steps(...Array.from({ length: 16 }, (_, i) => [send, i * 17] as const), [again, 1]),
    steps(...Array.from({ length: 12 }, (_, i) => [bring, i * 21] as const)),
    steps([send, 2], [say, 0], [send, 2], [move, 0x3e], [say, 61], [send, 2], [say, 62]),
    steps([unlink, 0], [CONTACT, 0x59], [set, 0x44], [send, 2], [wait, 0xff], [link, 0]),
    steps([unlink, 0], [CONTACT, 0x49], [send, 2], [say, 1], [unlink, 4], [send, 2]),
    steps([set, 0x20], [bring, 0x80], [bring, 0x84], [set, 0xa0], [bring, 1], [wait, 0xff]),
    steps([set, 8], [send, 3], [set, 8], [send, 3], [set, 17], [send, 2], [unlink, 0]),
  ],
  mutate: mutateProgram(STEPS.length),
  run,
}
