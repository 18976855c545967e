/** The browser of the end-to-end tests: finds Chromium or installs it, and starts it quietly. */

import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import { type Browser, chromium } from 'playwright'

export type { Browser, BrowserContext, Page } from 'playwright'

/** Names under which systems know Chromium or Chrome. */
const SYSTEM_NAMES = ['chromium', 'chromium-browser', 'google-chrome-stable', 'google-chrome']

/** A browser that has only our pages to care for. */
const QUIET_FLAGS = [
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
  '--no-first-run',
  '--disable-quic',
]

/** How long a download may take before we look for another way. */
const INSTALL_TIMEOUT_MS = 10 * 60_000

const NO_BROWSER = `No browser found, and none could be installed.
Install Chromium or Chrome so that one of ${SYSTEM_NAMES.join(', ')} is on the PATH,
or run "npx playwright install --with-deps chromium", then run this again.`

export const isRoot: boolean = process.getuid?.() === 0

/**
 * Starts headless Chromium; `flags` are put after our own. A `wrapper` is a program that starts the one
 * that `BROWSER` names, with what it is given itself.
 */
export async function launchBrowser(
  flags: readonly string[] = [],
  wrapper?: { readonly path: string; readonly env: Readonly<Record<string, string>> },
): Promise<Browser> {
  return chromium.launch({
    executablePath: wrapper?.path ?? ensureBrowser(),
    ...(wrapper && {
      env: { ...(process.env as Record<string, string>), BROWSER: ensureBrowser(), ...wrapper.env },
    }),
    // Chromium refuses to run its sandbox as root.
    args: [...QUIET_FLAGS, ...(isRoot ? ['--no-sandbox'] : []), ...flags],
  })
}

/** Playwright's own browser where it is present, else the system's; `undefined` where there is none. */
export function findBrowser(
  path: string = process.env.PATH ?? '',
  own: string = chromium.executablePath(),
): string | undefined {
  return existsSync(own) ? own : findProgram(SYSTEM_NAMES, path)
}

/** The path of the first of these programs that the system has. */
export function findProgram(
  names: readonly string[],
  path: string = process.env.PATH ?? '',
): string | undefined {
  const folders = path.split(delimiter)
  return names.flatMap((name) => folders.map((folder) => join(folder, name))).find(existsSync)
}

/** The browser's path; installs one where there is none, and throws where that fails. */
export function ensureBrowser(): string {
  const found = findBrowser() ?? install()
  if (!found) throw new Error(NO_BROWSER)
  return found
}

/** Tries the system's packages first: Playwright's downloads are not reachable from everywhere. */
function install(): string | undefined {
  console.error('No browser found: installing Chromium, which takes a minute or two')
  installPackage('chromium')
  if (!findBrowser()) run('npx', ['playwright', 'install', 'chromium'])
  return findBrowser()
}

/** Installs a package of the system, where that can be done. */
export function installPackage(name: string): void {
  if (isRoot && run('apt-get', ['update']))
    run('apt-get', ['install', '--yes', '--no-install-recommends', name])
}

/** Runs an installer, its progress in sight; what it prints is no part of our own output. */
function run(command: string, args: readonly string[]): boolean {
  console.error(`> ${command} ${args.join(' ')}`)
  const { status } = spawnSync(command, args, {
    stdio: ['ignore', process.stderr, process.stderr],
    timeout: INSTALL_TIMEOUT_MS,
    env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive' },
  })
  return status === 0
}

if (import.meta.main) {
  try {
    console.log(`browser: ${ensureBrowser()}`)
  } catch (error) {
    console.error((error as Error).message)
    process.exitCode = 1
  }
}
