/** Gossip: what one node publishes reaches every other once, and nothing unchecked is passed on. */

import { concat, fromHex, fromUtf8, toHex, utf8 } from '../src/bytes.ts'
import { manualClock, settle } from '../src/clock.ts'
import { hash } from '../src/crypto.ts'
import { SignalMeshError } from '../src/errors.ts'
import { createGossip, type Gossip, readPacket } from '../src/gossip.ts'
import { MAX_PROOF_BYTES } from '../src/limits.ts'
import { codeOf } from './fixtures/errors.ts'
import { identityOf } from './fixtures/samples.ts'
import { assert, suite } from './harness/suite.ts'

const test = suite('gossip')

test('brings what is published to every node once, over any links, and back to nobody', async () => {
  const shapes: Readonly<Record<string, readonly [number, number][]>> = {
    line: [
      [0, 1],
      [1, 2],
      [2, 3],
      [3, 4],
    ],
    ring: [
      [0, 1],
      [1, 2],
      [2, 3],
      [3, 4],
      [4, 0],
    ],
    full: [0, 1, 2, 3, 4].flatMap((a) =>
      [0, 1, 2, 3, 4].filter((b) => b > a).map((b): [number, number] => [a, b]),
    ),
  }
  for (const [shape, links] of Object.entries(shapes)) {
    const net = network(5, links)
    net.publish(2, 'news')
    net.publish(2, 'more')
    await settle()
    for (const [i, delivered] of net.delivered.entries()) {
      assert.equal(
        delivered.map(({ text }) => text),
        i === 2 ? [] : ['news', 'more'],
        shape,
      )
    }
  }
})

test('sends a packet on over few links more than once and over none more than twice', async () => {
  const net = network(4, [
    [0, 1],
    [0, 2],
    [0, 3],
    [1, 2],
    [1, 3],
    [2, 3],
  ])
  net.publish(0, 'news')
  await settle()
  const perLink = new Map<string, number>()
  for (const { from, to } of net.sent) {
    const link = [from, to].sort().join()
    perLink.set(link, (perLink.get(link) ?? 0) + 1)
  }
  assert.ok([...perLink.values()].every((times) => times <= 2))
  assert.ok(
    net.sent.every(({ to }) => to !== 0),
    'and never back to its origin',
  )
})

test('delivers and passes on the genuine packet although a forger was quicker with its number', async () => {
  const net = network(3, [
    [0, 1],
    [1, 2],
  ])
  const genuine = packet(0, 'news', { sender: 0 })
  // The forger (2) copies origin and number of what it has seen, with other data.
  const forged = packet(0, 'lies', { sender: 2, seqno: hash([utf8('news')]) })
  assert.is(
    codeOf(() => net.nodes[1]!.receive(forged, idOf(2))),
    'BAD_SIGNATURE',
  )
  net.nodes[1]!.receive(genuine, idOf(0))
  await settle()
  assert.equal(
    net.delivered[1]!.map(({ text }) => text),
    ['news'],
  )
  assert.equal(
    net.delivered[2]!.map(({ text }) => text),
    ['news'],
  )
})

test('neither delivers nor passes on data that its check refuses, and takes it later when good', async () => {
  const net = network(3, [
    [0, 1],
    [1, 2],
  ])
  const bytes = packet(0, 'unsigned', { sender: 0 })
  assert.is(
    codeOf(() => net.nodes[1]!.receive(bytes, idOf(0))),
    'BAD_SIGNATURE',
  )
  net.allowed.add('unsigned')
  net.nodes[1]!.receive(bytes, idOf(0))
  await settle()
  assert.is(net.delivered[2]!.length, 1, 'the refused packet was not marked as seen')
})

test('refuses a packet that names another origin than its signer', () => {
  const net = network(3, [
    [0, 1],
    [1, 2],
  ])
  const stolen = packet(2, 'news', { sender: 0 })
  assert.is(
    codeOf(() => net.nodes[1]!.receive(stolen, idOf(0))),
    'BAD_SIGNATURE',
  )
  assert.equal(net.delivered[1], [])
})

test('refuses a packet whose sender is not the neighbour that brings it', () => {
  // It goes to all neighbours but the one named as sender: a lie there would leave somebody out.
  const net = network(3, [
    [0, 1],
    [1, 2],
  ])
  const lie = packet(0, 'news', { sender: 2 })
  assert.is(
    codeOf(() => net.nodes[1]!.receive(lie, idOf(0))),
    'BAD_SIGNATURE',
  )
})

test('delivers a replayed packet once', async () => {
  const net = network(2, [[0, 1]])
  const bytes = packet(0, 'news', { sender: 0 })
  for (let i = 0; i < 3; i++) net.nodes[1]!.receive(bytes, idOf(0))
  await settle()
  assert.is(net.delivered[1]!.length, 1)
})

test('does not count a packet as seen for which it had no time, and takes the next copy', async () => {
  const net = network(3, [
    [0, 1],
    [1, 2],
  ])
  const bytes = packet(0, 'news', { sender: 0 })
  net.ignore(1, 0, true)
  net.nodes[1]!.receive(bytes, idOf(0))
  await settle()
  assert.equal([net.delivered[1], net.delivered[2]], [[], []])
  net.ignore(1, 0, false)
  net.nodes[1]!.receive(bytes, idOf(0))
  await settle()
  assert.equal([net.delivered[1]!.length, net.delivered[2]!.length], [1, 1])
})

test('neither delivers nor passes on what is no news', async () => {
  const net = network(3, [
    [0, 1],
    [1, 2],
  ])
  net.nodes[1]!.receive(packet(0, 'old', { sender: 0 }), idOf(0))
  await settle()
  assert.equal([net.delivered[1], net.sent], [[], []])
})

test('says which neighbour data came from', async () => {
  const net = network(3, [
    [0, 1],
    [1, 2],
  ])
  net.publish(0, 'news')
  await settle()
  assert.equal(net.delivered[2], [{ text: 'news', from: idOf(1) }])
})

test('takes data up to the largest proof with its kind, and refuses more', () => {
  const sized = (bytes: number): Uint8Array => packet(0, 'x'.repeat(bytes), { sender: 0 })
  assert.is(readPacket(sized(MAX_PROOF_BYTES + 1)).data.length, MAX_PROOF_BYTES + 1)
  assert.is(
    codeOf(() => readPacket(sized(MAX_PROOF_BYTES + 2))),
    'BAD_FRAME',
  )
})

test('refuses packets with a field missing, twice or of another kind', () => {
  const whole = packet(0, 'news', { sender: 0 })
  const extra = [field(5, utf8('x')), field(4, utf8('x')), Uint8Array.of(40, 1)]
  for (const more of extra) {
    assert.is(
      codeOf(() => readPacket(concat(whole, more))),
      'BAD_FRAME',
    )
  }
  const three = [field(1, utf8('a')), field(2, utf8('b')), field(4, utf8('c'))]
  assert.is(
    codeOf(() => readPacket(concat(...three))),
    'BAD_FRAME',
  )
})

test.run()

function idOf(number: number): string {
  return identityOf(number).id
}

interface Net {
  readonly nodes: readonly Gossip[]
  readonly delivered: readonly { text: string; from: string }[][]
  readonly sent: { from: number; to: number }[]
  /** Texts that pass the check from now on. */
  readonly allowed: Set<string>
  /** Whether a node has no time for a neighbour's packets. */
  ignore(node: number, neighbour: number, ignores: boolean): void
  publish(node: number, text: string): void
}

/** Nodes that take "news" and "more" for genuine news of node 0 or 2, whoever brings them. */
function network(size: number, links: readonly (readonly [number, number])[]): Net {
  const ids = Array.from({ length: size }, (_, i) => idOf(i))
  const delivered = ids.map((): { text: string; from: string }[] => [])
  const sent: Net['sent'] = []
  const allowed = new Set(['news', 'more', 'lies'])
  const busy = new Set<string>()
  let origin = idOf(0)
  const clock = manualClock()
  const nodes = ids.map((id, i) =>
    createGossip({
      id,
      clock,
      send: (neighbour, bytes) => {
        const to = ids.indexOf(neighbour)
        sent.push({ from: i, to })
        const copy = Uint8Array.from(bytes)
        queueMicrotask(() => nodes[to]?.receive(copy, id))
      },
      sendWord: (neighbour, frame) => {
        const to = ids.indexOf(neighbour)
        queueMicrotask(() => nodes[to]?.receiveWord(frame, id))
      },
      takes: (neighbour) => !busy.has(`${i} ${neighbour}`),
      check: (data) => {
        if (fromUtf8(data) === 'old') return 'done'
        if (allowed.has(fromUtf8(data))) return { origin }
        throw new SignalMeshError('BAD_SIGNATURE', 'Not signed')
      },
      deliver: (data, from) => delivered[i]?.push({ text: fromUtf8(data), from }),
    }),
  )
  for (const [i, node] of nodes.entries()) {
    const others = links.flatMap(([a, b]) => (a === i ? [b] : b === i ? [a] : []))
    node.setNeighbours(others.map((other) => ids[other] as string))
  }
  const ignore = (node: number, neighbour: number, ignores: boolean): void => {
    const key = `${node} ${idOf(neighbour)}`
    if (ignores) busy.add(key)
    else busy.delete(key)
  }
  const publish = (node: number, text: string): void => {
    origin = ids[node] as string
    nodes[node]?.publish(utf8(text))
  }
  return { nodes, delivered, sent, allowed, ignore, publish }
}

function packet(
  origin: number,
  text: string,
  fields: { sender: number; seqno?: Uint8Array },
): Uint8Array {
  const data = utf8(text)
  return concat(
    field(1, fields.seqno ?? hash([data])),
    field(2, fromHex(idOf(origin))),
    field(3, fromHex(idOf(fields.sender))),
    field(4, data),
  )
}

/** A field of bytes as Protocol Buffers has it. */
function field(number: number, value: Uint8Array): Uint8Array {
  const length: number[] = []
  for (let left = value.length; ; left >>>= 7) {
    length.push(left > 127 ? (left & 127) | 128 : left)
    if (left <= 127) break
  }
  assert.is(toHex(Uint8Array.of(number * 8 + 2)).length, 2)
  return concat(Uint8Array.of(number * 8 + 2), Uint8Array.from(length), value)
}
