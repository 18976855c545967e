/** The README's browser example, as it stands there, on two pages of two nodes. */

import { readFileSync } from 'node:fs'
import { assert, suite } from '../test/harness/suite.ts'
import type { Page } from './browser.ts'
import { prepareStages, TEST_TIMEOUT_MS } from './support/stage.ts'
import { DONE_WITHIN_MS } from './support/visitors.ts'

const README = readFileSync(`${import.meta.dirname}/../README.md`, 'utf8')

const test = suite('readme', { timeoutMs: TEST_TIMEOUT_MS })
const openStage = prepareStages(test)

for (const name of ['browser', 'room']) {
  test(`its ${name} example makes two pages at two nodes greet each other`, async () => {
    const example = exampleOf(name)
    // The examples name no network, so they ask for the one that a node has by default.
    const stage = await openStage(2, { network: 'main' })
    const pages = await Promise.all([stage.show(0, example), stage.show(1, example)])
    const [first, second] = await Promise.all(pages.map(greetingOn))
    assert.is.not(first, second, 'each shows the greeting of the other')
  })
}

test.run()

/** What the page shows once it was greeted. */
async function greetingOn(page: Page): Promise<string> {
  const body = page.locator('body', { hasText: 'Hello from' })
  await body.waitFor({ timeout: DONE_WITHIN_MS })
  const text = (await body.textContent())?.trim() ?? ''
  assert.match(text, /^Hello from [0-9a-f]{8}\.$/)
  return text
}

function exampleOf(name: string): string {
  const block = new RegExp(`<!-- example: ${name} -->\\s*\`\`\`html\\n(.*?)\\n\`\`\``, 's')
  const example = README.match(block)?.[1]
  if (!example) throw new Error(`README.md has no HTML block marked "<!-- example: ${name} -->"`)
  return example
}
