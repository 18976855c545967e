/** A browser's own WebCrypto, held to the verdicts that were written down and to libsodium. */

import { readFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { bundleEdge } from '../../build.ts'
import { toHex } from '../../src/bytes.ts'
import * as sodium from '../../src/edge/sodium.ts'
import { torsionCases } from '../../test/fixtures/torsion.ts'
import { assert } from '../../test/harness/suite.ts'

const ROOT = `${import.meta.dirname}/../..`
const SEED = new Uint8Array(32).fill(7)
const readVectors = (name: string) =>
  JSON.parse(readFileSync(`${ROOT}/test/vectors/${name}.json`, 'utf8'))

/** Whichever browser's it is. */
interface AnyPage {
  goto(url: string): Promise<unknown>
  evaluate(expression: string): Promise<unknown>
}

export async function holdsNative(page: AnyPage): Promise<void> {
  // A page on its own machine may ask WebCrypto; one of no address may not.
  const server = createServer((_, response) =>
    response.setHeader('Content-Type', 'text/html').end('<!doctype html><title>native</title>'),
  )
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  try {
    await page.goto(`http://127.0.0.1:${(server.address() as AddressInfo).port}/`)
    const { code } = await bundleEdge(`${ROOT}/test/fixtures/native.ts`)
    const source = `data:text/javascript;base64,${Buffer.from(code).toString('base64')}`
    const run = (call: string): Promise<unknown> =>
      page.evaluate(`import('${source}').then((native) => native.${call})`)
    const edges = readVectors('ed25519-edge-cases').cases.map(
      ({ pub_key, ...edge }: { pub_key: string }) => ({ ...edge, publicKey: pub_key }),
    )
    const torsion = torsionCases().map(({ signature, message, publicKey }) => ({
      signature: toHex(signature),
      message: toHex(message),
      publicKey: toHex(publicKey),
    }))
    const pinned = readVectors('ed25519-verdicts')
    const all = [...edges, ...torsion]
    const verdicts = await run(`nativeVerdicts(${JSON.stringify(all)})`)
    assert.is(verdicts, pinned.edgeCases + pinned.smallOrder.join(''))
    const keys = await run(`nativeKeys('${toHex(SEED)}')`)
    holdsKeys(keys as readonly string[])
  } finally {
    server.close()
  }
}

function holdsKeys([key, signed, one, other]: readonly string[]): void {
  const publicKey = new Uint8Array(32)
  const secretKey = new Uint8Array(64)
  const signature = new Uint8Array(64)
  sodium.crypto_sign_seed_keypair(publicKey, secretKey, SEED)
  sodium.crypto_sign_detached(signature, SEED, secretKey)
  assert.is(key, toHex(publicKey))
  assert.is(signed, toHex(signature))
  assert.is(one?.length, 64)
  assert.is(one, other)
}
