/** What `ops` has for operators, read: the images of the Dockerfile, the services of the compose file, the unit. */

import { execFileSync } from 'node:child_process'
import { mkdirSync, readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import lock from '../../package-lock.json' with { type: 'json' }

const ROOT = join(import.meta.dirname, '../..')
export const BIN: string = join(ROOT, 'node_modules/.bin')

/** One target of the Dockerfile. */
export interface Image {
  readonly env: Readonly<Record<string, string>>
  readonly user: string | undefined
  readonly entrypoint: readonly string[]
  readonly healthcheck: readonly string[]
}

export interface Service {
  readonly build?: { readonly target: string }
  readonly environment?: Readonly<Record<string, string>>
}

export function readOps(file: string): string {
  return readFileSync(join(ROOT, 'ops', file), 'utf8')
}

export function imageOf(target: string): Image {
  const stages = readOps('Dockerfile')
    .replaceAll('\\\n', ' ')
    .split(/^FROM /m)
  const stage = stages.find((text) => text.split('\n')[0]?.endsWith(` AS ${target}`))
  if (!stage) throw new Error(`The Dockerfile has no stage ${target}`)
  const words = (mark: RegExp): string[] => JSON.parse(mark.exec(stage)?.[1] ?? '[]')
  const pairs = [...stage.matchAll(/^ENV (.+)$/gm)].flatMap(([, text = '']) => text.split(' '))
  return {
    env: Object.fromEntries(pairs.map((pair) => pair.split('='))),
    user: /^USER (\S+)$/m.exec(stage)?.[1],
    entrypoint: words(/^ENTRYPOINT (\[.*\])$/m),
    healthcheck: words(/^HEALTHCHECK .*?CMD (\[.*\])$/m),
  }
}

/** By a YAML reader: Bun has one. */
export function composeServices(): Readonly<Record<string, Service>> {
  const program = 'console.log(JSON.stringify(Bun.YAML.parse(await Bun.stdin.text())))'
  const input = readOps('compose.yml')
  return JSON.parse(execFileSync(join(BIN, 'bun'), ['-e', program], { input, encoding: 'utf8' }))
    .services
}

/** The words of the unit's `ExecStart`. */
export function unitCommand(): string[] {
  return (/^ExecStart=(.+)$/m.exec(readOps('signal-mesh.service'))?.[1] ?? '').split(' ')
}

/** Lays out what the images hold at `/app`: the files that the Dockerfile copies, and no package but those of production. */
export function layOutImage(folder: string): void {
  const copied = /cp -a (.+) \/node$/m.exec(readOps('Dockerfile'))?.[1]?.split(' ') ?? []
  mkdirSync(folder, { recursive: true })
  const parts = copied.filter((part) => part !== 'node_modules')
  execFileSync('cp', ['-a', ...parts, folder], { cwd: ROOT })
  if (!copied.includes('node_modules')) return
  const isOwn = ([path, { dev, devOptional }]: [string, Package]): boolean =>
    /^node_modules\/(@[^/]+\/)?[^/]+$/.test(path) && !dev && !devOptional
  const packages = Object.entries(lock.packages as Record<string, Package>).filter(isOwn)
  const paths = packages.map(([path]) => path)
  const copy = (how: string): unknown =>
    execFileSync('cp', [how, '--parents', ...paths, folder], { cwd: ROOT, stdio: 'ignore' })
  try {
    copy('-al')
  } catch {
    // Links do not go from one disk to another.
    copy('-a')
  }
  const prune = /^RUN (find node_modules .+)$/m.exec(readOps('Dockerfile'))?.[1] ?? 'false'
  execFileSync('sh', ['-euc', prune], { cwd: folder })
  // Programs of packages that are not there.
  rmSync(join(folder, 'node_modules/.bin'), { recursive: true, force: true })
}

interface Package {
  readonly dev?: boolean
  readonly devOptional?: boolean
}
