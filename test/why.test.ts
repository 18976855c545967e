/** Why: the cause that each failure and each relay has, from what both ends see of their networks. */

import type { Connection, Edge, JoinOptions } from '../src/edge/mod.ts'
import type { MakeRtc } from '../src/edge/rtc.ts'
import { type NetFacts, type Why, type WhyPhase, whyFailed, whyPath } from '../src/edge/why.ts'
import { decodeFacts, encodeFacts, NO_FACTS } from '../src/edge/whyfacts.ts'
import { gatherFacts } from '../src/edge/whygather.ts'
import { whyOf } from '../src/edge/whyof.ts'
import { type ErrorCode, SignalMeshError } from '../src/errors.ts'
import { FACTS_AFTER_MS } from '../src/limits.ts'
import { FRAME } from '../src/messages.ts'
import type { MeshNode } from '../src/node.ts'
import { assert, suite } from './harness/suite.ts'
import { doorbell, failure, type Met, meet, mute, ROOM } from './support/meeting.ts'
import { during, testMesh } from './support/mesh.ts'
import type { RtcWorld } from './support/rtc.ts'

const test = suite('why')
const OPEN: NetFacts = { ...NO_FACTS, udp: 'open', stun: { asked: 2, failed: 0 } }
const CONE: NetFacts = { ...OPEN, mapping: 'endpoint-independent' }
const SYMMETRIC: NetFacts = { ...OPEN, mapping: 'address-dependent' }
const BLOCKED: NetFacts = { ...NO_FACTS, udp: 'blocked', stun: { asked: 2, failed: 2 } }
const REJECTED: NetFacts = { ...CONE, turn: { asked: 1, failed: 1, codes: [401] } }
const RELAYED: NetFacts = { ...CONE, candidates: { host: 1, srflx: 1, relay: 1 } }
const ONLY: NetFacts = { ...NO_FACTS, relayOnly: true }
const FOUR: NetFacts = { ...SYMMETRIC, ipVersions: [4] }
const SIX: NetFacts = { ...NO_FACTS, ipVersions: [6] }
const BOTH: NetFacts = { ...CONE, ipVersions: [4, 6] }

// --- from facts to causes ---

const failed = (code: ErrorCode, own?: NetFacts, peer?: NetFacts, phase: WhyPhase = 'path'): Why =>
  whyFailed(new SignalMeshError(code, 'a reason'), { phase, own, peer })

for (const [title, own, peer, expected] of [
  ['UDP is blocked here', BLOCKED, CONE, 'udp-blocked own'],
  ['UDP is blocked there', CONE, BLOCKED, 'udp-blocked peer'],
  ['UDP is blocked on both sides', BLOCKED, BLOCKED, 'udp-blocked both'],
  ['both mappings are address-dependent', SYMMETRIC, SYMMETRIC, 'nat-mapping both'],
  ['one mapping is, and the other side’s filter strict', CONE, SYMMETRIC, 'nat-mapping peer'],
  ['TURN is rejected here', REJECTED, SYMMETRIC, 'turn-rejected own'],
  ['TURN is rejected there', SYMMETRIC, REJECTED, 'turn-rejected peer'],
  ['TURN is rejected here and works there', REJECTED, RELAYED, 'no-path undefined'],
  ['relays alone are allowed, and there is none', ONLY, CONE, 'relay-only own'],
  ['one has IPv4 alone and the other IPv6', FOUR, SIX, 'no-common-ip undefined'],
  [
    'UDP is blocked here, of a version that is not the peer’s',
    { ...BLOCKED, ipVersions: [4] },
    SIX,
    'udp-blocked own',
  ],
  ['the mapping here is, and the versions there are not known', FOUR, CONE, 'nat-mapping own'],
  ['the mapping here is, and there are both versions', FOUR, BOTH, 'nat-mapping own'],
  ['nothing is seen that would explain it', CONE, CONE, 'no-path undefined'],
  ['the peer tells nothing', SYMMETRIC, undefined, 'nat-mapping own'],
] as const) {
  test(`an attempt fails because ${title}`, () => {
    for (const code of ['RTC_FAILED', 'TIMEOUT'] as const) {
      const why = failed(code, own, peer)
      assert.is(sided(why), expected)
      assert.equal([why.phase, why.own, why.peer], ['path', own, peer])
      assert.ok(why.text.length > 10)
    }
  })
}

for (const [title, own, peer, expected] of [
  ['UDP is blocked', CONE, BLOCKED, 'udp-blocked peer'],
  ['both mappings are address-dependent', SYMMETRIC, SYMMETRIC, 'nat-mapping both'],
  ['its application allows nothing else', ONLY, CONE, 'relay-only own'],
  ['one has IPv6 alone and the other IPv4', SIX, FOUR, 'no-common-ip undefined'],
  ['a firewall is in the way', RELAYED, RELAYED, 'no-path undefined'],
] as const) {
  test(`a connection ends on a relay because ${title}`, () => {
    for (const path of ['turn', 'mesh']) {
      const why = whyPath(path, { phase: 'open', own, peer })
      assert.is(sided(why), expected)
    }
  })
}

test('a direct path needs no explanation, whatever the networks are', () => {
  for (const path of ['local', 'direct']) {
    assert.is(whyPath(path, { phase: 'open', own: SYMMETRIC, peer: BLOCKED }).code, 'none')
  }
  assert.is(
    whyPath('unknown', { phase: 'open', own: undefined, peer: undefined }).code,
    'undecided',
  )
})

test('a relay is unexplained until both sides have told what they see', () => {
  const waiting: NetFacts = { ...NO_FACTS, stun: { asked: 2, failed: 0 } }
  for (const [own, peer] of [
    [waiting, CONE],
    [CONE, waiting],
    [CONE, undefined],
    [{ ...waiting, ipVersions: [4] }, SIX],
  ] as const) {
    assert.is(whyPath('mesh', { phase: 'open', own, peer }).code, 'undecided')
  }
  assert.is(whyPath('mesh', { phase: 'open', own: BLOCKED, peer: undefined }).code, 'udp-blocked')
  // Of whom no server was asked, nothing more comes.
  assert.is(whyPath('mesh', { phase: 'open', own: NO_FACTS, peer: CONE }).code, 'no-path')
})

test('each code of a failure has a cause, and its own sentence', () => {
  for (const [code, phase, expected] of [
    ['PEER_UNKNOWN', 'lookup', 'peer-gone'],
    ['PEER_UNKNOWN', 'reach', 'stale-record'],
    ['PEER_LEFT', 'ring', 'peer-gone'],
    ['MOVED', 'reach', 'stale-record'],
    ['HOME_UNREACHABLE', 'reach', 'home-unreachable'],
    ['NO_HOME', 'lookup', 'no-home'],
    ['RATE_LIMITED', 'reach', 'busy'],
    ['TIMEOUT', 'lookup', 'timeout'],
    ['TIMEOUT', 'reach', 'timeout'],
    ['TIMEOUT', 'ring', 'timeout'],
    ['RTC_FAILED', 'reach', 'unable'],
    ['RTC_FAILED', 'open', 'path-lost'],
    ['CLOSED', 'open', 'closed'],
  ] as const) {
    const why = failed(code, undefined, undefined, phase)
    assert.equal([why.code, why.phase, why.error?.code], [expected, phase, code])
  }
  const late = { phase: 'reach', own: undefined, peer: undefined, word: 'MOVED' } as const
  assert.is(whyFailed(new SignalMeshError('TIMEOUT', 'late'), late).code, 'stale-record')
})

test('the cause of an error is found at any depth, and nothing else is taken for one', () => {
  const why = failed('TIMEOUT', BLOCKED)
  const inner = new SignalMeshError('TIMEOUT', 'late', { cause: why })
  assert.is(whyOf(new SignalMeshError('CLOSED', 'over', { cause: inner })), why)
  for (const other of [undefined, null, 1, new Error('x'), new SignalMeshError('CLOSED', 'x')]) {
    assert.is(whyOf(other), undefined)
  }
  const own = new SignalMeshError('CLOSED', 'x')
  Object.assign(own, { cause: own })
  assert.is(whyOf(own), undefined)
})

// --- on the wire ---

test('facts come out as they went in', () => {
  for (const facts of [
    NO_FACTS,
    CONE,
    SYMMETRIC,
    BLOCKED,
    REJECTED,
    RELAYED,
    ONLY,
    FOUR,
    SIX,
    BOTH,
  ]) {
    for (const gaveUp of [true, false]) {
      assert.equal(decodeFacts(encodeFacts({ facts, gaveUp })), { facts, gaveUp })
    }
  }
})

test('fields of a later version are skipped, and what it adds to known ones', () => {
  const said = encodeFacts({ facts: SYMMETRIC, gaveUp: true })
  const later = Uint8Array.of(200, 3, 1, 2, 3, ...said, 201, 0)
  assert.equal(decodeFacts(later), { facts: SYMMETRIC, gaveUp: true })
  assert.is(decodeFacts(Uint8Array.of(1, 2, 3, 99)).facts.mapping, 'address-dependent')
  // A value of a later version is nothing that is known here.
  assert.is(decodeFacts(Uint8Array.of(1, 1, 77)).facts.mapping, 'unknown')
})

test('facts that are cut short are refused', () => {
  for (const bytes of [[1], [1, 1], [3, 2, 1, 1], [200, 9, 1]]) {
    assert.throws(() => decodeFacts(Uint8Array.from(bytes)), isBadFrame)
  }
})

// --- what a browser shows ---

const SERVERS = ['stun:192.0.2.1', 'stun:192.0.2.2'].map((urls) => ({ urls }))

test('one address for all servers is an independent mapping, once both have answered', () => {
  const { shows, facts, ends } = looked(SERVERS)
  shows('srflx 203.0.113.5 4000 rport 5000')
  assert.equal([facts().mapping, facts().udp], ['unknown', 'open'])
  ends()
  assert.equal([facts().mapping, facts().filtering], ['endpoint-independent', 'unknown'])
})

test('two addresses of one socket are a dependent mapping', () => {
  const { shows, facts } = looked(SERVERS)
  shows('srflx 203.0.113.5 4000 rport 5000')
  shows('srflx 203.0.113.5 4001 rport 5000')
  assert.is(facts().mapping, 'address-dependent')
})

test('two sockets with an address each say nothing of the mapping', () => {
  for (const [first, second] of [
    ['network-id 1', 'network-id 2'],
    ['rport 5000', 'rport 5001'],
  ]) {
    const { shows, facts, ends } = looked(SERVERS)
    shows(`srflx 203.0.113.5 4000 ${first}`)
    shows(`srflx 203.0.113.5 4001 ${second}`)
    ends()
    assert.is(facts().mapping, 'endpoint-independent')
  }
})

test('one server alone cannot show the mapping', () => {
  const { shows, facts, ends } = looked(SERVERS.slice(1))
  shows('srflx 203.0.113.5 4000 rport 5000')
  ends()
  assert.is(facts().mapping, 'unknown')
})

test('servers that answer with what the browser has already are no NAT', () => {
  const { shows, facts, ends } = looked(SERVERS)
  shows('host 203.0.113.5 4000')
  ends()
  assert.equal([facts().mapping, facts().udp], ['none', 'open'])
})

test('where packets are dropped without a word UDP is blocked, though the browser still waits', () => {
  const silent = looked([{ urls: 'stun:192.0.2.1:3478' }])
  silent.shows('host 192.168.0.2 4000')
  silent.passes(11_000)
  assert.equal([silent.facts().udp, silent.facts().mapping], ['unknown', 'unknown'])
  silent.passes(2_000)
  assert.equal([silent.facts().udp, silent.facts().mapping], ['blocked', 'unknown'])
})

test('a private address of which no server tells another is behind a firewall, though gathering has ended', () => {
  const early = looked([{ urls: 'stun:192.0.2.1:3478' }])
  early.shows('host 192.168.0.2 4000')
  assert.is(early.facts().udp, 'unknown', 'a server may still answer')
  early.ends()
  assert.equal([early.facts().udp, early.facts().mapping], ['blocked', 'unknown'])
  const open = looked([{ urls: 'stun:192.0.2.1:3478' }])
  open.shows('host 198.51.100.2 4000')
  open.ends()
  assert.equal([open.facts().udp, open.facts().mapping], ['open', 'none'])
})

test('a host of IPv6 alone asks no server of IPv4, so that nothing is blocked', () => {
  const six = looked([{ urls: ['stun:192.0.2.1:3478', 'stun:stun.example:3478'] }])
  six.shows('host 2001:db8::2 4000')
  six.passes(13_000)
  assert.is(six.facts().stun.asked, 1)
  const literal = looked([{ urls: 'stun:192.0.2.1:3478' }])
  literal.shows('host 2001:db8::2 4000')
  literal.passes(13_000)
  assert.equal([literal.facts().stun.asked, literal.facts().udp], [0, 'unknown'])
})

test('no answer from any server is UDP that is blocked, but only when the browser has given up', () => {
  const { fails, facts, ends } = looked(SERVERS)
  fails('stun:192.0.2.1', 701)
  fails('stun:192.0.2.2', 701)
  assert.is(facts().udp, 'unknown')
  ends()
  assert.equal([facts().udp, facts().mapping], ['blocked', 'unknown'])
  assert.equal(facts().stun, { asked: 2, failed: 2 })
})

test('a browser that names no failures is believed by its time', () => {
  const quick = looked(SERVERS, false)
  quick.ends()
  assert.equal([quick.facts().mapping, quick.facts().udp], ['none', 'open'])
  const slow = looked(SERVERS, false)
  slow.passes(8_000)
  slow.ends()
  assert.equal([slow.facts().mapping, slow.facts().udp], ['unknown', 'blocked'])
})

test('a TURN server that refuses is told from one that cannot be reached', () => {
  const turn = { urls: ['turn:192.0.2.3', 'turns:192.0.2.3'], username: 'u', credential: 'c' }
  const { fails, facts } = looked([turn])
  fails('turn:192.0.2.3', 401)
  fails('turns:192.0.2.3', 701)
  assert.equal(facts().turn, { asked: 2, failed: 2, codes: [401] })
  const other = looked([turn])
  other.fails('turn:192.0.2.3', 701)
  other.shows('relay 192.0.2.3 4000', 'turn:192.0.2.3')
  assert.equal(other.facts().turn, { asked: 2, failed: 0, codes: [] })
  assert.is(other.facts().udp, 'open')
})

test('the versions of IP are those of its own addresses, not of a relay', () => {
  const { shows, facts } = looked(SERVERS)
  assert.equal(facts().ipVersions, [])
  shows('host 2001:db8::2 4000')
  shows('relay 203.0.113.9 4000')
  assert.equal(facts().ipVersions, [6])
  shows('host 192.168.0.2 4000')
  assert.equal(facts().ipVersions, [4, 6])
})

test('of addresses that a browser hides the versions are known once servers have told of each', () => {
  const { shows, facts } = looked(SERVERS)
  shows('host 5b1e.local 4000 network-id 1')
  shows('host 7c2f.local 4000 network-id 2')
  shows('srflx 203.0.113.5 4000 rport 0 network-id 1')
  assert.equal(facts().ipVersions, [])
  shows('srflx 2001:db8::2 4000 rport 0 network-id 2')
  assert.equal(facts().ipVersions, [4, 6])
})

test('what was seen before a restart counts no more', () => {
  const { shows, facts, again } = looked(SERVERS)
  shows('srflx 203.0.113.5 4000 rport 5000')
  shows('srflx 203.0.113.5 4001 rport 5000')
  again()
  assert.equal([facts().mapping, facts().candidates.srflx], ['unknown', 0])
})

// --- in the mesh ---

test('an attempt without a path has the cause on both sides, by what each tells the other', async () => {
  const there = Promise.withResolvers<unknown>()
  const met = await deafMeet({ onIncoming: ({ accept }) => void accept().catch(there.resolve) })
  const error = await failure(met.mesh, met.a.connect(met.b.id, ROOM))
  const why = error.cause as Why
  assert.equal([error.code, sided(why), why.phase], ['TIMEOUT', 'udp-blocked own', 'path'])
  assert.equal([why.own, why.peer], [BLOCKED, CONE])
  await met.mesh.clock.advance(1_000)
  // It ended by a bye, which alone would say that the peer has left.
  const theirs = whyOf(await there.promise) as Why
  assert.equal([theirs.error?.code, sided(theirs)], ['PEER_LEFT', 'udp-blocked peer'])
  assert.equal([theirs.own, theirs.peer], [CONE, BLOCKED])
  await met.mesh.close()
})

test('a peer that lies about itself misleads its own call, and no other', async () => {
  const met = await deafMeet()
  const third = await met.mesh.edge(met.mesh.nodes[1] as MeshNode)
  await during(third.advertise('room'), met.mesh.clock)
  await met.mesh.clock.advance(1_000)
  const { facts } = met.mesh.makeRtc as RtcWorld
  // The one called says that all is blocked.
  facts.splice(0, 2, CONE, BLOCKED)
  const lied = await failure(met.mesh, met.a.connect(met.b.id, ROOM))
  assert.is(sided(whyOf(lied) as Why), 'udp-blocked peer')
  const good = await during(met.a.connect(third.id, ROOM), met.mesh.clock)
  assert.equal([good.why().code, good.why().peer], ['none', undefined])
  await met.mesh.close()
})

test('a connection that the homes carry says why, on both sides', async () => {
  const met = await deafMeet({}, true)
  const own = await during(met.a.connect(met.b.id, ROOM), met.mesh.clock)
  await met.mesh.clock.advance(2 * FACTS_AFTER_MS)
  const other = met.told.b[0] as Connection
  assert.equal([own.path, other.path], ['mesh', 'mesh'])
  assert.equal(
    [own, other].map((one) => sided(one.why())),
    ['udp-blocked own', 'udp-blocked peer'],
  )
  // What a browser sees later is told as well.
  const { facts } = met.mesh.makeRtc as RtcWorld
  facts.splice(0, 2, SYMMETRIC, SYMMETRIC)
  await met.mesh.clock.advance(FACTS_AFTER_MS)
  assert.equal(
    [own, other].map((one) => sided(one.why())),
    ['nat-mapping both', 'nat-mapping both'],
  )
  await met.mesh.close()
})

test('who connects at once is told no facts', async () => {
  const met = await meet()
  let sent = 0
  await during(met.a.connect(met.b.id, ROOM), met.mesh.clock)
  await met.mesh.clock.advance(1_000)
  met.mesh.tap = (frame) => {
    if (frame[0] === FRAME.signal) sent += 1
    return [frame]
  }
  await met.mesh.clock.advance(3 * FACTS_AFTER_MS)
  assert.is(sent, 0)
  await met.mesh.close()
})

test('each failed attempt names its phase and its cause', async () => {
  const met = await meet({ b: doorbell() as JoinOptions })
  const causeAt = async (peer: string): Promise<string> => {
    const error = await failure(met.mesh, met.a.connect(peer, ROOM))
    const why = whyOf(error)
    return `${error.code} ${why?.code} ${why?.phase}`
  }
  assert.is(await causeAt('ab'.repeat(32)), 'PEER_UNKNOWN peer-gone lookup')
  assert.is(await causeAt(met.b.id), 'TIMEOUT timeout ring')
  mute(met.mesh, 1)
  assert.is(await causeAt(met.b.id), 'TIMEOUT timeout reach')
  met.mesh.tap = (frame, way) => (way === 'up' ? [frame] : [])
  await met.mesh.close()
})

test('a refusal keeps its reason, and giving up the application’s own', async () => {
  const met = await meet({ b: { onIncoming: ({ refuse }) => refuse('not today') } })
  const refused = await failure(met.mesh, met.a.connect(met.b.id, ROOM))
  const why = whyOf(refused)
  assert.equal([why?.code, why?.phase], ['refused', 'ring'])
  assert.match(why?.text ?? '', /not today/)
  const stop = new AbortController()
  const waiting = met.a.connect(met.b.id, { ...ROOM, signal: stop.signal })
  stop.abort('of the application')
  const aborted = await failure(met.mesh, waiting)
  assert.equal([aborted.code, aborted.cause], ['ABORTED', 'of the application'])
  await met.mesh.close()
})

test('a connection that is closed says who ended it', async () => {
  const met = await meet()
  const own = await during(met.a.connect(met.b.id, ROOM), met.mesh.clock)
  await met.mesh.clock.advance(1_000)
  const other = met.told.b[0] as Connection
  await during(own.close('enough'), met.mesh.clock)
  await met.mesh.clock.advance(1_000)
  assert.equal([own.why().code, other.why().code], ['closed', 'peer-gone'])
  assert.is(whyOf(other.signal.reason)?.phase, 'open')
  await met.mesh.close()
})

test('an edge whose home is gone says so', async () => {
  const mesh = await testMesh(1)
  const edge: Edge = await mesh.edge(mesh.nodes[0] as MeshNode)
  mesh.kill(mesh.nodes[0] as MeshNode)
  const error = await failure(mesh, edge.connect('ab'.repeat(32), ROOM))
  assert.equal([['NO_HOME', 'TIMEOUT'].includes(error.code), whyOf(error)?.phase], [true, 'lookup'])
  await mesh.close()
})

test.run()

const isBadFrame = (error: unknown): boolean => (error as SignalMeshError).code === 'BAD_FRAME'

const sided = (why: Why): string => `${why.code} ${'side' in why ? why.side : undefined}`

/** Two of which the called hears of no candidate, and the caller sees its UDP blocked. */
async function deafMeet(b: JoinOptions = {}, meshRelay = false): Promise<Met> {
  const deaf = (shared: MakeRtc): MakeRtc => {
    return (options) => {
      const rtc = shared(options)
      return { ...rtc, take: (item) => item.kind !== 'candidate' && rtc.take(item) }
    }
  }
  const met = await meet({ a: { meshRelay }, b: { ...b, meshRelay }, rtcOfB: deaf })
  const { facts } = met.mesh.makeRtc as RtcWorld
  facts.push(BLOCKED, CONE)
  return met
}

interface Looked {
  /** A candidate: what stands in it behind the type and the address. */
  shows(text: string, url?: string): void
  fails(url: string, errorCode: number): void
  ends(): void
  passes(ms: number): void
  again(): void
  facts(): NetFacts
}

/** What is seen of an RTC connection that gathers with these servers. */
function looked(iceServers: RTCIceServer[], namesFailures = true): Looked {
  const target = new EventTarget()
  const connection = Object.assign(target, {
    iceGatheringState: 'gathering',
    getConfiguration: () => ({ iceServers }),
    ...(namesFailures && { onicecandidateerror: null }),
  })
  let nowMs = 0
  const tell = (type: string, fields: object): void => {
    target.dispatchEvent(Object.assign(new Event(type), fields))
  }
  const gathered = gatherFacts(connection as unknown as RTCPeerConnection, {}, () => nowMs)
  return {
    shows: (text, url) => {
      const [type = '', address = '', port = '', ...more] = text.split(' ')
      const tail = more.join(' ')
      const candidate = `candidate:1 1 udp 1 ${address} ${port} typ ${type} ${tail}`.trim()
      tell('icecandidate', { candidate: { candidate, sdpMid: '0', url } })
    },
    fails: (url, errorCode) => tell('icecandidateerror', { url, errorCode }),
    ends: () => {
      connection.iceGatheringState = 'complete'
      tell('icegatheringstatechange', {})
    },
    passes: (ms) => {
      nowMs += ms
    },
    again: gathered.reset,
    facts: gathered.facts,
  }
}
