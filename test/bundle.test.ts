/** The sealing as the browser bundle has it holds the published vectors, as the node's own does. */

import { readFileSync } from 'node:fs'
import { bundleEdge } from '../build.ts'
import * as onNode from './fixtures/sealing.ts'
import { assert, suite } from './harness/suite.ts'

const readVectors = (name: string) =>
  JSON.parse(readFileSync(`${import.meta.dirname}/vectors/${name}.json`, 'utf8'))
const noiseVectors: readonly onNode.NoiseVector[] = readVectors('noise').vectors
const edgeCases: readonly onNode.EdgeCase[] = readVectors('ed25519-edge-cases').cases

const test = suite('bundle')
let bundled: typeof onNode

test.before(async () => {
  const { code } = await bundleEdge(`${import.meta.dirname}/fixtures/sealing.ts`)
  bundled = await import(`data:text/javascript;base64,${Buffer.from(code).toString('base64')}`)
})

test('plays every Noise vector to the byte, on the node and in the bundle', () => {
  assert.is(noiseVectors.length, 6)
  for (const vector of noiseVectors) {
    assert.equal(onNode.playNoise(vector), vector.messages)
    assert.equal(bundled.playNoise(vector), vector.messages)
  }
})

test('gives the node’s verdict on every edge case of Ed25519', () => {
  assert.equal(bundled.verdicts(edgeCases), onNode.verdicts(edgeCases))
})

test('exchanges an IK handshake with fresh keys', () => {
  assert.equal(bundled.exchangeIk(), ['offer', 'answer'])
})

test.run()
