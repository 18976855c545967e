/** The React hooks without a browser: on a server, and the stores beneath them. */

import { createElement } from 'react'
import { renderToString } from 'react-dom/server'
import { type Edge, type Room, SignalMeshError } from '../src/edge/mod.ts'
import { keyOf } from '../src/react/key.ts'
import { useMesh, useRoom } from '../src/react/mod.ts'
import { createStore } from '../src/react/store.ts'
import { roomStore } from '../src/react/stores.ts'
import { assert, suite } from './harness/suite.ts'

const test = suite('react')

test('renders on a server as connecting, and joins nothing there', () => {
  const html = renderToString(createElement(App))
  assert.is(html, 'connecting undefined undefined, connecting undefined 0')
})

test('a store that is subscribed twice within a task starts once, and lives on', async () => {
  const { store, log } = watchedStore()
  store.subscribe(() => {})()
  await moment()
  assert.equal(log, [], 'who leaves at once has started nothing')
  store.subscribe(() => {})()
  const leave = store.subscribe(() => {})
  await moment()
  assert.equal(log, ['start'])
  leave()
  const stay = store.subscribe(() => {})
  await moment()
  assert.equal(log, ['start'], 'nothing ends between the two')
  stay()
  await moment()
  assert.equal(log, ['start', 'end'])
})

test('a store gives one object until something changes, and is idle again after the last has left', async () => {
  const { store, set } = watchedStore()
  let told = 0
  const leave = store.subscribe(() => told++)
  await moment()
  const first = { name: 'first' }
  set(first)
  assert.is(store.get(), first)
  assert.is(store.get(), first)
  assert.is(told, 1)
  leave()
  await moment()
  assert.is(store.get(), store.idle)
  set({ name: 'late' })
  assert.is(store.get(), store.idle, 'what has ended says nothing')
})

test('a store that is restarted ends what runs and starts anew', async () => {
  const { store, log } = watchedStore()
  store.subscribe(() => {})
  await moment()
  store.restart()
  await moment()
  assert.equal(log, ['start', 'end', 'start'])
})

test('options written anew have the same key, and those that say something else another', () => {
  const stream = new EventTarget()
  const same = [
    () => ({ urls: ['a'], topics: [{ name: 'a', secret: 'b' }], onIncoming: () => {} }),
    () => ({ identity: new Uint8Array([1, 2]), stream }),
  ]
  for (const make of same) assert.is(keyOf(make()), keyOf(make()))
  const different = [
    [{ urls: ['a'] }, { urls: ['b'] }],
    [{ identity: new Uint8Array([1]) }, { identity: new Uint8Array([2]) }],
    [{ stream }, { stream: new EventTarget() }],
    [{}, { onIncoming: () => {} }],
    ['a', { name: 'a', secret: '' }],
  ]
  for (const [one, other] of different) assert.is.not(keyOf(one), keyOf(other))
})

test('options in a circle have a key too, since a hook must not throw for what the edge refuses', () => {
  const circle: Record<string, unknown> = {}
  circle.self = circle
  assert.is(keyOf(circle), keyOf(circle))
})

test('components that ask for the same room of an edge share it', async () => {
  const { edge, joins } = fakeEdge(() => fakeRoom())
  const first = roomStore(edge, 'topic', { maxPeers: 4 })
  assert.is(roomStore(edge, 'topic', { maxPeers: 4 }), first)
  assert.is.not(roomStore(edge, 'other', { maxPeers: 4 }), first)
  first.subscribe(() => {})
  first.subscribe(() => {})
  await moment()
  assert.is(joins.length, 1)
  assert.is(first.get().state, 'open')
})

test('a room that cannot be joined shows why, and is tried again when asked', async () => {
  const refusal = new SignalMeshError('TOO_MANY', 'An edge has at most 64 topics')
  const { edge, joins } = fakeEdge(() => {
    throw refusal
  })
  const store = roomStore(edge, 'topic', {})
  store.subscribe(() => {})
  await moment()
  assert.is(store.get().state, 'failed')
  assert.is(store.get().error, refusal)
  store.get().retry()
  await moment()
  assert.is(joins.length, 2)
})

test('a room is left when nobody shows it, or the application’s own signal says so', async () => {
  const { edge, joins } = fakeEdge(() => fakeRoom())
  const own = new AbortController()
  roomStore(edge, 'one', { signal: own.signal }).subscribe(() => {})
  const { signal } = new AbortController()
  const leave = roomStore(edge, 'other', { signal }).subscribe(() => {})
  await moment()
  own.abort()
  assert.equal(aborted(joins), [true, false])
  leave()
  await moment()
  assert.equal(aborted(joins), [true, true])
})

test.run()

function App(): string {
  const { state, edge, error } = useMesh({ urls: ['http://127.0.0.1:1'] })
  const room = useRoom(edge, 'a topic')
  return `${state} ${edge} ${error}, ${room.state} ${room.room} ${room.peers.size}`
}

/** Everything that waits for microtasks has come. */
function moment(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve))
}

function watchedStore() {
  const log: string[] = []
  const it = { set: (_snapshot: { name: string }): void => {} }
  const store = createStore({ name: 'idle' }, (set, signal) => {
    log.push('start')
    it.set = set
    signal.addEventListener('abort', () => log.push('end'))
  })
  return { store, log, set: (snapshot: { name: string }) => it.set(snapshot) }
}

function fakeEdge(join: () => Room): { edge: Edge; joins: { signal?: AbortSignal }[] } {
  const joins: { signal?: AbortSignal }[] = []
  const edge = {
    join: async (_topic: string, options: { signal?: AbortSignal }) => {
      joins.push(options)
      return join()
    },
  }
  return { edge: edge as unknown as Edge, joins }
}

function fakeRoom(): Room {
  return { peers: new Map(), total: 0, on: () => () => {} } as unknown as Room
}

function aborted(joins: readonly { signal?: AbortSignal }[]): (boolean | undefined)[] {
  return joins.map(({ signal }) => signal?.aborted)
}
