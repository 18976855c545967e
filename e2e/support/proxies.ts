/** Proxies from the system's packages, each with our example configuration before a node of a test. */

import { type ChildProcess, spawn } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { cert, key } from '../../test/fixtures/tls.ts'
import { findProgram, installPackage } from '../browser.ts'
import { readOps } from './ops.ts'

const PACKAGES = { nginx: 'nginx-light', caddy: 'caddy' } as const
/** Where Debian has programs of the system, on a user's PATH or not. */
const PATH = `${process.env.PATH}:/usr/sbin:/usr/bin`

export type ProxyName = keyof typeof PACKAGES

export const PROXIES: readonly ProxyName[] = ['nginx', 'caddy']

export function noProxy(name: ProxyName): string {
  return `no ${name}, and none could be installed; on Debian: apt-get install ${PACKAGES[name]}`
}

/** Whether it is there, also after installing it. */
export function ensureProxy(name: ProxyName): boolean {
  const has = (): boolean => findProgram([name], PATH) !== undefined
  if (has()) return true
  // So that Debian starts no service of it.
  process.env.RUNLEVEL = '1'
  installPackage(PACKAGES[name])
  delete process.env.RUNLEVEL
  return has()
}

export interface Ports {
  readonly tls: number
  readonly plain: number
}

export interface RunningProxy {
  /** What it has logged. */
  said(): string
  stop(): Promise<void>
}

/** Starts one before the node at this URL, with the tests' certificate for 127.0.0.1. */
export function startProxy(name: ProxyName, nodeUrl: string, ports: Ports): RunningProxy {
  const folder = mkdtempSync(join(tmpdir(), 'mesh-proxy-'))
  const files = { cert: join(folder, 'cert.pem'), key: join(folder, 'key.pem') }
  writeFileSync(files.cert, cert)
  writeFileSync(files.key, key)
  const at = { node: new URL(nodeUrl).host, ports, ...files, folder }
  const config = join(folder, 'config')
  writeFileSync(config, name === 'nginx' ? nginxConfig(at) : caddyConfig(at))
  const args =
    name === 'nginx'
      ? ['-c', config, '-p', folder, '-e', 'stderr']
      : ['run', '--adapter', 'caddyfile', '--config', config]
  const child: ChildProcess = spawn(findProgram([name], PATH) ?? name, args, {
    stdio: ['ignore', 'ignore', 'pipe'],
    env: { PATH, HOME: folder, XDG_DATA_HOME: folder, XDG_CONFIG_HOME: folder },
  })
  let said = ''
  child.stderr?.setEncoding('utf8').on('data', (text: string) => (said += text))
  const ended = new Promise<void>((resolve) => child.once('close', () => resolve()))
  return {
    said: () => said,
    stop: async () => {
      child.kill('SIGTERM')
      await ended
      rmSync(folder, { recursive: true, force: true })
    },
  }
}

interface Place {
  readonly node: string
  readonly ports: Ports
  readonly cert: string
  readonly key: string
  readonly folder: string
}

/** Our file for one site, in a configuration that needs nothing of the system's. */
function nginxConfig({ node, ports, cert, key, folder }: Place): string {
  const site = substituted(readOps('nginx.conf'), [
    ['listen 443 ssl;', `listen 127.0.0.1:${ports.tls} ssl;`],
    ['listen [::]:443 ssl;', ''],
    ['listen 80;', `listen 127.0.0.1:${ports.plain};`],
    ['listen [::]:80;', ''],
    ['server 127.0.0.1:4680;', `server ${node};`],
    ['/etc/letsencrypt/live/mesh.example.org/fullchain.pem', cert],
    ['/etc/letsencrypt/live/mesh.example.org/privkey.pem', key],
    ['server_name mesh.example.org;', 'server_name 127.0.0.1;'],
  ])
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi']
  return `daemon off;
worker_processes 1;
pid ${join(folder, 'pid')};
${process.getuid?.() === 0 ? 'user root;' : ''}
events {}
http {
  access_log off;
  ${temporary.map((name) => `${name}_temp_path ${join(folder, name)};`).join('\n  ')}
  ${site}
}
`
}

/** Our file for three names; the first is that of the test, and each takes the certificate that is there. */
function caddyConfig({ node, ports, cert, key }: Place): string {
  const sites = substituted(readOps('Caddyfile'), [
    ['a.mesh.example.org', `https://127.0.0.1:${ports.tls}`],
    ['b.mesh.example.org', `https://b.test:${ports.tls}`],
    ['c.mesh.example.org', `https://c.test:${ports.tls}`],
    ['mesh-a:4680', node],
  ])
  const own = `{\n\tadmin off\n\tauto_https off\n}\n`
  return own + sites.replaceAll(/^(https:\S+) \{$/gm, `$1 {\n\ttls ${cert} ${key}`)
}

/** With each text in place of one that has to be there. */
function substituted(text: string, pairs: readonly (readonly [string, string])[]): string {
  return pairs.reduce((made, [find, replace]) => {
    if (!made.includes(find)) throw new Error(`The example has no ${find}`)
    return made.replaceAll(find, replace)
  }, text)
}

export function freePort(): Promise<number> {
  return new Promise((resolve) => {
    const server = createServer()
    server.listen(0, '127.0.0.1', () => {
      const { port } = server.address() as { port: number }
      server.close(() => resolve(port))
    })
  })
}
