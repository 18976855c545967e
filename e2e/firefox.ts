/** Firefox, beside the browser of all other end-to-end tests: found or installed, and driven by WebDriver BiDi. */

import puppeteer, { type Browser } from 'puppeteer-core'
import { findProgram, installPackage, isRoot } from './browser.ts'

export type { Browser as Firefox, BrowserContext as FirefoxContext } from 'puppeteer-core'

/** Names under which systems know Firefox. */
const NAMES = ['firefox', 'firefox-esr']

const PREFERENCES = {
  // Cameras that need neither a device nor anybody's consent.
  'media.navigator.streams.fake': true,
  'media.navigator.permission.disabled': true,
  // Plain text instead of an application of its own around it.
  'devtools.jsonview.enabled': false,
}

/** Starts headless Firefox; `undefined` where there is none and none can be installed. */
export async function launchFirefox(): Promise<Browser | undefined> {
  const executablePath = ensureFirefox()
  if (!executablePath) return undefined
  return puppeteer.launch({
    browser: 'firefox',
    executablePath,
    headless: true,
    extraPrefsFirefox: PREFERENCES,
  })
}

/** Why Firefox is not there. */
export const NO_FIREFOX: string = `no ${NAMES.join(' or ')} on the PATH, and ${
  isRoot ? 'apt-get cannot install firefox-esr' : 'only root could install firefox-esr'
}`

/** Firefox's path; installs one where there is none. */
export function ensureFirefox(): string | undefined {
  const found = findProgram(NAMES)
  if (found) return found
  console.error('No Firefox found: installing firefox-esr, which takes a minute or two')
  installPackage('firefox-esr')
  return findProgram(NAMES)
}
