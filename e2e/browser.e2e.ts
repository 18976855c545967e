/** A browser is found where there is one, installed where that can be, and asked for where not. */

import { spawnSync } from 'node:child_process'
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { assert, suite } from '../test/harness/suite.ts'
import { findBrowser } from './browser.ts'

const NONE = '/nowhere/chrome'

const test = suite('finding a browser', { timeoutMs: 30_000 })
let folder: string

test.beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'signal-mesh-browser-'))
})
test.afterEach(() => rmSync(folder, { recursive: true }))

test('takes Playwright’s own before the system’s', () => {
  const chromium = script('chromium', '')
  assert.is(findBrowser(folder, process.execPath), process.execPath)
  assert.is(findBrowser(folder, NONE), chromium)
})

test('prefers Chromium to Chrome, wherever on the path they are', () => {
  const chrome = script('google-chrome', '')
  assert.is(findBrowser(`/nowhere:${folder}`, NONE), chrome)
  const chromium = script('chromium', '')
  assert.is(findBrowser(`/nowhere:${folder}`, NONE), chromium)
})

test('finds none where there is none', () => {
  assert.is(findBrowser(folder, NONE), undefined)
})

test('says what to do where none can be installed', () => {
  const { status, stderr } = findInFolder()
  assert.is(status, 1)
  assert.match(stderr, 'No browser found, and none could be installed')
  assert.match(stderr, 'npx playwright install --with-deps chromium')
})

test('installs one with what the system has', () => {
  const installer = process.getuid?.() === 0 ? 'apt-get' : 'npx'
  script(installer, `[ "$1" = update ] || { echo > ${folder}/chromium; echo unpacking; }`)
  const { status, stdout, stderr } = findInFolder()
  assert.is(status, 0)
  assert.is(stdout, `browser: ${folder}/chromium\n`)
  assert.match(stderr, 'unpacking')
})

test.run()

/** Runs the finder on a machine that has nothing but what the test's folder holds. */
function findInFolder(): { status: number | null; stdout: string; stderr: string } {
  return spawnSync(process.execPath, [`${import.meta.dirname}/browser.ts`], {
    env: { PATH: folder, HOME: folder },
    encoding: 'utf8',
  })
}

function script(name: string, body: string): string {
  const file = join(folder, name)
  writeFileSync(file, `#!/bin/sh\n${body}\n`)
  chmodSync(file, 0o755)
  return file
}
