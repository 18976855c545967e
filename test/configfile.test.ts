/** The configuration file, whatever is in it. */

import fc from 'fast-check'
import { readConfigFile } from '../runtimes/configfile.ts'
import { SignalMeshError } from '../src/errors.ts'
import { assert, suite } from './harness/suite.ts'

const test = suite('configfile', { timeoutMs: 20_000 })

test('any text is settings of texts, or refused with BAD_CONFIG and the file named', async () => {
  const texts = fc.oneof(
    fc.string({ unit: 'binary' }),
    fc.json(),
    fc.json().map((json) => `\uFEFF${json}`),
  )
  await fc.assert(
    fc.asyncProperty(texts, async (text) => {
      const host = { argv: ['--config=mesh.json'], env: {}, readText: async () => text }
      try {
        const settings = await readConfigFile(host)
        for (const values of settings?.texts.values() ?? []) {
          assert.ok(values.every((value) => typeof value === 'string'))
        }
      } catch (error) {
        assert.ok(error instanceof SignalMeshError, String(error))
        assert.is(error.code, 'BAD_CONFIG')
        assert.match(error.message, 'mesh.json')
      }
    }),
  )
})

test.run()
