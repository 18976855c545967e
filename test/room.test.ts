/** Rooms: who connects to whom, never more than so many, and how a room mends. */

import fc from 'fast-check'
import { type ManualClock, manualClock } from '../src/clock.ts'
import type { Connection } from '../src/edge/connection.ts'
import { createEvents } from '../src/edge/events.ts'
import { wantedPeers } from '../src/edge/overlay.ts'
import { createRoom, type RoomCall, type RoomSource } from '../src/edge/room.ts'
import { SignalMeshError } from '../src/errors.ts'
import { assert, suite } from './harness/suite.ts'
import { codeOf } from './support/rawedge.ts'

const NONE = new Uint8Array(0)
const test = suite('room', { timeoutMs: 30_000 })

/** A world of rooms of one topic: calls and news take their time, which differs from pair to pair. */
interface World {
  readonly clock: ManualClock
  readonly rooms: ReadonlyMap<string, RoomSource>
  /** The most connections that any one has had at once. */
  most: number
  /** Pairs between which no connection comes about. */
  readonly blocked: Set<string>
  join(id: string): RoomSource
  /** Goes without a word; the others hear of it from the mesh. */
  die(id: string): void
  calls: number
}

function world(maxPeers: number, random: () => number = () => 0.5): World {
  const clock = manualClock()
  const rooms = new Map<string, RoomSource>()
  const ends = new Map<string, Set<() => void>>()
  const soon = (fn: () => void): void => void clock.after(1 + Math.floor(random() * 200), fn)
  const all: World = { clock, rooms, most: 0, blocked: new Set(), join, die, calls: 0 }

  function join(id: string): RoomSource {
    const source = createRoom({
      self: id,
      clock,
      maxPeers,
      random,
      connect: (peer, signal) => connect(id, peer, signal),
      leave: async () => die(id),
    })
    ends.set(id, new Set())
    for (const other of rooms.keys()) {
      soon(
        () =>
          rooms.has(other) &&
          source.changed({ kind: 'join', id: other, home: '', info: NONE }, true),
      )
      const host = rooms.get(other) as RoomSource
      soon(() => host.changed({ kind: 'join', id, home: '', info: NONE }, false))
    }
    rooms.set(id, source)
    source.room.on('change', (peers) => {
      all.most = Math.max(all.most, peers.size)
    })
    return source
  }

  function die(id: string): void {
    rooms.get(id)?.close()
    rooms.delete(id)
    for (const end of ends.get(id) ?? []) end()
    for (const source of rooms.values()) soon(() => source.changed({ kind: 'leave', id }, false))
  }

  function connect(from: string, to: string, signal: AbortSignal): Promise<Connection> {
    all.calls += 1
    const { promise, resolve, reject } = Promise.withResolvers<Connection>()
    const fail = (code: 'REFUSED' | 'PEER_UNKNOWN' | 'RTC_FAILED' | 'ABORTED'): void => {
      given.abort()
      reject(new SignalMeshError(code, code))
    }
    const given = new AbortController()
    signal.addEventListener('abort', () => fail('ABORTED'))
    soon(() => {
      const callee = rooms.get(to)
      if (!callee) return fail('PEER_UNKNOWN')
      const call: RoomCall = {
        id: from,
        signal: given.signal,
        refuse: () => soon(() => fail('REFUSED')),
        accept: () =>
          soon(() => {
            if (all.blocked.has([from, to].sort().join())) return fail('RTC_FAILED')
            const caller = rooms.get(from)
            if (given.signal.aborted || !caller || rooms.get(to) !== callee)
              return fail('RTC_FAILED')
            if (caller.room.peers.has(to)) return resolve(caller.room.peers.get(to) as Connection)
            const [a, b] = pair(from, to)
            callee.connected(b)
            caller.connected(a)
            resolve(a)
          }),
      }
      callee.incoming(call)
    })
    return promise
  }

  function pair(from: string, to: string): [Connection, Connection] {
    const halves = [half(to), half(from)] as const
    const end = (): void => {
      for (const one of halves) one.end('gone')
    }
    for (const one of halves) one.onClose = () => void clock.after(1, end)
    ends.get(from)?.add(end)
    ends.get(to)?.add(end)
    halves[0].other = halves[1]
    halves[1].other = halves[0]
    return [halves[0].connection, halves[1].connection]
  }

  return all
}

interface Half {
  readonly connection: Connection
  other?: Half
  onClose: () => void
  end(reason: string): void
  heard(data: string | Uint8Array): void
}

function half(id: string): Half {
  type Events = { message: string | Uint8Array; close: string; path: never }
  const events = createEvents<Events>(['message', 'close', 'path'])
  let state: 'open' | 'closed' = 'open'
  const it: Half = {
    onClose: () => {},
    end: (reason) => {
      if (state === 'closed') return
      state = 'closed'
      events.emit('close', reason)
    },
    heard: (data) => events.emit('message', data),
    connection: {
      id,
      get state() {
        return state
      },
      send: async (data: string) => {
        if (state === 'closed') throw new SignalMeshError('CLOSED', 'closed')
        it.other?.heard(data)
      },
      close: async (reason: string) => {
        it.end(reason)
        it.onClose()
      },
      on: events.on,
    } as unknown as Connection,
  }
  return it
}

const idOf = (n: number): string => ((n * 2_654_435_761) >>> 0).toString(16).padStart(8, '0')

/** Whether everybody is connected to everybody, over others if need be, and both ends agree. */
function isWhole({ rooms }: World): boolean {
  const ids = [...rooms.keys()]
  const reached = new Set(ids.slice(0, 1))
  for (const id of reached) {
    for (const peer of rooms.get(id)?.room.peers.keys() ?? []) {
      if (!rooms.get(peer)?.room.peers.has(id)) return false
      reached.add(peer)
    }
  }
  return reached.size === ids.length
}

test('wants all of a small room, and of a large one its neighbours on both sides of the ring', () => {
  assert.equal([...wantedPeers('b', ['a', 'c', 'b'], 4)].sort(), ['a', 'c'])
  const others = 'abcdefghijkl'.split('').filter((id) => id !== 'b')
  assert.equal([...wantedPeers('b', others, 4)].sort(), ['a', 'c', 'd', 'l'])
  assert.equal([...wantedPeers('b', others, 3)].sort(), ['a', 'c'])
  assert.equal([...wantedPeers('b', others, 1)], ['a'])
  assert.equal([...wantedPeers('c', ['a', 'b'], 1)], [])
})

test('what one wants of another, the other wants of it', () => {
  const ids = Array.from({ length: 23 }, (_, n) => idOf(n))
  for (const maxPeers of [1, 2, 3, 4, 5, 8, 22, 30]) {
    const wants = new Map(ids.map((id) => [id, wantedPeers(id, ids, maxPeers)]))
    for (const [id, wanted] of wants) {
      assert.ok(wanted.size <= maxPeers)
      for (const other of wanted) assert.ok(wants.get(other)?.has(id), `${maxPeers}`)
    }
  }
})

test('connects everybody in a room that is small enough, each pair once', async () => {
  const all = world(8)
  for (let n = 0; n < 5; n++) {
    all.join(idOf(n))
    await all.clock.advance(500)
  }
  await all.clock.advance(2000)
  for (const { room } of all.rooms.values()) {
    assert.is(room.peers.size, 4)
    assert.is(room.total, 4)
  }
  assert.is(all.calls, 10, 'nobody called twice, and no two called each other')
})

test('twelve with four connections each are one graph, and mend it after two have died', async () => {
  const all = world(4)
  for (let n = 0; n < 12; n++) {
    all.join(idOf(n))
    await all.clock.advance(100)
  }
  await all.clock.advance(60_000)
  assert.ok(isWhole(all))
  assert.is(all.most, 4)
  const ids = [...all.rooms.keys()].sort()
  all.die(ids[3] as string)
  all.die(ids[4] as string)
  await all.clock.advance(60_000)
  assert.is(all.rooms.size, 10)
  assert.ok(isWhole(all))
  assert.is(all.most, 4)
  const before = all.calls
  await all.clock.advance(600_000)
  assert.is(all.calls, before, 'a room that is whole is left alone')
})

test('whatever the order of joins and deaths, no one has too many and the room gets whole', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.integer({ min: 2, max: 6 }),
      fc.array(
        fc.oneof(
          { weight: 3, arbitrary: fc.constant('join') },
          { weight: 1, arbitrary: fc.constant('die') },
        ),
        {
          minLength: 3,
          maxLength: 24,
        },
      ),
      fc.integer({ min: 1, max: 1_000_000 }),
      async (maxPeers, steps, seed) => {
        const random = randomFrom(seed)
        const all = world(maxPeers, random)
        for (const [n, step] of steps.entries()) {
          const victim = [...all.rooms.keys()][Math.floor(random() * all.rooms.size)]
          if (step === 'join') all.join(idOf(n))
          else if (victim) all.die(victim)
          await all.clock.advance(Math.floor(random() * 1500))
        }
        await all.clock.advance(180_000)
        assert.ok(all.most <= maxPeers, `${all.most} connections`)
        assert.ok(
          isWhole(all),
          [...all.rooms].map(([id, { room }]) => `${id}: ${[...room.peers.keys()]}`).join('\n'),
        )
      },
    ),
    { numRuns: 60 },
  )
})

test('goes around a peer that it cannot reach, and tries it ever more rarely', async () => {
  const all = world(4)
  const ids = Array.from({ length: 12 }, (_, n) => idOf(n)).sort()
  for (const id of ids.slice(1)) all.blocked.add([ids[0] as string, id].sort().join())
  for (const id of ids) all.join(id)
  await all.clock.advance(60_000)
  const before = all.calls
  await all.clock.advance(60_000)
  assert.ok(all.calls - before <= 40, `${all.calls - before} calls in a minute`)
  all.rooms.get(ids[0] as string)?.close()
  all.die(ids[0] as string)
  await all.clock.advance(60_000)
  assert.ok(isWhole(all))
})

test('one who is said to have left keeps its place for a moment, for it may only have moved', async () => {
  const all = world(2)
  for (const id of ['aa', 'bb', 'cc', 'dd']) all.join(id)
  await all.clock.advance(20_000)
  const { changed, room } = all.rooms.get('aa') as RoomSource
  const peers = (): string[] => [...room.peers.keys()].sort()
  assert.equal(peers(), ['bb', 'dd'])
  changed({ kind: 'leave', id: 'dd' }, false)
  assert.is(room.total, 2)
  await all.clock.advance(2_900)
  changed({ kind: 'join', id: 'dd', home: 'another', info: NONE }, false)
  await all.clock.advance(20_000)
  assert.equal([peers(), room.total], [['bb', 'dd'], 3])
  changed({ kind: 'leave', id: 'dd' }, false)
  await all.clock.advance(2_900)
  assert.equal(peers(), ['bb', 'dd'])
  await all.clock.advance(200)
  assert.equal(peers(), ['bb'], 'its place is for another')
})

test('a listener that comes again hears each message once', async () => {
  const all = world(4)
  const [a, b] = [all.join('aa'), all.join('bb')]
  await all.clock.advance(5_000)
  const heard: unknown[] = []
  b.room.on('message', () => undefined)()
  b.room.on('message', ({ data }) => heard.push(data))
  await a.room.send('once')
  assert.equal(heard, ['once'])
  assert.is(await codeOf(() => a.room.send('half \ud83d')), 'BAD_ARGUMENT')
})

test('sends to those connected and hears from them, also what came before it listened', async () => {
  const all = world(4)
  const [a, b] = [all.join('aa'), all.join('bb')]
  await all.clock.advance(5_000)
  const heard: unknown[] = []
  b.room.on('message', (message) => heard.push(message))
  await a.room.send('hello')
  assert.equal(heard, [{ from: 'aa', data: 'hello' }])
})

test('tells of peers and leaves, gives a new map each time, and is over once left', async () => {
  const all = world(4)
  const [a, b] = [all.join('aa'), all.join('bb')]
  const told: unknown[] = []
  a.room.on('peer', ({ id }) => told.push(['peer', id]))
  a.room.on('leave', (id) => told.push(['leave', id]))
  const maps = [a.room.peers]
  a.room.on('change', (peers) => maps.push(peers))
  await all.clock.advance(5_000)
  await b.room.leave()
  await all.clock.advance(5_000)
  assert.equal(told, [
    ['peer', 'bb'],
    ['leave', 'bb'],
  ])
  assert.equal(
    maps.map((peers) => [...peers.keys()]),
    [[], ['bb'], []],
  )
  assert.is(new Set(maps).size, 3)
  assert.is(a.room.total, 0)
  const failure = await b.room.send('x').catch((error: unknown) => error)
  assert.is((failure as SignalMeshError).code, 'CLOSED')
})

test.run()

/** Mulberry32: the same numbers for the same seed. */
function randomFrom(seed: number): () => number {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296
  }
}
