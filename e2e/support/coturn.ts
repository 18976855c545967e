/** Coturn, from the system's packages: a TURN server as the README sets it up, and coturn's own clients. */

import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { findProgram, installPackage } from '../browser.ts'
import { poll } from './poll.ts'

const README = join(import.meta.dirname, '../../README.md')
/** Clients that get no answer go on trying. */
const CLIENT_TIMEOUT_MS = 3_000
const START_WITHIN_MS = 10_000

export const NO_COTURN = 'no coturn, and none could be installed; on Debian: apt-get install coturn'

/** Whether coturn is there, also after installing it. */
export function ensureCoturn(): boolean {
  const has = (): boolean => findProgram(['turnutils_stunclient']) !== undefined
  if (!has()) installPackage('coturn')
  // For the certificate of its test.
  if (has() && !findProgram(['openssl'])) installPackage('openssl')
  return has()
}

/** Runs one of coturn's clients; gives all that it printed. */
export function runClient(name: string, args: readonly string[]): Promise<string> {
  return new Promise((resolve) => {
    execFile(name, [...args], { timeout: CLIENT_TIMEOUT_MS }, (_, out, err) => resolve(out + err))
  })
}

export interface Coturn {
  readonly port: number
  stop(): Promise<void>
}

/** Starts one by the configuration in the README, at this address with this secret. */
export async function startCoturn(
  address: string,
  port: number,
  secret: string,
  tls?: { readonly port: number; readonly cert: string; readonly key: string },
): Promise<Coturn> {
  const folder = mkdtempSync(join(tmpdir(), 'coturn-'))
  const file = join(folder, 'turnserver.conf')
  const own = [
    `listening-ip=${address}`,
    `relay-ip=${address}`,
    `listening-port=${port}`,
    `static-auth-secret=${secret}`,
    ...(tls ? [`tls-listening-port=${tls.port}`, `cert=${tls.cert}`, `pkey=${tls.key}`] : []),
    'log-file=stdout',
    `pidfile=${join(folder, 'pid')}`,
  ]
  writeFileSync(file, `${documented()}\n${own.join('\n')}\n`)
  const child = spawn('turnserver', ['-c', file], { stdio: 'ignore' })
  const ended = new Promise<void>((resolve) => child.once('close', () => resolve()))
  await answering(child, address, port)
  return {
    port,
    stop: async () => {
      child.kill('SIGKILL')
      await ended
      rmSync(folder, { recursive: true, force: true })
    },
  }
}

/** The README's configuration, without what each operator fills in. */
export function documented(): string {
  const block = /```ini\n# \/etc\/turnserver\.conf\n([^`]*)```/.exec(readFileSync(README, 'utf8'))
  if (!block) throw new Error('The README has no /etc/turnserver.conf')
  const lines = (block[1] as string).split('\n')
  return lines
    .filter((line) => !/^(static-auth-secret|cert|pkey|tls-listening)/.test(line))
    .join('\n')
}

/** Its log does not say when it takes datagrams; its answers do. */
function answering(child: ChildProcess, address: string, port: number): Promise<unknown> {
  const ended = new Promise((_, reject) =>
    child.once('close', () => reject(new Error('turnserver has ended by itself'))),
  )
  const asked = poll('coturn answers', START_WITHIN_MS, async () =>
    (await runClient('turnutils_stunclient', ['-p', String(port), address])).includes('reflexive'),
  )
  return Promise.race([asked, ended])
}
