/** The README's broker on the mesh, as it stands there, in three processes: they call each other, and one is killed. */

import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { assert, suite } from '../test/harness/suite.ts'

const ROOT = new URL('..', import.meta.url)
const PEER = "'--peer', 'https://mesh.example.org'"

/** What the test asks of a process, which answers with what came of it. */
const ASKED = `
process.on('message', ({ action, params, nodeID }) =>
  broker.call(action, params, { nodeID }).then(
    (value) => process.send({ value }),
    ({ name }) => process.send({ failed: name }),
  ),
)
process.send({ id: node.id, url: node.urls[0] })
`

interface Process {
  readonly id: string
  readonly url: string
  readonly child: ChildProcess
}

interface Answer {
  readonly value?: unknown
  readonly failed?: string
}

const folder = mkdtempSync(join(tmpdir(), 'mesh-moleculer-'))
const started: ChildProcess[] = []
const test = suite('moleculer e2e', { timeoutMs: 60_000 })
test.after(() => {
  for (const child of started) child.kill('SIGKILL')
  rmSync(folder, { recursive: true })
})

/** The example, with its imports from here and another peer, or none. */
function exampleWith(peer: string | undefined): string {
  const readme = readFileSync(new URL('README.md', ROOT), 'utf8')
  const example = /<!-- example: moleculer -->\s*```js\n(.*?)```/s.exec(readme)?.[1] ?? ''
  assert.ok(example.includes(PEER), 'README.md has the example, and it names a peer')
  return example
    .replace(PEER, peer === undefined ? "'--port', '0'" : `'--peer', '${peer}', '--port', '0'`)
    .replace("'signal-mesh/moleculer'", `'${new URL('runtimes/moleculer.ts', ROOT)}'`)
    .replace("'moleculer'", `'${new URL('node_modules/moleculer/index.mjs', ROOT)}'`)
}

async function start(name: string, peer?: string): Promise<Process> {
  const file = join(folder, `${name}.mjs`)
  writeFileSync(file, exampleWith(peer) + ASKED)
  const env = { ...process.env, SIGNAL_MESH_ALLOW_PRIVATE: 'true' }
  const child = fork(file, { env, stdio: ['ignore', 'ignore', 'inherit', 'ipc'] })
  started.push(child)
  const [said] = (await once(child, 'message')) as [{ id: string; url: string }]
  return { ...said, child }
}

async function ask({ child }: Process, action: string, nodeID?: string): Promise<Answer> {
  child.send({ action, params: { name: 'mesh' }, nodeID })
  return ((await once(child, 'message')) as [Answer])[0]
}

/** Asks until the answer is as wanted. */
async function until(ask: () => Promise<Answer>, is: (answer: Answer) => boolean): Promise<Answer> {
  for (let i = 0; i < 100; i++) {
    const answer = await ask()
    if (is(answer)) return answer
    await new Promise((resolve) => setTimeout(resolve, 100))
  }
  throw new Error('The answer never came')
}

test('brokers in three processes call each other, see the mesh, and lose one that is killed', async () => {
  const a = await start('a')
  const [b, c] = await Promise.all([start('b', a.url), start('c', a.url)])
  const all = [a, b, c]
  for (const from of all) {
    for (const to of all) {
      const answer = await until(
        () => ask(from, 'greeter.hello', to.id),
        ({ failed }) => failed === undefined,
      )
      assert.is(answer.value, `Hello mesh, says ${to.id}`)
    }
  }
  const { value } = await until(
    () => ask(b, 'mesh.nodes', c.id),
    (answer) => (answer.value as unknown[]).length === 3,
  )
  const ids = (value as { id: string }[]).map(({ id }) => id)
  assert.equal(ids.sort(), all.map(({ id }) => id).sort())
  c.child.kill('SIGKILL')
  const gone = await until(
    () => ask(a, 'greeter.hello', c.id),
    ({ failed }) => failed !== undefined,
  )
  assert.match(
    gone.failed as string,
    /ServiceNotFoundError|ServiceNotAvailableError|RequestRejectedError/,
  )
  assert.is((await ask(a, 'greeter.hello', b.id)).value, `Hello mesh, says ${b.id}`)
})

test.run()
