/** Nodes that find the mesh by a domain; and their records, printed and checked where they are published. */

import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { assert, suite } from '../test/harness/suite.ts'
import { startProgram } from '../test/support/program.ts'
import { published } from '../test/support/registry.ts'
import { prepare, WITHIN_MS } from './support/finding.ts'
import { untilHealth } from './support/health.ts'
import { ensureDnsmasq, NO_DNSMASQ, startNameServer } from './support/nameserver.ts'

const test = suite('sources-dns', { timeoutMs: 60_000 })
const { others, start, registry } = prepare(test)
const RUNTIMES = ['node', 'deno', 'bun'] as const
const dnsmasq = ensureDnsmasq()
const folders: string[] = []
test.after(() => {
  for (const folder of folders) rmSync(folder, { recursive: true, force: true })
})

if (!dnsmasq) test.skip('a domain’s TXT records bring nodes of each runtime together', NO_DNSMASQ)
else {
  test('a domain’s TXT records bring nodes of each runtime together', async () => {
    const a = await start()
    const text = `v=signal-mesh1 url=${a.url} node=${a.nodeId}`
    const rubbish = ['v=spf1 -all', 'v=signal-mesh1 url=ftp://a.example', `${text} url=b`]
    const names = await startNameServer(dnsmasq, {
      '_signal-mesh.mesh.test': [...rubbish, text],
      '_signal-mesh.long.test': [`${text} bootstrap=${'x'.repeat(200)}.example:49737`],
    })
    others.push(names)
    const args = ['--dns-server', names.at, '--dns']
    const more = await Promise.all([
      ...RUNTIMES.map((runtime) => start([...args, 'mesh.test'], runtime)),
      start([...args, 'nowhere.test,long.test']),
    ])
    const urls = [a, ...more].map(({ url }) => url)
    await untilHealth('all know each other', urls, WITHIN_MS, (all) =>
      all.every(({ mesh }) => mesh.homes === 5),
    )
  })

  test('a node’s record is printed, and what is published of it is checked, on each runtime', async () => {
    const a = await start()
    const data = mkdtempSync(join(tmpdir(), 'record-'))
    folders.push(data)
    const own = ['record', '--data', data, '--public-url', a.url, '--allow-private']
    const printed = startProgram('mod.ts', [...own, '--json'])
    assert.is(await printed.ended, 0)
    const [record] = JSON.parse(printed.out).records
    const { laconicd, node, txt } = record
    const registries = await Promise.all(
      (['union', 'struct'] as const).map((dialect) =>
        registry(dialect, [published(laconicd.record)]),
      ),
    )
    const text = /"(.*)"/.exec(txt)?.[1]?.replaceAll('" "', '') ?? ''
    const names = await startNameServer(dnsmasq, { '_signal-mesh.mesh.test': [text] })
    others.push(names)
    const places = [...registries.map(({ url }) => url), 'mesh.test']
    const checks = places.map((place) =>
      startProgram('mod.ts', [...own, '--check', place, '--dns-server', names.at]),
    )
    assert.equal(await Promise.all(checks.map(({ ended }) => ended)), [3, 3, 3])
    for (const { out } of checks) {
      // All of it is right but for who is at that URL: the node there has another key.
      assert.match(out, new RegExp(`^ok  url: ${a.url}$`, 'm'))
      assert.match(out, /^wrong {2}.*\/health is not this node$/m)
      assert.is(out.match(/^wrong/gm)?.length, 1, out)
    }
    // Now that key has the node there.
    const { port } = new URL(a.url)
    await a.kill()
    const there = startProgram('mod.ts', ['--port', port, '--data', data, '--log-format', 'json'])
    await there.until(new RegExp(`"nodeId":"${node}"`))
    const again = places.map((place) =>
      startProgram('mod.ts', [...own, '--check', place, '--dns-server', names.at]),
    )
    assert.equal(await Promise.all(again.map(({ ended }) => ended)), [0, 0, 0])
    const absent = startProgram('mod.ts', [
      ...own,
      '--network',
      'other',
      '--check',
      places[0] ?? '',
    ])
    assert.is(await absent.ended, 3)
    await registries[0]?.close()
    const silent = startProgram('mod.ts', [...own, '--check', places[0] ?? ''])
    assert.is(await silent.ended, 1)
    assert.match(silent.err, /HOME_UNREACHABLE/)
  })
}

test.run()
