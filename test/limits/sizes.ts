/** Cases of the sizes: what one frame, signal, record, batch, head or name may hold. */

import { reasonBytes } from '../../runtimes/reason.ts'
import { decodeHead, signHead } from '../../src/batch.ts'
import { concat, fromHex, writer } from '../../src/bytes.ts'
import { emptyHome, runtimesOf } from '../../src/claims.ts'
import { manualClock, settle } from '../../src/clock.ts'
import { boxKeyPair } from '../../src/crypto.ts'
import { makeConnection } from '../../src/edge/connection.ts'
import type { Rtc } from '../../src/edge/rtc.ts'
import { decodeFacts, encodeFacts, NO_FACTS } from '../../src/edge/whyfacts.ts'
import type { SignalMeshError } from '../../src/errors.ts'
import { decodeIce, encodeIce } from '../../src/ice.ts'
import { type Identity, makeIdentity } from '../../src/identity.ts'
import {
  MAX_CONTACT_URLS,
  MAX_EXTENSION_BYTES,
  MAX_INFO_BYTES,
  MAX_RECORD_BYTES,
  MAX_STUN_AT_BYTES,
  MAX_URL_BYTES,
  MAX_VIAS,
} from '../../src/limits.ts'
import { FRAME } from '../../src/messages.ts'
import { startHandshake } from '../../src/noise.ts'
import { decodePresence } from '../../src/records.ts'
import { EDGE_METHOD, NODE_METHOD } from '../../src/rpc.ts'
import { REPLY } from '../../src/snapshots.ts'
import { createSupply } from '../../src/supply.ts'
import { topicTag } from '../../src/topic.ts'
import { NETWORK, testHome } from '../fixtures/samples.ts'
import { assert } from '../harness/suite.ts'
import { during } from '../support/mesh.ts'
import { provenEdge } from '../support/rawedge.ts'
import { noWhy, pathOnly } from '../support/rtc.ts'
import { type Cases, caps, changesAfter, outcomeOf, refuses, TAKEN } from './case.ts'
import { craftAdvert, craftHead, craftSizedBatch, stunAtOf, urlOf } from './craft.ts'
import { asked, beside, gossipOf, signalTo, stranger } from './ground.ts'

const TAG = topicTag('test', 'another room')
/** Where a signal's header has its length. */
const LENGTH_AT = 132
const NONE = new Uint8Array(0)
const DATA = { batch: 1, head: 2 } as const

export const sizes: Cases = {
  MAX_FRAME_BYTES: refuses('BAD_FRAME', (bytes) =>
    beside(async ({ mesh, node }) => {
      const frame = new Uint8Array(bytes)
      frame[0] = FRAME.rpc
      const raw = await provenEdge(mesh, node)
      await raw.send(frame)
      const neighbour = await stranger(mesh, node)
      neighbour.link.send(frame)
      await mesh.clock.advance(0)
      assert.is(neighbour.refusal, raw.isClosed ? 'TOO_LARGE' : '', 'a link has the same bound')
      return raw.bye?.code ?? TAKEN
    }),
  ),
  MAX_SIGNAL_BYTES: refuses('TOO_LARGE', (bytes) =>
    beside(async ({ mesh, node, honest }) => {
      const raw = await provenEdge(mesh, node)
      const header = signalTo(raw, honest, { payload: new Uint8Array(0) })
      const view = new DataView(header.buffer)
      view.setUint32(LENGTH_AT, bytes)
      await raw.send(concat(header, new Uint8Array(bytes)))
      assert.is(honest.ofKind(FRAME.signal).length, raw.isClosed ? 0 : 1)
      return raw.bye?.code ?? TAKEN
    }),
  ),
  MAX_NOISE_BYTES: refuses('TOO_LARGE', async (bytes) => {
    const keys = boxKeyPair()
    const handshake = startHandshake({ pattern: 'XX', initiator: false, prologue: NONE, keys })
    const message = (length: number): Uint8Array =>
      concat(boxKeyPair().publicKey, new Uint8Array(length - keys.publicKey.length))
    const outcome = await outcomeOf(() => handshake.read(message(bytes)))
    if (outcome !== TAKEN) handshake.read(message(100))
    handshake.destroy()
    return outcome
  }),
  // As long as an advert can be: what is longer is no record of any kind.
  MAX_RECORD_BYTES: refuses('BAD_FRAME', (bytes) => {
    assert.is(lookedInto(decodePresence, bytes), bytes > MAX_RECORD_BYTES ? 'BAD_FRAME' : TAKEN)
    const infoBytes = MAX_INFO_BYTES
    const emptyBytes = craftAdvert(makeIdentity(), { tag: TAG, seq: 1, infoBytes }).length
    return advertised({ infoBytes, extensionBytes: bytes - emptyBytes })
  }),
  // The fullest head of today is shorter, and is taken; up to the bound a bad one is looked into at all.
  MAX_HEAD_BYTES: refuses('BAD_FRAME', async (bytes) => {
    const full = (home: Identity, epoch: number): Uint8Array =>
      craftHead(home, epoch, {
        urls: Array(MAX_CONTACT_URLS).fill(urlOf(MAX_URL_BYTES)),
        vias: MAX_VIAS,
        stunAt: stunAtOf(MAX_STUN_AT_BYTES),
        dhtKeyBytes: 32,
        extensionBytes: MAX_EXTENSION_BYTES,
      })
    assert.is(await multicast('head', full), TAKEN)
    assert.is(full(makeIdentity(), 1).length, 1_741)
    return lookedInto(decodeHead, bytes)
  }),
  MAX_BATCH_BYTES: refuses('BAD_FRAME', (bytes) =>
    multicast('batch', (home, epoch) => {
      const batch = craftSizedBatch(home, epoch, bytes)
      assert.is(batch.length, bytes)
      return batch
    }),
  ),
  MAX_EXTENSION_BYTES: refuses('BAD_FRAME', (extensionBytes) => advertised({ extensionBytes })),
  MAX_INFO_BYTES: refuses('BAD_FRAME', (infoBytes) => advertised({ infoBytes })),
  // Two batches of one page, or of two.
  MAX_PAGE_BYTES: changesAfter('one page', 'two pages', async (bytes) => {
    const { directory, clock, log } = testHome(1)
    log.state.recent = [new Uint8Array(bytes / 2 - 2), new Uint8Array(Math.ceil(bytes / 2) - 2)]
    log.state.position = { epoch: 1, index: 2 }
    const serve = createSupply({ directory, clock, flush: () => {}, pulling: () => undefined })
    const home = log.state.id
    const body = writer().bytes(fromHex(home)).u64(1).u64(0).u32(0).done()
    const page = await serve(NODE_METHOD.pull, body)
    assert.is(page[0], REPLY.batches)
    return page[1] === 0 ? 'one page' : 'two pages'
  }),
  MAX_MESSAGE_BYTES: refuses('TOO_LARGE', async (bytes) => {
    const sent: unknown[] = []
    const rtc: Rtc = {
      take: () => undefined,
      addStream: () => undefined,
      removeStream: () => undefined,
      send: async (data) => void sent.push(data),
      path: async () => undefined,
      close: () => undefined,
      ...pathOnly,
      connection: {} as RTCPeerConnection,
    }
    const about = { id: 'ab'.repeat(32), topic: 'room', clock: manualClock(), rtc, why: noWhy }
    const { connection } = makeConnection(about, () => undefined)
    let outcome = TAKEN
    // What is taken waits for a reader for ever.
    connection.send(new Uint8Array(bytes)).catch((error) => (outcome = error.code))
    await settle()
    assert.is(sent.length > 0, outcome === TAKEN)
    assert.is(await outcomeOf(() => connection.send('é'.repeat(bytes / 2 + 1))), 'TOO_LARGE')
    return outcome
  }),
  MAX_FACTS_BYTES: refuses('BAD_FRAME', (bytes) =>
    // A field of a later version.
    outcomeOf(() => decodeFacts(concat(Uint8Array.of(200, bytes - 2), new Uint8Array(bytes - 2)))),
  ),
  MAX_FACTS_CODES: caps((count) => {
    const codes = Array.from({ length: count }, (_, i) => 400 + i)
    const facts = { ...NO_FACTS, turn: { asked: 1, failed: 1, codes } }
    const said = encodeFacts({ facts, gaveUp: false })
    const own = decodeFacts(said).facts.turn.codes.length
    // Another may say more of them.
    const more = codes.flatMap((code) => [code >>> 8, code & 255])
    const theirs = decodeFacts(Uint8Array.of(6, more.length, ...more)).facts.turn.codes.length
    assert.is(own, theirs)
    return `${own}`
  }),
  MAX_NAME_BYTES: refuses('BAD_ARGUMENT', (bytes) =>
    beside(async ({ mesh, node }) => {
      const edge = await mesh.edge(node)
      const outcome = await outcomeOf(() => during(edge.advertise('x'.repeat(bytes)), mesh.clock))
      await during(edge.advertise('short'), mesh.clock)
      await edge.close()
      return outcome
    }),
  ),
  MAX_REASON_BYTES: caps((bytes) => `${reasonBytes('x'.repeat(bytes)).length}`),
  MAX_CONTACT_URLS: refuses('BAD_FRAME', (count) =>
    multicast('head', (home, epoch) =>
      craftHead(home, epoch, { urls: Array(count).fill('http://node.example/') }),
    ),
  ),
  MAX_STUN_AT_BYTES: refuses('BAD_FRAME', (bytes) =>
    multicast('head', (home, epoch) => craftHead(home, epoch, { stunAt: stunAtOf(bytes) })),
  ),
  MAX_ICE_TEXT_BYTES: refuses('BAD_FRAME', (bytes) =>
    outcomeOf(() =>
      decodeIce(encodeIce({ servers: [{ url: `stun:${'h'.repeat(bytes - 5)}` }], ttlMs: 1 })),
    ),
  ),
  MAX_ICE_SERVERS: refuses('BAD_FRAME', (count) =>
    outcomeOf(() =>
      decodeIce(encodeIce({ servers: Array(count).fill({ url: 'stun:a' }), ttlMs: 1 })),
    ),
  ),
  MAX_ICE_TTL_MS: refuses('BAD_FRAME', (ttlMs) =>
    outcomeOf(() => decodeIce(encodeIce({ servers: [], ttlMs }))),
  ),
  MAX_VIAS: refuses('BAD_FRAME', (vias) =>
    multicast('head', (home, epoch) => craftHead(home, epoch, { vias })),
  ),
  MAX_URL_BYTES: refuses('BAD_FRAME', (bytes) =>
    multicast('head', (home, epoch) => craftHead(home, epoch, { urls: [urlOf(bytes)] })),
  ),
  MAX_RUNTIME_BYTES: changesAfter(
    'shown',
    'skipped',
    (bytes) => {
      const { identity, log } = testHome(50)
      const contact = { dhtKey: undefined, urls: [], vias: [], runtime: 'x'.repeat(bytes) }
      const head = signHead(NETWORK, identity.keys, log.head(contact))
      return head.contact.runtime === contact.runtime ? 'shown' : 'skipped'
    },
    'bytes',
  ),
  MAX_RUNTIMES_SHOWN: caps((count) => {
    const homes = Array.from({ length: count }, (_, i) => {
      const home = emptyHome(`${i}`, 0, 0)
      home.contact = { ...home.contact, runtime: 'node' }
      return home
    })
    return `${Object.keys(runtimesOf(homes)).length}`
  }),
}

/** An edge advertises with this; `taken`, or the code of the answer. */
function advertised(fields: { infoBytes?: number; extensionBytes?: number }): Promise<string> {
  return beside(async ({ mesh, node }) => {
    const raw = await provenEdge(mesh, node)
    const seq = mesh.clock.nowMs()
    const advert = craftAdvert(raw.identity, { tag: TAG, seq, ...fields })
    const outcome = await asked(mesh, raw, EDGE_METHOD.advertise, writer().block(advert).done())
    assert.not(raw.isClosed)
    return outcome
  })
}

/** A stranger multicasts something of its own: it becomes a home here, or its link is ended. */
export function multicast(
  kind: keyof typeof DATA,
  make: (home: Identity, epoch: number) => Uint8Array,
): Promise<string> {
  return beside(async ({ mesh, node }) => {
    const neighbour = await stranger(mesh, node)
    const { identity } = neighbour
    neighbour.link.send(gossipOf(identity, DATA[kind], make(identity, mesh.clock.nowMs())))
    await mesh.clock.advance(0)
    const { homes } = node.health().mesh
    assert.is(homes, neighbour.refusal ? 2 : 3, 'what is taken makes a home')
    return neighbour.refusal || TAKEN
  })
}

/** `taken` if the decoder refuses such zeros for what they are, not for how many. */
export function lookedInto(decode: (bytes: Uint8Array) => unknown, bytes: number): string {
  try {
    decode(new Uint8Array(bytes))
  } catch (error) {
    const { code, message } = error as SignalMeshError
    return message.includes(`${bytes} bytes`) ? code : TAKEN
  }
  throw new Error('Zeros are no structure')
}
