/** Attacks by who asks over HTTP and does not read: large answers wait within a bound, and others get theirs. */

import { once } from 'node:events'
import { connect } from 'node:net'
import { createAnswers } from '../../runtimes/answers.ts'
import { MAX_ANSWERS_BYTES } from '../../runtimes/limits.ts'
import { listen } from '../../runtimes/listen.ts'
import { manualClock } from '../../src/clock.ts'
import { assert, suite } from '../harness/suite.ts'
import { outgoing } from '../support/outgoing.ts'

const test = suite('attacks by who does not read answers')

const BIG_BYTES = MAX_ANSWERS_BYTES / 8

test('an address that reads nothing holds a fourth of what may wait, and others get theirs', () => {
  const clock = manualClock()
  const { admit } = createAnswers(clock)
  const all = Array.from({ length: 100 }, () => outgoing('192.0.2.1'))
  assert.is(all.filter(({ out }) => admit(out, BIG_BYTES)).length, 2)
  assert.ok(admit(outgoing('192.0.2.2').out, BIG_BYTES))
  // Two addresses of one network of IPv6 are one.
  const near = ['2001:db8::1', '2001:db8::2', '2001:db8::3'].map((at) => outgoing(at).out)
  assert.equal(
    near.map((out) => admit(out, BIG_BYTES)),
    [true, true, false],
  )
  all[0]?.finish()
  all[0]?.out.destroy()
  assert.ok(admit(outgoing('192.0.2.1').out, BIG_BYTES))
  assert.not.ok(admit(outgoing('192.0.2.1').out, BIG_BYTES), 'one end is counted once')
})

test('answers are put together one after the other', async () => {
  const { read } = createAnswers(manualClock())
  let running = 0
  let most = 0
  const slow = (): Response =>
    ({
      arrayBuffer: async () => {
        running += 1
        most = Math.max(most, running)
        await Promise.resolve()
        running -= 1
        return new ArrayBuffer(1)
      },
    }) as Response
  await Promise.all(Array.from({ length: 10 }, () => read(slow())))
  assert.is(most, 1)
  const broken = { arrayBuffer: () => Promise.reject(new Error('gone')) } as unknown as Response
  await read(broken).catch(() => undefined)
  assert.is((await read(slow())).byteLength, 1)
})

test('who reads no large answer is told to come again, over a real socket, while others are answered', async () => {
  const big = new Uint8Array(BIG_BYTES)
  const running = await listen({
    host: '127.0.0.1',
    port: 0,
    fetch: ({ url }) => new Response(url.endsWith('/big') ? big : 'ok'),
    upgrade: () => new Response('no', { status: 404 }),
  })
  const sockets = await Promise.all(
    [1, 2].map(async () => {
      const socket = connect(running.port, '127.0.0.1').on('error', () => undefined)
      socket.write('GET /big HTTP/1.1\r\nHost: a\r\n\r\n')
      await once(socket, 'readable')
      return socket
    }),
  )
  const at = `http://127.0.0.1:${running.port}`
  const refused = await fetch(`${at}/big`)
  assert.is(refused.status, 503)
  assert.is(refused.headers.get('retry-after'), '10')
  assert.is(await (await fetch(at)).text(), 'ok')
  for (const socket of sockets) socket.destroy()
  await new Promise((resolve) => setTimeout(resolve, 50))
  const whole = await fetch(`${at}/big`)
  assert.is((await whole.arrayBuffer()).byteLength, BIG_BYTES)
  await running.close()
})

test.run()
