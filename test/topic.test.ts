/** Names become hashes that keep networks, versions, topics and rooms apart. */

import { toHex, utf8 } from '../src/bytes.ts'
import { MAX_NAME_BYTES } from '../src/limits.ts'
import { LINK_PROTOCOL, meshTopic, networkId, type Topic, topicTag } from '../src/topic.ts'
import { codeOf } from './fixtures/errors.ts'
import { assert, suite } from './harness/suite.ts'

const test = suite('topic')

test('gives every network and version a place of its own to meet', () => {
  const places = [
    meshTopic('main'),
    meshTopic('main', 2),
    meshTopic('test'),
    meshTopic('main1'),
    networkId('main'),
    networkId('test'),
    topicTag('main', 'main'),
  ].map(toHex)
  assert.is(new Set(places).size, places.length)
  assert.ok(places.every((place) => place.length === 64))
  assert.is(LINK_PROTOCOL, 'signal-mesh/1')
})

test('keeps topics of two networks, and of two secrets, apart', () => {
  const room = (secret: string | Uint8Array): Topic => ({ name: 'chat', secret })
  const tags = [
    topicTag('main', 'chat'),
    topicTag('test', 'chat'),
    topicTag('main', 'chat2'),
    topicTag('main', room('swordfish')),
    topicTag('main', room('swordfisH')),
    topicTag('main', room(Uint8Array.of(0))),
    topicTag('main', room(Uint8Array.of(0, 0))),
    topicTag('main', { name: 'swordfish', secret: 'chat' }),
  ].map(toHex)
  assert.is(new Set(tags).size, tags.length)
})

test('takes a secret as text or as the same bytes', () => {
  const asText = topicTag('main', { name: 'chat', secret: 'für Ünß' })
  assert.equal(topicTag('main', { name: 'chat', secret: utf8('für Ünß') }), asText)
})

test('takes names of 1 to 1,024 bytes, counted in UTF-8', () => {
  const longest = 'ü'.repeat(MAX_NAME_BYTES / 2)
  topicTag(longest, { name: longest, secret: longest })
  topicTag('main', { name: 'a', secret: new Uint8Array(MAX_NAME_BYTES) })
  for (const name of ['', `${longest}a`, 'a'.repeat(MAX_NAME_BYTES + 1)]) {
    assert.is(
      codeOf(() => networkId(name)),
      'BAD_ARGUMENT',
    )
    assert.is(
      codeOf(() => meshTopic(name)),
      'BAD_ARGUMENT',
    )
    assert.is(
      codeOf(() => topicTag('main', name)),
      'BAD_ARGUMENT',
    )
    assert.is(
      codeOf(() => topicTag('main', { name: 'a', secret: name })),
      'BAD_ARGUMENT',
    )
  }
})

test('refuses what is no name: half a surrogate pair, a number, nothing', () => {
  const wrong: unknown[] = ['\ud800', 'a\udc00', 7, null, undefined, {}, { name: 'a', secret: 7 }]
  for (const topic of wrong) {
    assert.is(
      codeOf(() => topicTag('main', topic as Topic)),
      'BAD_ARGUMENT',
      String(topic),
    )
  }
  for (const secret of [new Uint8Array(0), new Uint8Array(MAX_NAME_BYTES + 1)]) {
    assert.is(
      codeOf(() => topicTag('main', { name: 'a', secret })),
      'BAD_ARGUMENT',
    )
  }
})

test.run()
