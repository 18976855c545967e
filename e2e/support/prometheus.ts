/** Prometheus, from the system's packages: `promtool`, and a server that scrapes the nodes of a test. */

import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { findProgram, installPackage } from '../browser.ts'

const ROOT = join(import.meta.dirname, '../..')

export const NO_PROMETHEUS =
  'no promtool, and none could be installed; on Debian: apt-get install prometheus'

/** Whether both programs are there, also after installing them. */
export function ensurePrometheus(): boolean {
  const has = (): boolean =>
    findProgram(['promtool']) !== undefined && findProgram(['prometheus']) !== undefined
  if (!has()) installPackage('prometheus')
  return has()
}

/** Runs promtool; gives what it printed, or throws with it. */
export function promtool(args: readonly string[], input?: string): string {
  const options = input === undefined ? {} : { input }
  return execFileSync('promtool', [...args], { encoding: 'utf8', cwd: ROOT, ...options })
}

export interface Prometheus {
  /** Asks its HTTP API. */
  ask(path: string): Promise<unknown>
  stop(): Promise<void>
}

/** Starts one with the rules of `ops`, which scrapes these nodes each second. */
export async function startPrometheus(urls: readonly string[]): Promise<Prometheus> {
  const folder = mkdtempSync(join(tmpdir(), 'prometheus-'))
  const config = {
    global: { scrape_interval: '1s', evaluation_interval: '1s' },
    rule_files: [join(ROOT, 'ops/alerts.yml')],
    scrape_configs: [
      {
        job_name: 'signal-mesh',
        static_configs: [{ targets: urls.map((url) => new URL(url).host) }],
      },
    ],
  }
  const file = join(folder, 'prometheus.yml')
  // JSON is YAML.
  writeFileSync(file, JSON.stringify(config))
  const port = await freePort()
  const child: ChildProcess = spawn(
    'prometheus',
    [
      `--config.file=${file}`,
      `--storage.tsdb.path=${join(folder, 'data')}`,
      `--web.listen-address=127.0.0.1:${port}`,
    ],
    { stdio: 'ignore' },
  )
  const ended = new Promise<void>((resolve) => child.once('close', () => resolve()))
  return {
    ask: async (path) => (await fetch(`http://127.0.0.1:${port}/api/v1/${path}`)).json(),
    stop: async () => {
      child.kill('SIGKILL')
      await ended
      rmSync(folder, { recursive: true, force: true })
    },
  }
}

function freePort(): Promise<number> {
  return new Promise((resolve) => {
    const server = createServer()
    server.listen(0, '127.0.0.1', () => {
      const { port } = server.address() as { port: number }
      server.close(() => resolve(port))
    })
  })
}
