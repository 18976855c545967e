/** Servers for ICE: what may be named, which neighbours' STUN a home names, TURN, and what an edge takes. */

import { openStun } from '../runtimes/stun.ts'
import { turnFrom } from '../runtimes/turn.ts'
import { manualClock } from '../src/clock.ts'
import { createIce, type IceOptions } from '../src/edge/ice.ts'
import { SignalMeshError } from '../src/errors.ts'
import { decodeIce, encodeIce, type IceOffer, isStunAt } from '../src/ice.ts'
import {
  ICE_AGAIN_MS,
  ICE_FEW_MS,
  ICE_REFRESH_MS,
  STUN_ANSWER_MS,
  STUN_LINKED_MS,
  STUN_PROBE_MS,
  STUN_RESEND_MS,
  TURN_BURST,
  TURN_TTL_MS,
} from '../src/limits.ts'
import { silentLog } from '../src/log.ts'
import type { UdpOptions, UdpPort } from '../src/runtime.ts'
import { createTurn } from '../src/turn.ts'
import { assert, suite } from './harness/suite.ts'
import { stunGround } from './support/stuns.ts'

const test = suite('ice')

const HOME = 'https://home.example'
const codeOf = (fn: () => unknown): string => {
  try {
    fn()
    return 'taken'
  } catch (error) {
    return (error as { code: string }).code
  }
}
const asked = (url: string, username = '', credential = ''): string =>
  codeOf(() => decodeIce(encodeIce({ servers: [{ url, username, credential }], ttlMs: 1000 })))

test('takes URLs of STUN and TURN alone', () => {
  for (const url of ['stun:a.example', 'stun:192.0.2.1:3478', 'stun:[2001:db8::1]:3478']) {
    assert.is(asked(url), 'taken', url)
  }
  for (const url of ['turn:a.example', 'turns:a.example:443?transport=tcp', 'turn:[::1]:1']) {
    assert.is(asked(url, 'name', 'secret'), 'taken', url)
  }
  const bad = ['', 'http://a.example', 'stun://a.example', 'stuns:a.example', 'javascript:alert(1)']
  const odd = ['stun:a b', 'stun:a.example?transport=udp', 'stun:user@a.example', 'stun:a:123456']
  for (const url of [...bad, ...odd]) assert.is(asked(url), 'BAD_FRAME', url)
})

test('takes credentials with TURN alone, and TURN with credentials alone', () => {
  assert.is(asked('stun:a.example', 'name', 'secret'), 'BAD_FRAME')
  assert.is(asked('stun:a.example', 'name'), 'BAD_FRAME')
  assert.is(asked('turn:a.example'), 'BAD_FRAME')
  assert.is(asked('turn:a.example', 'name'), 'BAD_FRAME')
})

test('knows what is a host and a port of STUN', () => {
  for (const at of ['a.example:3478', '192.0.2.1:1', '[2001:db8::1]:65535']) assert.ok(isStunAt(at))
  for (const at of ['a.example', 'a.example:65536', ':3478', 'a b:1', 'turn:a:1', '2001:db8::1']) {
    assert.not(isStunAt(at), at)
  }
})

test('a home names its own STUN, and that of neighbours which answered it', () => {
  const ground = stunGround()
  ground.add('a', '203.0.113.1', 'a.example:3478')
  ground.add('silent', '203.0.113.2', 'b.example:3478')
  ground.add('without', '203.0.113.3')
  ground.answering.add('203.0.113.1:3478').add('203.0.113.3:3478')
  assert.equal(ground.urls(), ['stun:192.0.2.1:3478'])
  ground.stuns.sweep()
  assert.equal(ground.urls(), ['stun:192.0.2.1:3478', 'stun:203.0.113.1:3478'])
})

test('probes and names the address of the link, whatever the neighbour says of itself', () => {
  const ground = stunGround()
  ground.add('liar', '203.0.113.1', 'victim.example:3479')
  ground.add('relayed', undefined, 'victim.example:3478')
  ground.answering.add('203.0.113.1:3479')
  ground.stuns.sweep()
  assert.equal(
    ground.sent.map(({ to }) => to),
    [{ address: '203.0.113.1', port: 3479 }],
  )
  assert.equal(ground.urls().slice(1), ['stun:203.0.113.1:3479'])
})

test('takes no answer that it did not ask for, or from elsewhere, for a sign of life', () => {
  const ground = stunGround()
  ground.add('a', '203.0.113.1', 'a.example:3478')
  ground.stuns.sweep()
  const id = ground.sent.flatMap(({ datagram }) => [...datagram.slice(8)])
  const answer = Uint8Array.of(1, 1, 0, 0, 0x21, 0x12, 0xa4, 0x42, ...id)
  ground.stuns.receive(answer, { address: '203.0.113.9', port: 3478 })
  ground.stuns.receive(answer, { address: '203.0.113.1', port: 9 })
  assert.is(ground.urls().length, 1)
  ground.stuns.receive(
    answer.map((byte, i) => (i > 8 ? 0 : byte)),
    { address: '203.0.113.1', port: 3478 },
  )
  assert.is(ground.urls().length, 1)
  ground.stuns.receive(answer, { address: '203.0.113.1', port: 3478 })
  assert.is(ground.urls().length, 2)
})

test('a neighbour that answers no more is named no more, and asked less and less', async () => {
  const ground = stunGround()
  ground.add('a', '203.0.113.1', 'a.example:3478')
  ground.answering.add('203.0.113.1:3478')
  ground.stuns.sweep()
  await ground.clock.advance(STUN_ANSWER_MS)
  assert.is(ground.urls().length, 2)
  ground.answering.clear()
  await ground.clock.advance(STUN_PROBE_MS)
  ground.stuns.sweep()
  await ground.clock.advance(STUN_ANSWER_MS)
  assert.is(ground.urls().length, 1)
  await ground.clock.advance(STUN_PROBE_MS)
  ground.stuns.sweep()
  assert.is(ground.sent.length, 4, 'said three times; the wait has doubled')
  await ground.clock.advance(STUN_PROBE_MS)
  ground.stuns.sweep()
  assert.is(ground.sent.length, 5)
})

test('a probe or an answer that is lost is no dead neighbour', async () => {
  for (const lost of [1, 2]) {
    const ground = stunGround()
    ground.add('a', '203.0.113.1', 'a.example:3478')
    ground.answering.add('203.0.113.1:3478')
    ground.stuns.sweep()
    await ground.clock.advance(STUN_PROBE_MS)
    ground.answering.clear()
    ground.stuns.sweep()
    // The first is lost, or the first two are.
    await ground.clock.advance(lost * STUN_RESEND_MS)
    ground.answering.add('203.0.113.1:3478')
    await ground.clock.advance(STUN_ANSWER_MS)
    assert.is(ground.urls().length, 2, `${lost} lost`)
  }
})

test('a neighbour that has come is tried at once, not at the next heartbeat', async () => {
  const ground = stunGround()
  ground.add('a', '203.0.113.1', 'a.example:3478')
  ground.answering.add('203.0.113.1:3478')
  ground.stuns.linked()
  await ground.clock.advance(STUN_LINKED_MS)
  assert.is(ground.urls().length, 2)
})

test('a node that stops asks nobody any more', async () => {
  const ground = stunGround()
  ground.add('a', '203.0.113.1', 'a.example:3478')
  ground.stuns.sweep()
  ground.stuns.linked()
  ground.stuns.close()
  await ground.clock.advance(STUN_PROBE_MS)
  assert.is(ground.sent.length, 1)
})

test('a neighbour that has gone is named no more', () => {
  const ground = stunGround()
  ground.add('a', '203.0.113.1', 'a.example:3478')
  ground.answering.add('203.0.113.1:3478')
  ground.stuns.sweep()
  ground.remove('a')
  ground.stuns.sweep()
  assert.is(ground.urls().length, 1)
})

test('a home that others reach names no address of a private network', () => {
  const ground = stunGround()
  ground.add('near', '10.0.0.7', 'near.example:3478')
  ground.answering.add('10.0.0.7:3478')
  ground.stuns.sweep()
  assert.equal(ground.urls(), ['stun:192.0.2.1:3478'])
})

test('answers a binding request, and with nothing to what is none', () => {
  const ground = stunGround()
  const from = { address: '198.51.100.7', port: 4000 }
  ground.stuns.receive(
    Uint8Array.of(0, 1, 0, 0, 0x21, 0x12, 0xa4, 0x42, ...Array(12).fill(7)),
    from,
  )
  ground.stuns.receive(new Uint8Array(30), from)
  assert.equal(
    ground.sent.map(({ to }) => to),
    [from],
  )
})

test('mints TURN credentials as the TURN REST scheme has them, with a name that says nothing', async () => {
  const clock = manualClock(1_800_000_000_000)
  const host = { readText: async () => 'north\n' }
  const options = await turnFrom({ turnUrl: ['turn:t.example'], turnSecretFile: 'f' }, host)
  assert.ok(options)
  // Made by: printf %s 1800000600:aa | openssl dgst -sha1 -hmac north -binary | base64
  assert.is(options.mac('1800000600:aa'), '4j1qF7nCK2rIfxVoYyjupuXcdfM=')
  const turn = createTurn(options, clock)
  const [[one], [other]] = [turn('203.0.113.1').servers, turn('203.0.113.1').servers]
  assert.match(one?.username ?? '', /^1800000600:[0-9a-f]{16}$/)
  assert.is.not(one?.username, other?.username)
  assert.is(one?.credential, options.mac(one?.username ?? ''))
})

test('an address that asks for TURN too often gets none, and others theirs', () => {
  const turn = createTurn({ urls: ['turn:t.example'], mac: () => 'mac' }, manualClock())
  for (let i = 0; i < TURN_BURST; i++) assert.is(turn('2001:db8::1').servers.length, 1)
  assert.is(turn('2001:db8::2').servers.length, 0, 'one network is one address')
  assert.is(turn('2001:db8:1::1').servers.length, 1)
})

test('refuses a TURN secret that is empty', async () => {
  const host = { readText: async () => ' \n' }
  const failure = await turnFrom({ turnUrl: ['turn:t'], turnSecretFile: 'f' }, host).catch((e) => e)
  assert.is(failure.code, 'BAD_CONFIG')
})

/** What a node is told of its STUN where these ports are taken, and what it bound. */
async function opened(config: Partial<Parameters<typeof openStun>[2]>, taken: number[] = []) {
  const said: string[] = []
  const log = { ...silentLog, warn: (text: string) => said.push(text) }
  const bound: string[] = []
  let used: string | undefined
  const openUdp = async ({ host, port }: UdpOptions): Promise<UdpPort> => {
    bound.push(`${host} ${port}`)
    if (taken.includes(port)) throw new SignalMeshError('PORT_IN_USE', 'It is in use')
    return { port: port || 50_000, send: () => undefined, close: async () => undefined }
  }
  const node = {
    useStun: ({ at }: { at: string | undefined }) => {
      used = at
    },
    onDatagram: () => undefined,
  }
  const all = { host: '127.0.0.1', publicUrl: [], stunPort: undefined, stunPublic: undefined }
  const port = await openStun(node, { openUdp }, { ...all, ...config }, log, '127.0.0.1')
  return { bound, used, said, isOpen: port !== undefined }
}

const PUBLIC = { publicUrl: ['https://mesh.example'] }

test('a node opens STUN where it listens, and everywhere if it is to be reached from outside', async () => {
  const near = await opened({})
  assert.equal([near.bound, near.used], [['127.0.0.1 3478'], '127.0.0.1:3478'])
  assert.equal((await opened({ host: 'localhost' })).bound, ['127.0.0.1 3478'])
  const far = await opened(PUBLIC)
  assert.equal([far.bound, far.used], [['0.0.0.0 3478'], 'mesh.example:3478'])
  const named = await opened({ ...PUBLIC, stunPublic: 'stun.example:99', stunPort: 5 })
  assert.equal([named.bound, named.used], [['0.0.0.0 5'], 'stun.example:99'])
  assert.equal((await opened({ stunPort: 0 })).isOpen, false)
})

test('a taken port is no reason not to start: the usual one gives way, another is gone without', async () => {
  const usual = await opened({}, [3478])
  assert.equal([usual.bound.at(-1), usual.used], ['127.0.0.1 0', '127.0.0.1:50000'])
  assert.equal(usual.said, [])
  assert.is((await opened(PUBLIC, [3478])).said.length, 1, 'firewalls know the usual one alone')
  const asked = await opened({ stunPort: 7 }, [7])
  assert.equal(
    [asked.isOpen, asked.bound, asked.said],
    [false, ['127.0.0.1 7'], ['Goes on without STUN']],
  )
})

const OFFER: IceOffer = { servers: [{ url: 'stun:a.example:3478' }], ttlMs: ICE_REFRESH_MS }
const TWO: IceOffer = { ...OFFER, servers: [...OFFER.servers, { url: 'stun:b.example:3478' }] }
const TURN: IceOffer = {
  servers: [{ url: 'turn:t.example', username: 'n', credential: 'c' }],
  ttlMs: TURN_TTL_MS,
}

function edge(wanted?: IceOptions['wanted'], home = HOME) {
  const clock = manualClock()
  let answer = encodeIce({ servers: [...OFFER.servers, ...TURN.servers], ttlMs: TURN_TTL_MS })
  const requests: number[] = []
  const ice = createIce({
    clock,
    wanted,
    request: async (method) => {
      requests.push(method)
      return answer
    },
    url: () => home,
  })
  return { clock, ice, requests, answers: (body: Uint8Array) => (answer = body) }
}

test('an edge has STUN from the hello and TURN from the welcome', async () => {
  const { ice } = edge()
  assert.equal(ice.servers, [])
  ice.greeted(OFFER, HOME)
  assert.equal(await ice.named, [{ urls: 'stun:a.example:3478' }])
  ice.welcomed(TURN, HOME)
  assert.equal(ice.servers, [
    { urls: 'stun:a.example:3478' },
    { urls: 'turn:t.example', username: 'n', credential: 'c' },
  ])
})

test('asks for new credentials before the old ones run out', async () => {
  const { clock, ice, requests, answers } = edge()
  ice.greeted(TWO, HOME)
  ice.welcomed(TURN, HOME)
  const next = { url: 'turn:t.example', username: 'next', credential: 'c' }
  answers(encodeIce({ servers: [...TWO.servers, next], ttlMs: TURN_TTL_MS }))
  await clock.advance(TURN_TTL_MS - 1)
  assert.equal(requests, [8])
  assert.is(ice.servers[2]?.username, 'next')
  ice.close()
  assert.is(clock.pending, 0)
})

test('a home that says that all is over at once is not asked without end', async () => {
  const { clock, ice, requests, answers } = edge()
  const over = { servers: TWO.servers, ttlMs: 1 }
  ice.greeted(over, HOME)
  ice.welcomed({ servers: [], ttlMs: 0 }, HOME)
  answers(encodeIce(over))
  await clock.advance(10 * ICE_AGAIN_MS)
  assert.is(requests.length, 10)
})

test('an edge that knows one STUN server asks again soon, and less and less often, until it knows two', async () => {
  const { clock, ice, requests, answers } = edge()
  ice.greeted(OFFER, HOME)
  ice.welcomed({ servers: [], ttlMs: 0 }, HOME)
  answers(encodeIce(OFFER))
  await clock.advance(ICE_FEW_MS)
  assert.is(requests.length, 1)
  await clock.advance(2 * ICE_FEW_MS - 1)
  assert.is(requests.length, 1)
  answers(encodeIce(TWO))
  await clock.advance(1)
  assert.equal([requests.length, ice.servers.length], [2, 2])
  await clock.advance(0.75 * ICE_REFRESH_MS - 1)
  assert.is(requests.length, 2)
  ice.close()
})

test('a home that never knows a second one is asked a few times an hour', async () => {
  const { clock, ice, requests, answers } = edge()
  ice.greeted(OFFER, HOME)
  ice.welcomed({ servers: [], ttlMs: 0 }, HOME)
  answers(encodeIce(OFFER))
  await clock.advance(ICE_REFRESH_MS)
  assert.ok(requests.length >= 5 && requests.length <= 10, `${requests.length}`)
  const before = requests.length
  await clock.advance(2 * ICE_REFRESH_MS)
  assert.ok(requests.length - before <= 3)
  // Another home begins anew.
  ice.welcomed({ servers: [], ttlMs: 0 }, HOME)
  const then = requests.length
  await clock.advance(ICE_FEW_MS)
  assert.is(requests.length, then + 1)
  ice.close()
})

test('gives nobody credentials that have run out', async () => {
  const { clock, ice, answers } = edge()
  ice.greeted(OFFER, HOME)
  ice.welcomed(TURN, HOME)
  answers(Uint8Array.of(1, 2, 3))
  await clock.advance(TURN_TTL_MS)
  assert.equal(ice.servers, [{ urls: 'stun:a.example:3478' }])
})

test('takes no address nearer than its home, and each kind where it belongs', () => {
  const { ice } = edge()
  const near = [
    'stun:127.0.0.1:1',
    'stun:[::1]:1',
    'stun:10.0.0.1',
    'stun:localhost',
    'stun:x.local',
  ]
  ice.greeted({ servers: [...near.map((url) => ({ url })), ...TURN.servers], ttlMs: 1000 }, HOME)
  assert.equal(ice.servers, [])
  ice.welcomed({ servers: OFFER.servers, ttlMs: 1000 }, HOME)
  assert.equal(ice.servers, [])
  ice.greeted({ servers: [{ url: 'stun:127.0.0.1:1' }], ttlMs: 1000 }, 'http://127.0.0.1:4680')
  assert.is(ice.servers.length, 1)
})

test('a list of the application’s replaces all, and the home is never asked', async () => {
  for (const wanted of [[], [{ urls: 'stun:mine.example' }]]) {
    const { clock, ice, requests } = edge(wanted)
    ice.greeted(OFFER, HOME)
    ice.welcomed(TURN, HOME)
    assert.equal(ice.servers, wanted)
    assert.is(ice.named, undefined)
    await clock.advance(2 * ICE_REFRESH_MS)
    assert.equal(requests, [])
  }
})

test('a function of the application’s makes a list of what is offered', () => {
  const { ice } = edge((offered) => [...offered, { urls: 'stun:mine.example' }])
  ice.greeted(OFFER, HOME)
  assert.equal(ice.servers, [{ urls: 'stun:a.example:3478' }, { urls: 'stun:mine.example' }])
})

test('where that function fails, nothing is asked of anybody', () => {
  const scope = globalThis as { reportError?: unknown }
  const before = scope.reportError
  const reported: unknown[] = []
  scope.reportError = (error: unknown) => reported.push(error)
  try {
    for (const wanted of [() => 'stun:a' as never, () => [{}] as never, () => raise()]) {
      const { ice } = edge(wanted)
      reported.length = 0
      ice.greeted(OFFER, HOME)
      assert.equal(ice.servers, [])
      assert.ok(reported.length > 0)
    }
  } finally {
    scope.reportError = before
  }
})

function raise(): never {
  throw new Error('an application’s own')
}

test.run()
