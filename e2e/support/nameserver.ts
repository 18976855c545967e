/** A name server of the system's packages: dnsmasq, with the TXT records of one domain and nothing else. */

import { type ChildProcess, spawn } from 'node:child_process'
import { createSocket } from 'node:dgram'
import { Resolver } from 'node:dns/promises'
import { findProgram, installPackage } from '../browser.ts'
import { poll } from './poll.ts'

const START_WITHIN_MS = 10_000
/** Where Debian has it, which is not on everybody's path. */
const SYSTEM_PATH = `${process.env.PATH}:/usr/sbin:/sbin`

export const NO_DNSMASQ =
  'no dnsmasq, and none could be installed; on Debian: apt-get install dnsmasq-base'

export interface NameServer {
  /** As `--dns-server` takes it. */
  readonly at: string
  stop(): Promise<void>
}

/** The program, also after installing it. */
export function ensureDnsmasq(): string | undefined {
  const find = (): string | undefined => findProgram(['dnsmasq'], SYSTEM_PATH)
  if (!find()) installPackage('dnsmasq-base')
  return find()
}

/** Starts one that answers for these names, each with its texts. */
export async function startNameServer(
  program: string,
  texts: Readonly<Record<string, readonly string[]>>,
): Promise<NameServer> {
  const port = await freeUdpPort()
  const records = Object.entries(texts).flatMap(([name, list]) =>
    // A string of a TXT record holds 255 bytes.
    list.map((text) => `--txt-record=${name},${(text.match(/.{1,255}/g) ?? []).join()}`),
  )
  const own = [
    '--keep-in-foreground',
    '--conf-file=/dev/null',
    '--no-resolv',
    '--no-hosts',
    '--user=',
  ]
  const at = ['--listen-address=127.0.0.1', '--bind-interfaces', `--port=${port}`, '--pid-file=']
  const child = spawn(program, [...own, ...at, ...records], { stdio: 'ignore' })
  const ended = new Promise<void>((resolve) => child.once('close', () => resolve()))
  await answering(child, port, Object.keys(texts)[0] as string)
  return {
    at: `127.0.0.1:${port}`,
    stop: async () => {
      child.kill('SIGKILL')
      await ended
    },
  }
}

async function answering(child: ChildProcess, port: number, name: string): Promise<void> {
  const resolver = new Resolver({ timeout: 500, tries: 1 })
  resolver.setServers([`127.0.0.1:${port}`])
  await poll('dnsmasq answers', START_WITHIN_MS, async () => {
    if (child.exitCode !== null) throw new Error(`dnsmasq ended with ${child.exitCode}`)
    return resolver.resolveTxt(name).catch(() => undefined)
  })
}

function freeUdpPort(): Promise<number> {
  return new Promise((resolve) => {
    const socket = createSocket('udp4').bind(0, '127.0.0.1', () => {
      const { port } = socket.address()
      socket.close(() => resolve(port))
    })
  })
}
