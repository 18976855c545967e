/** API.md says what the docstrings say. */

import { spawnSync } from 'node:child_process'
import { assert, suite } from './harness/suite.ts'

const test = suite('api')

test('the reference is the one that the docstrings make', () => {
  const tool = `${import.meta.dirname}/../tools/api.ts`
  const { status, stderr } = spawnSync(process.execPath, [tool, '--check'], { encoding: 'utf8' })
  assert.is(status, 0, stderr)
})

test.run()
