/** The browser bundle's sealing in a real browser: the published vectors, its own WebCrypto, and no globals of Node's. */

import { readFileSync } from 'node:fs'
import { bundleEdge } from '../build.ts'
import * as onNode from '../test/fixtures/sealing.ts'
import { assert, suite } from '../test/harness/suite.ts'
import { type Browser, launchBrowser, type Page } from './browser.ts'
import { holdsNative } from './support/native.ts'

const readVectors = (name: string) =>
  JSON.parse(readFileSync(`${import.meta.dirname}/../test/vectors/${name}.json`, 'utf8'))
const noiseVectors: readonly onNode.NoiseVector[] = readVectors('noise').vectors
const edgeCases: readonly onNode.EdgeCase[] = readVectors('ed25519-edge-cases').cases

const test = suite('bundle in a browser', { timeoutMs: 60_000 })
let browser: Browser
let page: Page
const pageErrors: string[] = []

test.before(async () => {
  const { code } = await bundleEdge(`${import.meta.dirname}/../test/fixtures/sealing.ts`)
  browser = await launchBrowser()
  page = await browser.newPage()
  page.on('pageerror', (error) => pageErrors.push(error.message))
  await page.evaluate(async (source) => {
    const url = URL.createObjectURL(new Blob([source], { type: 'text/javascript' }))
    Object.assign(globalThis, { sealing: await import(url) })
  }, new TextDecoder().decode(code))
})

test.after(() => browser.close())

test('needs neither Buffer nor process nor global, and leaves none behind', async () => {
  const globals = await page.evaluate(() =>
    ['Buffer', 'process', 'global'].filter((name) => name in globalThis),
  )
  assert.equal(globals, [])
})

test('plays every Noise vector to the byte', async () => {
  const traces = await page.evaluate(
    (vectors) => vectors.map((vector) => sealing.playNoise(vector)),
    noiseVectors,
  )
  assert.equal(
    traces,
    noiseVectors.map((vector) => vector.messages),
  )
})

test('gives the node’s verdict on every edge case of Ed25519', async () => {
  const verdicts = await page.evaluate((cases) => sealing.verdicts(cases), edgeCases)
  assert.equal(verdicts, onNode.verdicts(edgeCases))
})

test('gives the verdicts, keys and secrets that were written down by its own WebCrypto', async () => {
  await holdsNative(await browser.newPage())
})

test('exchanges an IK handshake with fresh keys', async () => {
  assert.equal(await page.evaluate(() => sealing.exchangeIk()), ['offer', 'answer'])
  assert.equal(pageErrors, [])
})

test.run()

/** Set in the page by the first hook. */
declare const sealing: typeof onNode
