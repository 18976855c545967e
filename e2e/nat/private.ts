/** A world of its own for the laboratory: namespaces that end with the program, and whether they may be had. */

import { spawn, spawnSync } from 'node:child_process'
import { findProgram, installPackage, isRoot } from '../browser.ts'

/** Programs that the laboratory needs, with the packages of Debian that bring them. */
const NEEDS = { unshare: 'util-linux', nsenter: 'util-linux', ip: 'iproute2', nft: 'nftables' }
const COTURN = { turnserver: 'coturn' }

const UNSHARE = [
  ...(isRoot ? [] : ['--user', '--map-root-user']),
  ...['--net', '--mount', '--pid', '--fork', '--kill-child', '--mount-proc', '--'],
]

/** Namespaces have their names in /run, which is private too; /sbin is not in everybody's path. */
const ENTER = 'mount -t tmpfs tmpfs /run && ip link set lo up && exec "$@"'
const PATH = `${process.env.PATH}:/usr/sbin:/sbin`

/** Whether this process is inside already. */
export const isInside: boolean = process.env.NAT_LAB_INSIDE === '1'

/** Installs what is missing; throws where that fails. */
export function ensurePrograms(): void {
  for (const [program, name] of Object.entries({ ...NEEDS, ...COTURN })) {
    const has = (): boolean => findProgram([program], PATH) !== undefined
    if (!has()) installPackage(name)
    if (!has()) throw new Error(`No ${program}, and it could not be installed: package ${name}`)
  }
}

/** Why this machine has no room for the laboratory; `undefined` where it has. */
export function whyNoLab(): string | undefined {
  if (process.platform !== 'linux')
    return `network namespaces are Linux’s; this is ${process.platform}`
  if (!findProgram(['unshare'], PATH)) return 'there is no unshare (package util-linux)'
  // Nothing but what the kernel has to allow: a missing package is no reason to leave it out.
  const { status, stderr } = spawnSync(
    'unshare',
    [...UNSHARE, 'mount', '-t', 'tmpfs', 'x', '/mnt'],
    {
      encoding: 'utf8',
      env: { ...process.env, PATH },
    },
  )
  return status === 0 ? undefined : `this machine allows no namespaces: ${stderr.trim()}`
}

/** Runs this program again inside; gives its exit code. Whatever ends this process ends all of it. */
export async function runInside(program: string, args: readonly string[]): Promise<number> {
  const command = ['sh', '-c', ENTER, 'lab', process.execPath, program, ...args]
  const child = spawn('unshare', [...UNSHARE, ...command], {
    // The other end notices by its input that this process is gone.
    stdio: ['pipe', 'inherit', 'inherit'],
    env: { ...process.env, PATH, NAT_LAB_INSIDE: '1' },
  })
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => child.stdin.end())
  return new Promise((resolve) => child.once('close', (code) => resolve(code ?? 1)))
}

/** Ends this program, and with it the world, when the one outside is gone. */
export function endWithParent(): void {
  process.stdin.resume().once('close', () => process.exit(130))
  process.stdin.unref?.()
}
