/** What nodes get to see: everything that passes them is recorded, and searched for what is not theirs. */

import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { bundleEdge } from '../build.ts'
import { assert, suite } from '../test/harness/suite.ts'
import { findSecrets, type Secrets, secretsOf } from './support/search.ts'
import { prepareStages, TEST_TIMEOUT_MS } from './support/stage.ts'
import { chat } from './support/visitors.ts'

const TOPIC = 'a surprise for Grandmother 1949'
/** A few signals of 2 KB each at two nodes at least: less, and nothing was recorded. */
const LEAST_BYTES = 10_000
/** Enough for two pages of one machine to connect several times over. */
const FORGED_TIMEOUT_MS = 6_000

const test = suite('what nodes see', { timeoutMs: TEST_TIMEOUT_MS })
const openStage = prepareStages(test)
let folder: string

test.beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'signal-mesh-tap-'))
})
test.afterEach(() => rmSync(folder, { recursive: true }))

test('no node sees a topic’s name, a candidate, an ICE credential or a fingerprint', async () => {
  const { recorded, secrets } = await record()
  assert.ok(recorded.length > LEAST_BYTES, `${recorded.length} bytes were recorded`)
  assert.equal(findSecrets(recorded, secrets), [])
})

test('the same search finds each of them once names are not hashed and signals not sealed', async () => {
  const { code } = await bundleEdge(undefined, {
    'src/edge/sodium.ts': 'e2e/support/unsealed-sodium.ts',
    'src/topic.ts': 'e2e/support/unhashed-topic.ts',
  })
  const { recorded, secrets } = await record(code)
  const asBytes = (name: string): boolean => name.endsWith('as bytes')
  const expected = Object.keys(secrets).filter((name) => !asBytes(name))
  assert.ok(expected.some((name) => name.includes('candidate')))
  assert.equal(findSecrets(recorded, secrets), expected)
})

test('a connection whose certificate is not the one that was sealed is announced to nobody', async () => {
  const stage = await openStage(2)
  // The homes would carry what is sealed between the two, whatever becomes of their certificates.
  const alone = { meshRelay: false }
  const [ann, ben] = await Promise.all([stage.visit(0, TOPIC, alone), stage.visit(1, TOPIC, alone)])
  await ann.finds(ben.id, stage.nodeId(1))
  await ann.page.evaluate(showOtherFingerprint)
  const failure = await ann.connects(ben.id, FORGED_TIMEOUT_MS)
  assert.ok(failure && ['TIMEOUT', 'RTC_FAILED', 'PEER_LEFT'].includes(failure.code), failure?.code)
  assert.equal(await ben.connectionTo(ann.id), { state: 'none', count: 0 })
  assert.equal(await ann.connectionTo(ben.id), { state: 'none', count: 0 })
  // The two would have met but for that.
  const cat = await stage.visit(0, TOPIC)
  await cat.finds(ben.id, stage.nodeId(1))
  assert.is(await cat.connects(ben.id, FORGED_TIMEOUT_MS), undefined)
})

test('the search finds a secret in every form', () => {
  const secret = Buffer.from(`83:1A:candidate`)
  const secrets = { it: secret }
  const hex = secret.toString('hex')
  for (const form of [secret, hex, hex.toUpperCase(), secret.toString('base64')]) {
    assert.equal(findSecrets(Buffer.concat([Buffer.from('..'), Buffer.from(form)]), secrets), [
      'it',
    ])
  }
  for (const before of ['', 'a', 'ab', 'abc']) {
    const encoded = Buffer.from(`${before}83:1A:candidate and more`).toString('base64url')
    assert.equal(findSecrets(Buffer.from(encoded), secrets), ['it'], before)
  }
  assert.equal(findSecrets(Buffer.from(`83:1B:candidate`), secrets), [])
})

test.run()

/** In a page: its descriptions name another certificate than the one with which it will speak. */
function showOtherFingerprint(): void {
  const { prototype } = RTCPeerConnection
  const own = Object.getOwnPropertyDescriptor(Object.getPrototypeOf(prototype), 'localDescription')
  Object.defineProperty(prototype, 'localDescription', {
    get(this: RTCPeerConnection) {
      const { type, sdp } = own?.get?.call(this) ?? {}
      const other = sdp?.replace(
        /(a=fingerprint:sha-256 )(..)/,
        (_: string, name: string, byte: string) => `${name}${byte === '00' ? '01' : '00'}`,
      )
      return type && new RTCSessionDescription({ type, sdp: other })
    },
  })
}

/** Two pages of two nodes meet and talk in a mesh of three nodes, each of which records all it sees. */
async function record(client?: Uint8Array): Promise<{ recorded: Buffer; secrets: Secrets }> {
  const tap = new URL('support/tap.ts', import.meta.url).href
  const env = { NODE_OPTIONS: `--import ${tap}`, SIGNAL_MESH_TAP: folder }
  const stage = await openStage(3, { env, ...(client && { client }) })
  const ann = await stage.visit(0, TOPIC)
  const ben = await stage.visit(1, TOPIC)
  await ann.finds(ben.id, stage.nodeId(1))
  assert.is(await ann.connects(ben.id), undefined)
  await ben.isConnected(ann.id)
  await chat(ann, ben)
  const descriptions = [await ann.descriptionTo(ben.id), await ben.descriptionTo(ann.id)] as const
  const files = readdirSync(folder)
  assert.is(files.length, 3, 'each node recorded')
  return {
    recorded: Buffer.concat(files.map((file) => readFileSync(join(folder, file)))),
    secrets: {
      'the topic’s name': Buffer.from(TOPIC),
      ...secretsOf(descriptions[0], 'Ann'),
      ...secretsOf(descriptions[1], 'Ben'),
    },
  }
}
