/** STUN: the published vectors, the answers to requests good and bad, and silence for all else. */

import { concat, equal, fromHex, toHex, writer } from '../src/bytes.ts'
import { answerStun, type StunSource } from '../src/stun.ts'
import { assert, suite } from './harness/suite.ts'
import vectors from './vectors/stun.json' with { type: 'json' }

const test = suite('stun')

const FROM: StunSource = { address: '203.0.113.7', port: 40_000 }
const TRANSACTION = 'b7e7a701bc34d686fa87dfae'

/** A binding request with these attributes, each as its type and its value in hex. */
function request(attributes: readonly [number, string][] = [], type = 1): Uint8Array {
  const body = attributes.map(([name, hex]) => {
    const value = fromHex(hex)
    const padding = new Uint8Array((4 - (value.length % 4)) % 4)
    return writer().u16(name).u16(value.length).bytes(value).bytes(padding).done()
  })
  const length = body.reduce((sum, { length }) => sum + length, 0)
  const head = writer().u16(type).u16(length).u32(0x2112a442).bytes(fromHex(TRANSACTION)).done()
  return concat(head, ...body)
}

const attributeOf = (answer: Uint8Array | undefined): string =>
  toHex((answer as Uint8Array).slice(20))

test('hides the address as the published IPv4 answer does', () => {
  const answer = answerStun(request(), vectors.ipv4)
  assert.is(toHex((answer as Uint8Array).slice(0, 20)), `0101000c2112a442${TRANSACTION}`)
  assert.is(attributeOf(answer), vectors.ipv4.attribute)
  assert.ok(vectors.responseIpv4.includes(vectors.ipv4.attribute))
})

test('hides the address as the published IPv6 answer does', () => {
  assert.is(attributeOf(answerStun(request(), vectors.ipv6)), vectors.ipv6.attribute)
  assert.ok(vectors.responseIpv6.includes(vectors.ipv6.attribute))
})

test('takes IPv4 that the socket wraps in IPv6 as IPv4', () => {
  const from = { ...vectors.ipv4, address: '::ffff:192.0.2.1' }
  assert.is(attributeOf(answerStun(request(), from)), vectors.ipv4.attribute)
})

test('finds the published request’s fingerprint good, and refuses by name what ICE alone knows', () => {
  const answer = answerStun(fromHex(vectors.request), FROM)
  // 420, and PRIORITY; the answer has a fingerprint because the request has one.
  assert.match(attributeOf(answer), /^0009000400000414000a00020024000080280004[0-9a-f]{8}$/)
})

test('takes no published request with any bit turned for one with a good fingerprint', () => {
  const good = fromHex(vectors.request)
  for (let bit = 0; bit < good.length * 8; bit++) {
    const bad = good.slice()
    bad[bit >> 3] = (bad[bit >> 3] as number) ^ (1 << (bit & 7))
    // A turned name or length may hide the fingerprint, which nobody must send: then it has none.
    const answer = answerStun(bad, FROM)
    assert.not(answer && /80280004[0-9a-f]{8}$/.test(toHex(answer)), `bit ${bit}`)
  }
})

test('a fingerprint must be the last attribute', () => {
  const good = fromHex(vectors.request)
  const more = concat(good, fromHex('8022000400000000'))
  new DataView(more.buffer).setUint16(2, more.length - 20)
  assert.is(answerStun(more, FROM), undefined)
})

test('refuses CHANGE-REQUEST, which would make it send to others, with 420', () => {
  const answer = answerStun(request([[3, '00000006']]), FROM)
  assert.is(attributeOf(answer), '0009000400000414000a000200030000')
})

test('names at most four attributes that it does not understand, each once', () => {
  const unknown = [0x21, 0x21, 0x22, 0x23, 0x24, 0x25].map((name): [number, string] => [name, ''])
  const answer = answerStun(request(unknown), FROM)
  assert.is(attributeOf(answer), '0009000400000414000a00080021002200230024')
})

test('ignores credentials, which it does not ask for, and attributes that are optional', () => {
  const attributes: [number, string][] = [
    [0x0006, toHex(new TextEncoder().encode('user'))],
    [0x0008, '00'.repeat(20)],
    [0x8022, toHex(new TextEncoder().encode('software'))],
  ]
  assert.match(attributeOf(answerStun(request(attributes), FROM)), /^0020/)
})

test('is silent to answers, errors, indications and other methods', () => {
  for (const type of [0x0101, 0x0111, 0x0011, 0x0003, 0x0000, 0x4001, 0x8001]) {
    assert.is(answerStun(request([], type), FROM), undefined, type.toString(16))
  }
})

test('is silent to what is cut short, too long, without the cookie or with lengths that lie', () => {
  const good = request([[0x8022, '00000000']])
  for (let length = 0; length < good.length; length++) {
    assert.is(answerStun(good.slice(0, length), FROM), undefined, `${length} bytes`)
  }
  assert.is(answerStun(concat(good, new Uint8Array(4)), FROM), undefined)
  const noCookie = good.slice()
  noCookie[4] = 0
  assert.is(answerStun(noCookie, FROM), undefined)
  const lies = good.slice()
  lies[23] = 200
  assert.is(answerStun(lies, FROM), undefined)
})

test('is silent where the source is no address', () => {
  assert.is(answerStun(request(), { address: 'example.org', port: 1 }), undefined)
  assert.is(answerStun(request(), { address: '300.1.1.1', port: 1 }), undefined)
})

test('an answer is never more than 24 bytes larger than its request', () => {
  const requests = [
    request(),
    fromHex(vectors.request),
    request([[3, '00000006']]),
    request([0x21, 0x22, 0x23, 0x24, 0x25].map((name) => [name, ''])),
  ]
  for (const asked of requests) {
    for (const from of [vectors.ipv4, vectors.ipv6]) {
      const answer = answerStun(asked, from) as Uint8Array
      assert.ok(answer.length <= asked.length + 24, `${answer.length} to ${asked.length}`)
    }
  }
})

test('the answer carries the request’s own transaction', () => {
  const asked = request()
  asked[19] = 0x42
  const answer = answerStun(asked, FROM) as Uint8Array
  assert.ok(equal(answer.slice(4, 20), asked.slice(4, 20)))
})

test('answers nobody at port 0, which no socket may send to', () => {
  assert.is(answerStun(request(), { ...FROM, port: 0 }), undefined)
  assert.ok(answerStun(request(), { ...FROM, port: 1 }))
})

test.run()
