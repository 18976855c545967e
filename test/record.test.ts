/** `signal-mesh record` and the commands beside it: what they take, print and check. */

import { commandLines, commandOf } from '../runtimes/commands.ts'
import type { Host } from '../runtimes/host.ts'
import { runtime } from '../runtimes/node.ts'
import { checkRecord } from '../runtimes/recordcheck.ts'
import { publishable, recordText } from '../runtimes/recordtext.ts'
import { type MeshRecord, readTxt } from '../src/registryrecord.ts'
import { rejection } from './fixtures/errors.ts'
import { assert, suite } from './harness/suite.ts'

const test = suite('record')
const RECORD: MeshRecord = {
  url: 'https://a.example',
  bootstrap: `${'b'.repeat(150)}.example:49737`,
  node: 'a1'.repeat(32),
  network: 'b2'.repeat(32),
}
const OWN = [{ network: 'main', record: RECORD }]

test('a record says the same in each form', () => {
  const { laconicd, dxns, txt } = publishable(RECORD)
  const { node, ...same } = RECORD
  const fields = { type: 'wrn:service', service: 'signal', active: true, ...same, nodeId: node }
  assert.equal(laconicd.record, fields)
  const flat = dxns.attributes.map(({ key, value }) => [key, Object.values(value)[0]])
  assert.equal(Object.fromEntries(flat), fields)
  const strings = [...txt.matchAll(/"([^"]*)"/g)].map(([, text = '']) => text)
  assert.ok(strings.length > 1 && strings.every((text) => text.length <= 255))
  assert.equal(readTxt(strings.join('')), RECORD)
  const text = recordText('main', RECORD)
  for (const form of [txt, JSON.stringify(dxns.attributes), `  nodeId: "${node}"`]) {
    assert.ok(text.split('\n').includes(form), form)
  }
})

test('a published record is compared field by field', async () => {
  const said = async (records: readonly MeshRecord[]): Promise<readonly string[]> =>
    (await checkRecord(OWN, records, false))
      .filter(({ isWrong }) => isWrong)
      .map(({ says }) => says)
  const { url: _, ...elsewhere } = RECORD
  assert.match((await said([]))[0] ?? '', /^network "main": no record of 0 names node a1a1/)
  assert.equal(await said([{ ...elsewhere, bootstrap: 'c.example:1' }]), [
    'url: none is published, https://a.example is meant',
    `bootstrap: c.example:1 is published, ${RECORD.bootstrap} is meant`,
  ])
  assert.ok((await said([elsewhere, elsewhere])).includes('2 records name this node'))
  const there = { ...RECORD, url: 'http://127.0.0.1:9' }
  const own = [{ network: 'main', record: there }]
  const [finding] = (await checkRecord(own, [there], false)).filter(({ isWrong }) => isWrong)
  assert.match(finding?.says ?? '', /leads to the local address 127\.0\.0\.1/)
})

test('a command is the first word, and flags alone start a node', () => {
  assert.type(commandOf(['record', '--json']), 'function')
  for (const argv of [[], ['--port', '0'], ['start'], ['toString'], ['--json', 'record']]) {
    assert.is(commandOf(argv), undefined)
  }
  assert.match(commandLines(), /^ {2}record +\S/m)
})

test('what a record lacks is said before anything is read', async () => {
  const run = (...argv: string[]) =>
    rejection(commandOf(['record'])?.(runtime, hostOf(argv)) ?? Promise.resolve())
  assert.is(await run('--public-url', 'https://a.example'), 'BAD_CONFIG')
  assert.is(await run('--data', '/nowhere'), 'BAD_CONFIG')
  assert.is(await run('more'), 'BAD_CONFIG')
  const said: string[] = []
  const code = await commandOf(['record'])?.(runtime, hostOf(['--help'], said))
  assert.is(code, 0)
  assert.match(said.join(''), /--check URL\|DOMAIN/)
})

test.run()

function hostOf(argv: readonly string[], said: string[] = []): Host {
  return { argv, env: {}, out: (text: string) => void said.push(text) } as unknown as Host
}
