/** The stand-ins for events and readable-stream do what the packages themselves do, in all that is asked of them. */

import { EventEmitter as NodeEmitter } from 'node:events'
import { createRequire } from 'node:module'
import fc from 'fast-check'
import { EventEmitter } from '../tools/shims/events.ts'
import { Duplex } from '../tools/shims/stream.ts'
import { assert, suite } from './harness/suite.ts'

const { Duplex: PackageDuplex } = createRequire(import.meta.url)('readable-stream') as {
  Duplex: new (options: object) => AnyDuplex
}
const test = suite('shims', { timeoutMs: 20_000 })

type Done = (error?: Error | null) => void
type Step =
  | { readonly do: 'push'; readonly chunk: string }
  | { readonly do: 'write'; readonly chunk: string; readonly takes: 'no time' | 'its time' }
  | { readonly do: 'listen' | 'end' | 'wait' | 'drain' }

/** Until all that was put off has been done. */
const settle = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

interface AnyDuplex {
  on(name: string, listener: (...args: unknown[]) => void): unknown
  once(name: string, listener: () => void): unknown
  push(chunk: unknown): unknown
  write(chunk: unknown, done: Done): unknown
  end(): unknown
  _write(chunk: unknown, encoding: string, done: Done): void
  _read?(): void
}

const step: fc.Arbitrary<Step> = fc.oneof(
  fc.record({ do: fc.constant('push' as const), chunk: fc.string() }),
  fc.record({
    do: fc.constant('write' as const),
    chunk: fc.string(),
    takes: fc.constantFrom('no time' as const, 'its time' as const),
  }),
  fc.record({ do: fc.constantFrom('listen' as const, 'wait' as const, 'drain' as const) }),
)

/** What the duplex tells of the steps, each thing in its order among those of its kind. */
async function play(duplex: AnyDuplex, steps: readonly Step[]): Promise<object> {
  const heard: string[] = []
  const written: string[] = []
  const done: number[] = []
  const waiting: Done[] = []
  const slow = new Set<string>()
  duplex._read = () => undefined
  duplex._write = (chunk, _encoding, finish) => {
    written.push(String(chunk))
    if (slow.has(String(chunk))) waiting.push(finish)
    else finish(null)
  }
  duplex.once('finish', () => written.push('finish'))
  let writes = 0
  for (const one of steps) {
    if (one.do === 'push') duplex.push(one.chunk)
    else if (one.do === 'listen') duplex.on('data', (chunk: unknown) => heard.push(String(chunk)))
    else if (one.do === 'end') duplex.end()
    else if (one.do === 'drain') waiting.shift()?.(null)
    else if (one.do === 'wait') await settle()
    else if (one.do === 'write') {
      const at = writes++
      const chunk = `${at} ${one.chunk}`
      if (one.takes === 'its time') slow.add(chunk)
      duplex.write(chunk, () => done.push(at))
    }
  }
  while (waiting.length > 0) {
    waiting.shift()?.(null)
    await settle()
  }
  await settle()
  // The package may tell of a later write first; ours keeps to the order.
  return { heard, written, done: done.toSorted((a, b) => a - b) }
}

test('a duplex of things tells what comes, and writes, as the package does', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 20 }), fc.boolean(), async (some, ends) => {
      const steps: Step[] = ends ? [...some, { do: 'end' }] : some
      const theirs = new PackageDuplex({ objectMode: true, allowHalfOpen: false })
      const ours = new Duplex({ objectMode: true }) as AnyDuplex
      assert.equal(await play(ours, steps), await play(theirs, steps))
    }),
    { numRuns: 30 },
  )
})

test('a duplex of bytes tells text as its bytes, and nothing of what is empty', async () => {
  const duplex = new Duplex()
  const heard: unknown[] = []
  duplex.on('data', (chunk) => heard.push(chunk))
  await settle()
  duplex.push('aé')
  duplex.push('')
  duplex.push(new Uint8Array(0))
  duplex.push(Uint8Array.of(1))
  assert.equal(
    heard.map((chunk) => [...(chunk as Uint8Array)]),
    [[0x61, 0xc3, 0xa9], [1]],
  )
  assert.not(duplex._readableState.ended)
  duplex.push(null)
  assert.ok(duplex._readableState.ended)
})

test('a listener hears nothing in the turn in which it begins to listen', async () => {
  const duplex = new Duplex({ objectMode: true })
  const heard: unknown[] = []
  duplex.push('early')
  duplex.on('data', (chunk) => heard.push(chunk))
  assert.equal(heard, [])
  await Promise.resolve()
  assert.equal(heard, ['early'])
})

test('what a listener pushes, or throws at, disturbs no order', async () => {
  const duplex = new Duplex({ objectMode: true })
  const heard: unknown[] = []
  duplex.on('data', (chunk) => {
    heard.push(chunk)
    if (chunk === 1) duplex.push(2)
    if (chunk === 3) throw new Error('thrown')
  })
  await settle()
  duplex.push(1)
  assert.equal(heard, [1, 2])
  assert.throws(() => duplex.push(3), 'thrown')
  duplex.push(4)
  assert.equal(heard, [1, 2, 3, 4])
})

test('a write that fails is told to who wrote it and to who listens for errors', async () => {
  const duplex = new Duplex({ objectMode: true })
  const told: unknown[] = []
  duplex._write = (_chunk, _encoding, done) => done(new Error('full'))
  duplex.on('error', (error) => told.push(`event ${(error as Error).message}`))
  duplex.write('x', (error) => told.push(`call ${error?.message}`))
  await settle()
  assert.equal(told, ['event full', 'call full'])
})

test('ten thousand writes that take no time take no stack', async () => {
  const duplex = new Duplex({ objectMode: true })
  let release: Done = () => undefined
  let written = 0
  duplex._write = (chunk, _encoding, done) => {
    written += 1
    if (chunk === 'first') release = done
    else done()
  }
  duplex.write('first')
  for (let i = 0; i < 10_000; i++) duplex.write('more')
  release()
  assert.is(written, 10_001)
})

test('an emitter calls and forgets its listeners as the package does', () => {
  const names = fc.constantFrom('a', 'b')
  const call = fc.record({
    do: fc.constantFrom('on', 'once', 'removeListener', 'removeAllListeners', 'emit', 'emitTwice'),
    name: names,
    listener: fc.nat(2),
  })
  fc.assert(
    fc.property(fc.array(call, { maxLength: 40 }), (calls) => {
      const [theirs, ours] = [new NodeEmitter(), new EventEmitter()].map((emitter) => {
        const log: unknown[] = []
        const listeners = [0, 1, 2].map((id) => (...args: unknown[]) => {
          log.push([id, ...args])
          // Whoever is told already of this event is told, whatever a listener does.
          if (id === 2) emitter.removeListener('a', listeners[0] as () => void)
        })
        for (const one of calls) {
          const listener = listeners[one.listener] as () => void
          if (one.do === 'emit' || one.do === 'emitTwice') {
            log.push(emitter.emit(one.name, 1, 'x'))
            if (one.do === 'emitTwice') log.push(emitter.emit(one.name))
          } else if (one.do === 'removeAllListeners') emitter.removeAllListeners(one.name)
          else emitter[one.do as 'on' | 'once' | 'removeListener'](one.name, listener)
        }
        return log
      })
      assert.equal(ours, theirs)
    }),
  )
  const emitter = new EventEmitter()
  assert.throws(() => emitter.emit('error', new Error('unheard')), 'unheard')
})

test.run()
