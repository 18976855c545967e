/** The flow in a data channel: any sizes arrive whole and in order, and never more than somebody reads. */

import fc from 'fast-check'
import { concat, writer } from '../src/bytes.ts'
import { manualClock, settle } from '../src/clock.ts'
import { createFlow, type Flow, PART_COST_BYTES } from '../src/edge/flow.ts'
import { SignalMeshError } from '../src/errors.ts'
import { CHANNEL_PART_BYTES, CHANNEL_WINDOW_BYTES, MAX_MESSAGE_BYTES } from '../src/limits.ts'
import { assert, suite } from './harness/suite.ts'
import { codeOf } from './support/rawedge.ts'

const test = suite('flow', { timeoutMs: 30_000 })
const READ = 16

interface Received {
  readonly data: string | Uint8Array
  read(): void
}

/** Two ends of a channel that brings each piece after a moment of the clock. */
function channel(delayMs = () => 1) {
  const clock = manualClock()
  const got: Received[] = []
  const pieces: Uint8Array[] = []
  let mostUnread = 0
  let readBytes = 0
  let cameBytes = 0
  const queue: Uint8Array[] = []
  const near: Flow = createFlow({
    write: (piece) =>
      new Promise((resolve) => {
        pieces.push(piece)
        queue.push(piece)
        clock.after(delayMs(), () => {
          const next = queue.shift() as Uint8Array
          cameBytes += next.length
          far.receive(next)
          mostUnread = Math.max(mostUnread, cameBytes - readBytes)
          resolve()
        })
      }),
    onMessage: () => assert.unreachable('nothing is sent this way'),
  })
  const far: Flow = createFlow({
    write: async (piece) => void clock.after(1, () => near.receive(piece)),
    onMessage: (data, read) => {
      got.push({
        data,
        read: () => {
          readBytes += sizeOf(data)
          read()
        },
      })
    },
  })
  return { clock, near, far, got, pieces, mostUnread: () => mostUnread }
}

const sizeOf = (data: string | Uint8Array): number =>
  typeof data === 'string' ? Buffer.byteLength(data) : data.length

/** Reads everything that comes from now on. */
async function readAll({ clock, got }: ReturnType<typeof channel>): Promise<unknown[]> {
  const all: unknown[] = []
  for (let quiet = 0; quiet < 10; quiet++) {
    await clock.advance(200)
    for (const { data, read } of got.splice(0)) {
      all.push(data)
      read()
      quiet = 0
    }
  }
  return all
}

test('a message of any size arrives whole, text as text and bytes as bytes', async () => {
  const ends = channel()
  const sizes = [0, 1, 16_383, 16_384, 16_385, 32_768, 2 ** 21 + 7, MAX_MESSAGE_BYTES]
  const sent = sizes.flatMap((size) => [filled(size), 'é'.repeat(size / 2)])
  const sending = Promise.all(sent.map((data) => ends.near.send(data)))
  assert.equal(
    (await readAll(ends)).map((data) => [typeof data, sizeOf(data as string)]),
    sent.map((data) => [typeof data, sizeOf(data)]),
  )
  await sending
  assert.ok(ends.pieces.every((piece) => piece.length <= CHANNEL_PART_BYTES + 1))
})

test('whatever is sent and however it is read, all of it arrives, and little waits', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.tuple(fc.integer({ min: 0, max: 300_000 }), fc.boolean()), { maxLength: 40 }),
      fc.infiniteStream(fc.integer({ min: 0, max: 9 })),
      async (plan, dice) => {
        const roll = (): number => dice.next().value as number
        const ends = channel(() => 1)
        const sent = plan.map(([size, isText]) => (isText ? 'x'.repeat(size) : filled(size)))
        let done = false
        const sending = Promise.all(sent.map((data) => ends.near.send(data)))
        void sending.then(() => (done = true))
        const all: unknown[] = []
        for (let turn = 0; turn < 3000 && all.length < sent.length; turn++) {
          await ends.clock.advance(1 + roll())
          for (const { data, read } of ends.got.splice(0, roll())) {
            all.push(data)
            read()
          }
        }
        await ends.clock.advance(100)
        assert.ok(done, 'every send resolved')
        assert.is(all.length, sent.length)
        for (const [i, data] of sent.entries()) assert.ok(isSame(data, all[i]), `message ${i}`)
        assert.ok(ends.mostUnread() <= CHANNEL_WINDOW_BYTES + 300_000 + 2 * CHANNEL_PART_BYTES)
      },
    ),
    { numRuns: 40 },
  )
})

test('nobody reads: the sender waits, with a window and a message under way at most', async () => {
  const ends = channel()
  let sent = 0
  const send = async (): Promise<void> => {
    for (;;) {
      await ends.near.send(filled(MAX_MESSAGE_BYTES))
      sent += 1
    }
  }
  void send()
  await ends.clock.advance(20_000)
  assert.is(sent, 1, 'the first is there whole, and waits for a reader')
  const bound = MAX_MESSAGE_BYTES + CHANNEL_WINDOW_BYTES + CHANNEL_PART_BYTES
  assert.ok(ends.mostUnread() <= bound, `${ends.mostUnread()}`)
  ends.got.splice(0).forEach(({ read }) => {
    read()
  })
  await ends.clock.advance(20_000)
  assert.is(sent, 2, 'and goes on when one is read')
})

test('messages of nothing are counted too', async () => {
  const ends = channel()
  let sent = 0
  const send = async (): Promise<void> => {
    for (;;) {
      await ends.near.send('')
      sent += 1
    }
  }
  void send()
  await ends.clock.advance(20_000)
  assert.is(sent, CHANNEL_WINDOW_BYTES / PART_COST_BYTES)
})

test('what is written over after the call is sent as it was', async () => {
  const ends = channel()
  const data = filled(40_000)
  const sending = [ends.near.send('first'), ends.near.send(data)]
  data.fill(0)
  const all = await readAll(ends)
  await Promise.all(sending)
  assert.equal(all[1], filled(40_000))
})

test('a peer that sends more than there is room for, or too large a message, is refused', async () => {
  const overWindow = far()
  const empty = Uint8Array.of(0)
  const many = CHANNEL_WINDOW_BYTES / PART_COST_BYTES
  for (let i = 0; i < many; i++) overWindow.receive(empty)
  const more = (): void => {
    for (let i = 0; i < many; i++) overWindow.receive(empty)
  }
  assert.is(await codeOf(more), 'TOO_MANY')

  const overMessage = far()
  const part = concat(Uint8Array.of(2), new Uint8Array(CHANNEL_PART_BYTES))
  for (let i = 0; i < MAX_MESSAGE_BYTES / CHANNEL_PART_BYTES; i++) overMessage.receive(part)
  assert.is(await codeOf(() => overMessage.receive(Uint8Array.of(0, 1))), 'TOO_LARGE')
})

test('pieces that mean nothing are refused', async () => {
  const bad: Record<string, string | Uint8Array> = {
    'text in the channel': 'hello',
    nothing: new Uint8Array(0),
    'an unknown kind': Uint8Array.of(4),
    'a short part before the last': concat(Uint8Array.of(2), new Uint8Array(16_383)),
    'a long part': new Uint8Array(CHANNEL_PART_BYTES + 2),
    'text that is no UTF-8': Uint8Array.of(1, 0xc3),
    'more read than was sent': writer(9).u8(READ).u64(1).done(),
    'half a number': Uint8Array.of(READ, 0, 0),
    'more behind a question': Uint8Array.of(17, 0),
  }
  for (const [name, piece] of Object.entries(bad)) {
    assert.is(await codeOf(() => far().receive(piece)), 'BAD_FRAME', name)
  }
  const asked = far()
  asked.receive(Uint8Array.of(17))
  assert.is(await codeOf(() => asked.receive(Uint8Array.of(17))), 'BAD_FRAME', 'asks but once')
})

test('tells when all that was sent has arrived, read or not', async () => {
  const ends = channel()
  await ends.near.arrived()
  assert.equal(ends.pieces, [], 'where nothing was sent, nothing is asked')
  void ends.near.send(filled(100_000))
  let arrived = false
  void ends.near.arrived().then(() => (arrived = true))
  await settle()
  assert.not(arrived)
  await ends.clock.advance(100)
  assert.ok(arrived)
  assert.is(ends.got.length, 1)
})

test('all who wait hear of the end, also of a channel that answers no more', async () => {
  const silent = createFlow({
    write: () => new Promise(() => undefined),
    onMessage: () => undefined,
  })
  const waiting = [silent.send('a'), silent.send('b'), silent.arrived()]
  const codes = waiting.map((one) => codeOf(() => one))
  await settle()
  silent.close(new SignalMeshError('CLOSED', 'It is over'))
  assert.equal(await Promise.all(codes), ['CLOSED', 'CLOSED', 'CLOSED'])
})

test.run()

/** An end whose messages nobody reads. */
function far(): Flow {
  return createFlow({ write: async () => undefined, onMessage: () => undefined })
}

function filled(size: number): Uint8Array {
  const bytes = new Uint8Array(size)
  for (let i = 0; i < size; i += 997) bytes[i] = i
  return bytes
}

function isSame(a: string | Uint8Array, b: unknown): boolean {
  if (typeof a === 'string') return a === b
  return b instanceof Uint8Array && Buffer.compare(a, b) === 0
}
