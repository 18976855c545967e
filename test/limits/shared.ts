/** Cases of shared sockets: how many sessions, how large their frames, how fast they come, whose turn it is. */

import { type ManualClock, manualClock, settle } from '../../src/clock.ts'
import * as limits from '../../src/limits.ts'
import { type Link, linkPair } from '../../src/link.ts'
import { decodeBye, FRAME } from '../../src/messages.ts'
import { createMux } from '../../src/mux.ts'
import { decodeMuxFrame, encodeMuxFrame, type MuxFrame } from '../../src/muxframes.ts'
import { assert } from '../harness/suite.ts'
import { type Cases, outcomeOf, refuses, TAKEN } from './case.ts'
import { beside } from './ground.ts'

export const shared: Cases = {
  MAX_SESSION_FRAME_BYTES: refuses('TOO_LARGE', async (bytes) => {
    const { socket, mux, far } = pair()
    const link = mux.open('')
    const other = mux.open('')
    let ended: string = TAKEN
    void link.closed.then((reason) => (ended = reason))
    link.send(new Uint8Array(bytes))
    other.send(Uint8Array.of(1))
    await settle()
    assert.equal(far.heard, ended === TAKEN ? [bytes, 1] : [1])
    socket.close()
    return ended
  }),
  MAX_QUERY_BYTES: refuses('BAD_FRAME', (bytes) =>
    outcomeOf(() =>
      decodeMuxFrame(encodeMuxFrame({ kind: 'open', session: 1, query: 'q'.repeat(bytes) })),
    ),
  ),
  MAX_SESSIONS_PER_SOCKET: refuses('TOO_MANY', (count) =>
    inSharedSocket(async (raw) => {
      for (let i = 1; i <= count; i++) await raw.open(i)
      assert.is(raw.ended, '')
      const last = raw.of(count)[0] as Uint8Array
      return last[0] === FRAME.hello ? TAKEN : decodeBye(last).code
    }),
  ),
  SESSION_OPENS_BURST: refuses('RATE_LIMITED', (count) => opens(count, false)),
  SESSION_OPENS_PER_SECOND: refuses('RATE_LIMITED', (count) => opens(count, true)),
  LATE_FRAMES_BURST: refuses('RATE_LIMITED', (count) => lateFrames(count, false)),
  LATE_FRAMES_PER_SECOND: refuses('RATE_LIMITED', (count) => lateFrames(count, true)),
  SHARED_AHEAD_BYTES: {
    run: (bytes) => {
      const { queue, mux, sent } = pair()
      const link = mux.open('')
      queue.bytes = bytes
      sent.length = 0
      link.send(Uint8Array.of(1))
      return sent.length === 1 ? 'given on' : 'held'
    },
    trials: (limit) => [
      { title: `gives on at ${limit}`, amount: limit, outcome: 'given on' },
      { title: `holds above ${limit}`, amount: limit + 1, outcome: 'held' },
    ],
  },
}

/** A shared socket in memory, and what its other end takes. */
function pair(): {
  readonly clock: ManualClock
  readonly socket: Link
  readonly queue: { bytes: number }
  readonly sent: Uint8Array[]
  readonly mux: ReturnType<typeof createMux>
  readonly far: { readonly heard: number[] }
} {
  const clock = manualClock()
  const [near, end] = linkPair()
  const queue = { bytes: 0 }
  const sent: Uint8Array[] = []
  const far = { heard: [] as number[] }
  const socket: Link = {
    ...near,
    closed: near.closed,
    send: (frame) => {
      sent.push(frame)
      near.send(frame)
    },
    get bufferedBytes() {
      return queue.bytes
    },
  }
  createMux({
    socket: end,
    clock,
    idleMs: 1_000,
    accept: (link) => void link.subscribe(({ length }) => far.heard.push(length)),
  })
  return { clock, socket, queue, sent, mux: createMux({ socket, clock, idleMs: 1_000 }), far }
}

interface RawShared {
  readonly clock: ManualClock
  /** Why the node ended the socket; empty while it has not. */
  readonly ended: string
  open(session: number): Promise<void>
  /** Opens a session and closes it at once. */
  visit(session: number): Promise<void>
  /** Sends a frame for a session. */
  late(session: number): void
  /** The frames that came for it. */
  of(session: number): Uint8Array[]
}

/** Tries something in a shared socket at a node where others go on. */
function inSharedSocket(body: (raw: RawShared) => Promise<string>): Promise<string> {
  return beside(async ({ mesh, node }) => {
    const link = mesh.dial(`${mesh.urlOf(node)}/edges`, '192.0.2.9')
    const frames: MuxFrame[] = []
    let ended = ''
    link.subscribe((bytes) => frames.push(decodeMuxFrame(bytes.slice())))
    void link.closed.then((reason) => (ended = reason))
    const say = (frame: MuxFrame): void => link.send(encodeMuxFrame(frame))
    const outcome = await body({
      clock: mesh.clock,
      get ended() {
        return ended
      },
      open: async (session) => {
        say({ kind: 'open', session, query: '' })
        await mesh.clock.advance(0)
      },
      visit: async (session) => {
        say({ kind: 'open', session, query: '' })
        say({ kind: 'close', session, reason: '' })
        await mesh.clock.advance(0)
      },
      late: (session) => say({ kind: 'frame', session, frame: Uint8Array.of(FRAME.pong) }),
      of: (session) =>
        frames.flatMap((one) => (one.kind === 'frame' && one.session === session ? one.frame : [])),
    })
    link.close()
    return outcome
  })
}

function opens(count: number, rested: boolean): Promise<string> {
  return inSharedSocket(async (raw) => {
    const before = rested ? limits.SESSION_OPENS_BURST : 0
    for (let i = 1; i <= before; i++) await raw.visit(i)
    if (rested) await raw.clock.advance(1000)
    for (let i = 1; i <= count; i++) await raw.visit(before + i)
    return raw.ended || TAKEN
  })
}

function lateFrames(count: number, rested: boolean): Promise<string> {
  return inSharedSocket(async (raw) => {
    await raw.visit(1)
    const send = async (times: number): Promise<void> => {
      for (let i = 0; i < times; i++) raw.late(1)
      await raw.clock.advance(0)
    }
    if (rested) {
      await send(limits.LATE_FRAMES_BURST)
      await raw.clock.advance(1000)
    }
    await send(count)
    assert.is(raw.of(1).length, 1, 'nothing but its hello')
    return raw.ended || TAKEN
  })
}
