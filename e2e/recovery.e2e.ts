/** Recovery: paths between two real browsers die, and a new one is found without a close and without loss. */

import { spawnSync } from 'node:child_process'
import { join } from 'node:path'
import { assert, note, suite } from '../test/harness/suite.ts'
import { type Browser, findProgram, installPackage, isRoot, launchBrowser } from './browser.ts'
import { type RuntimeNode, startOn } from './support/runtimes.ts'
import { chat, type Visitor, visit } from './support/visitors.ts'

const test = suite('recovery', { timeoutMs: 60_000 })

/** A browser notices after 5 s that nothing comes any more; then signals go back and forth. */
const BACK_WITHIN_MS = 20_000
const SPACE = `sm-rec-${process.pid}`
/** Of a network that nobody else has; each run its own. */
const NET = `10.${77 + (process.pid % 100)}.${process.pid % 250}`
const WRAPPER = join(import.meta.dirname, 'nat/in-namespace.sh')
/** Else a page tells names of its host candidates that need multicast. */
const PLAIN = ['--disable-features=WebRtcHideLocalIpsWithMdns']

const lacks = whatIsMissing()
let nodes: RuntimeNode[] = []
let browsers: Browser[] = []

test.after(async () => {
  await Promise.all(browsers.map((browser) => browser.close()))
  await Promise.all(nodes.map((node) => node.stop()))
  if (!lacks) run('ip', ['netns', 'delete', SPACE])
})

if (lacks) test.skip('a path that dies is replaced by ICE restart', lacks)
else {
  test('a path that dies is replaced by ICE restart, with no close and no message lost', async () => {
    openNetwork()
    nodes = [await startOn('node', ['--host', '0.0.0.0'])]
    const { port } = new URL((nodes[0] as RuntimeNode).url)
    const url = `http://${NET}.1:${port}`
    browsers = await Promise.all([
      launchBrowser(PLAIN, { path: WRAPPER, env: { NAMESPACE: SPACE } }),
      launchBrowser(PLAIN),
    ])
    const [mobile, fixed] = (await Promise.all(
      browsers.map((browser) => visit(browser, url, { network: 'main', topic: 'room' })),
    )) as [Visitor, Visitor]
    await mobile.finds(fixed.id, await fixed.home())
    assert.is(await mobile.connects(fixed.id), undefined)
    await fixed.isConnected(mobile.id)
    await chat(mobile, fixed)
    for (const one of [mobile, fixed]) await count(one)

    // What the path uses now carries nothing ever again, as when a NAT forgets a mapping.
    const ports = await Promise.all([mobile, fixed].map(portsOf))
    inSpace('nft', ['-f', '-'], dropOf(ports.flat()))
    await recovers('UDP of the path is dropped', mobile, fixed)

    // Another address: the page's socket to its home is dead as well, and nobody tells.
    inSpace('ip', ['address', 'delete', `${NET}.2/24`, 'dev', 'uplink'])
    inSpace('ip', ['address', 'add', `${NET}.3/24`, 'dev', 'uplink'])
    inSpace('ip', ['route', 'replace', 'default', 'via', `${NET}.1`])
    await recovers('the address has changed', mobile, fixed)

    for (const one of [mobile, fixed]) {
      const { closes } = await counted(one)
      assert.is(closes, 0)
    }
    assert.equal(await mobile.connectionTo(fixed.id), { state: 'open', count: 1 })
    assert.equal(await fixed.connectionTo(mobile.id), { state: 'open', count: 1 })
  })
}

test.run()

/** Messages are said all the while; all come, in their order, and the page says how long it took. */
async function recovers(what: string, a: Visitor, b: Visitor): Promise<void> {
  const sinceMs = performance.now()
  await Promise.all([
    saysMany(a, b.id, `${what}, from a`),
    saysMany(b, a.id, `${what}, from b`),
    hearsMany(a, b.id, `${what}, from b`),
    hearsMany(b, a.id, `${what}, from a`),
  ])
  const ms = Math.round(performance.now() - sinceMs)
  const whys = await Promise.all([a, b].map(async (one) => (await counted(one)).codes))
  note(
    `${what}: all is through after ${ms} ms; causes seen: ${whys.map((all) => all.join()).join(' / ')}`,
  )
}

const MANY = 40

async function saysMany(one: Visitor, peer: string, text: string): Promise<void> {
  await one.page.evaluate(
    async ({ peer, text, many }) => {
      for (let i = 0; i < many; i++) {
        void kit.friends.get(peer)?.connection.send(`${text} ${i}`)
        await new Promise((resolve) => setTimeout(resolve, 50))
      }
    },
    { peer, text, many: MANY },
  )
}

async function hearsMany(one: Visitor, peer: string, text: string): Promise<void> {
  const heard = await one.page.evaluate(
    async ({ peer, text, many, boundMs }) => {
      const all = (): string[] =>
        (kit.friends.get(peer)?.heard ?? []).filter((word) => word.startsWith(text))
      await kit.until(`all of "${text}"`, boundMs, () => all().length >= many)
      return all()
    },
    { peer, text, many: MANY, boundMs: BACK_WITHIN_MS },
  )
  assert.equal(
    heard,
    Array.from({ length: MANY }, (_, i) => `${text} ${i}`),
  )
}

/** From now on the page counts closes, and notes what its connections say of their paths. */
async function count(one: Visitor): Promise<void> {
  await one.page.evaluate(() => {
    const seen = { closes: 0, codes: [] as string[] }
    Object.assign(globalThis, { seen })
    for (const { connection } of kit.friends.values()) {
      connection.on('close', () => (seen.closes += 1))
      setInterval(() => {
        const { code } = connection.why()
        if (seen.codes.at(-1) !== code) seen.codes.push(code)
      }, 50)
    }
  })
}

async function counted(one: Visitor): Promise<{ closes: number; codes: string[] }> {
  return one.page.evaluate(
    () => (globalThis as unknown as { seen: { closes: number; codes: string[] } }).seen,
  )
}

/** The UDP ports of the path that is used now. */
async function portsOf(one: Visitor): Promise<number[]> {
  return one.page.evaluate(async () => {
    const [friend] = kit.friends.values()
    const stats = await friend?.connection.rtc.getStats()
    return [...(stats?.values() ?? [])].flatMap(({ type, port }) =>
      type === 'local-candidate' ? [Number(port)] : [],
    )
  })
}

function dropOf(ports: readonly number[]): string {
  const list = ports.join(', ')
  return `table inet path {
  chain in { type filter hook input priority 0; udp dport { ${list} } drop
  }
  chain out { type filter hook output priority 0; udp sport { ${list} } drop
  }
}`
}

/** A namespace with one way out, to this machine. */
function openNetwork(): void {
  const outside = `smr${process.pid}`
  run('ip', ['link', 'add', outside, 'type', 'veth', 'peer', 'name', 'uplink', 'netns', SPACE])
  run('ip', ['address', 'add', `${NET}.1/24`, 'dev', outside])
  run('ip', ['link', 'set', outside, 'up'])
  inSpace('ip', ['link', 'set', 'lo', 'up'])
  inSpace('ip', ['address', 'add', `${NET}.2/24`, 'dev', 'uplink'])
  inSpace('ip', ['link', 'set', 'uplink', 'up'])
  inSpace('ip', ['route', 'add', 'default', 'via', `${NET}.1`])
}

function inSpace(command: string, args: readonly string[], input?: string): void {
  run('ip', ['netns', 'exec', SPACE, command, ...args], input)
}

function run(command: string, args: readonly string[], input?: string): void {
  const { status, stderr } = spawnSync(command, args, { input, encoding: 'utf8' })
  if (status !== 0) throw new Error(`${command} ${args.join(' ')}: ${stderr}`)
}

/** Why this machine cannot do it; what can be installed is. */
function whatIsMissing(): string | undefined {
  if (process.platform !== 'linux' || !isRoot) return 'needs root on Linux, for a network namespace'
  for (const [program, name] of [
    ['ip', 'iproute2'],
    ['nft', 'nftables'],
  ] as const) {
    if (!findProgram([program])) installPackage(name)
    if (!findProgram([program])) return `no ${program}, and it could not be installed`
  }
  const { status } = spawnSync('ip', ['netns', 'add', SPACE])
  return status === 0 ? undefined : 'no network namespaces here'
}
