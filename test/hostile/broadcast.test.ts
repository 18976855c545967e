/** A forger of multicast packets: what it makes costs its link, and never the packet that it copies. */

import { concat, fromHex } from '../../src/bytes.ts'
import { hash, randomBytes } from '../../src/crypto.ts'
import { MAX_PROOF_BYTES } from '../../src/limits.ts'
import { FRAME } from '../../src/messages.ts'
import { identityOf, presenceOf, put, testHome } from '../fixtures/samples.ts'
import { assert, suite } from '../harness/suite.ts'
import { besides } from './support/beside.ts'
import { DATA, hostileNode } from './support/hostilenode.ts'

const test = suite('hostile broadcast', { timeoutMs: 20_000 })
const beside = besides(test, { network: 'main' })

interface Genuine {
  readonly data: Uint8Array
  readonly origin: Uint8Array
  /** Who passes it on honestly, and who forges. */
  readonly relay: Uint8Array
  readonly forger: Uint8Array
}

/** A number as Protocol Buffers has it. */
function varint(value: number): Uint8Array {
  const out: number[] = []
  let left = value
  for (; left > 127; left = Math.floor(left / 128)) out.push((left % 128) | 128)
  return Uint8Array.of(...out, left)
}

const field = (number: number, value: Uint8Array, type = 2): Uint8Array =>
  concat(varint(number * 8 + type), varint(value.length), value)

function packet(
  parts: Partial<Record<'seqno' | 'origin' | 'sender' | 'data', Uint8Array>>,
  after: Uint8Array = new Uint8Array(0),
): Uint8Array {
  const { seqno, origin, sender, data } = parts
  const fields = [seqno, origin, sender, data].flatMap((value, i) =>
    value ? [field(i + 1, value)] : [],
  )
  return concat(Uint8Array.of(FRAME.gossip), ...fields, after)
}

/** Messages within messages, each the only field of the one around it. */
function nested(depth: number, number: number): Uint8Array {
  let inner = new Uint8Array(0)
  for (let i = 0; i < depth && inner.length < 50_000; i++)
    inner = field(number, inner) as typeof inner
  return inner
}

/** Each makes a packet that looks like the genuine one, or like nothing. */
const FORGERIES: Readonly<Record<string, (genuine: Genuine) => Uint8Array>> = {
  'origin and number of the genuine, other data': ({ data, origin, forger }) =>
    packet({ seqno: hash([data]), origin, sender: forger, data: concat(data, Uint8Array.of(0)) }),
  'the genuine data under another number': ({ data, origin, forger }) =>
    packet({ seqno: randomBytes(32), origin, sender: forger, data }),
  'the genuine data with one bit changed, and its own number': ({ data, origin, forger }) => {
    const other = data.slice()
    other[other.length - 1] = other[other.length - 1]! ^ 1
    return packet({ seqno: hash([other]), origin, sender: forger, data: other })
  },
  'the genuine as of another origin': ({ data, forger }) =>
    packet({ seqno: hash([data]), origin: forger, sender: forger, data }),
  'the genuine as passed on by another neighbour': ({ data, origin, relay }) =>
    packet({ seqno: hash([data]), origin, sender: relay, data }),
  'a number longer than a hash': ({ data, origin, forger }) =>
    packet({ seqno: concat(hash([data]), hash([data])), origin, sender: forger, data }),
  'no number': ({ data, origin, forger }) => packet({ origin, sender: forger, data }),
  'the number twice': ({ data, origin, forger }) => {
    const seqno = hash([data])
    return packet({ seqno, origin, sender: forger, data }, field(1, randomBytes(32)))
  },
  'a field that nobody knows': ({ data, origin, forger }) =>
    packet({ seqno: hash([data]), origin, sender: forger, data }, field(5, randomBytes(9))),
  'a field of another type': ({ data, origin, forger }) =>
    packet({ seqno: hash([data]), origin, sender: forger, data }, Uint8Array.of(5 * 8, 1)),
  'a group that is never closed': ({ data, origin, forger }) =>
    packet(
      { seqno: hash([data]), origin, sender: forger, data },
      new Uint8Array(10_000).fill(5 * 8 + 3),
    ),
  'a field larger than the packet': ({ data, origin, forger }) =>
    packet(
      { seqno: hash([data]), origin, sender: forger },
      concat(varint(4 * 8 + 2), varint(2 ** 27)),
    ),
  'a number of endless length': () =>
    concat(Uint8Array.of(FRAME.gossip), new Uint8Array(60_000).fill(255)),
  'a length below zero': () =>
    concat(Uint8Array.of(FRAME.gossip, 10), Uint8Array.of(255, 255, 255, 255, 15)),
  'data over its bound': ({ origin, forger }) => {
    const data = randomBytes(MAX_PROOF_BYTES + 2)
    return packet({ seqno: hash([data]), origin, sender: forger, data })
  },
  'messages within messages, ten thousand deep': ({ origin, forger }) => {
    const data = nested(10_000, 4)
    return packet({ seqno: hash([data]), origin, sender: forger, data })
  },
  nothing: () => Uint8Array.of(FRAME.gossip),
  'data of no kind': ({ origin, forger }) => {
    const data = concat(Uint8Array.of(9), randomBytes(300))
    return packet({ seqno: hash([data]), origin, sender: forger, data })
  },
}

for (const [what, forge] of Object.entries(FORGERIES)) {
  beside(
    `${what}: ends that link, goes no further, and the genuine packet arrives`,
    async ({ mesh, nodes }) => {
      const home = testHome(80)
      const relay = await hostileNode(mesh, nodes[0]!, { identity: identityOf(81) })
      const forger = await hostileNode(mesh, nodes[0]!, { identity: identityOf(82) })
      const listener = await hostileNode(mesh, nodes[1]!, { identity: identityOf(83) })
      const batch = home.change(put(presenceOf(identityOf(1), home.id)))
      const bytes = forge({
        data: concat(Uint8Array.of(DATA.batch), batch.bytes),
        origin: fromHex(home.id),
        relay: relay.identity.keys.publicKey,
        forger: forger.identity.keys.publicKey,
      })
      const heard = listener.heard.length
      forger.link.send(bytes)
      await mesh.clock.advance(10)
      assert.ok(['BAD_FRAME', 'BAD_SIGNATURE'].includes(forger.bye ?? ''), `${forger.bye}`)
      assert.ok(forger.isClosed)
      assert.is(listener.heard.length, heard, 'nothing of it goes on')
      assert.not(relay.isClosed, 'who did nothing keeps its link')
      relay.gossip(DATA.batch, batch)
      await mesh.clock.advance(10)
      assert.is(listener.heard.length, heard + 1)
      for (const node of nodes) assert.is(node.health().mesh.edges, 3)
      for (const one of [relay, listener]) one.link.close()
      await mesh.clock.advance(100)
    },
  )
}

test.run()
