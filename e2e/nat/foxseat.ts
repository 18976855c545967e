/**
 * A Firefox in the namespace of this program: WebDriver BiDi is spoken over the namespace's own loopback, so
 * this reads from its input what to do in the page, a line of JSON each, and prints what came of it.
 */

import { createInterface } from 'node:readline'
import { launchFirefox, NO_FIREFOX } from '../firefox.ts'

export interface Wish {
  readonly id: number
  /** Goes there first. */
  readonly url?: string
  /** A function's source. */
  readonly fn?: string
  readonly argument?: unknown
}

export interface Outcome {
  readonly id: number
  readonly value?: unknown
  readonly error?: string
}

if (import.meta.main) {
  const firefox = await launchFirefox()
  if (!firefox) throw new Error(NO_FIREFOX)
  const page = await firefox.newPage()
  const grant = async ({ url, fn, argument }: Wish): Promise<unknown> => {
    if (url) await page.goto(url)
    return fn && page.evaluate(`(${fn})(${JSON.stringify(argument)})`)
  }
  const lines = createInterface({ input: process.stdin })
  lines.on('line', (line) => {
    const wish = JSON.parse(line) as Wish
    const say = (outcome: Omit<Outcome, 'id'>): void =>
      console.log(JSON.stringify({ id: wish.id, ...outcome }))
    grant(wish).then(
      (value) => say({ value }),
      (error) => say({ error: String(error) }),
    )
  })
  lines.on('close', () => void firefox.close().finally(() => process.exit(0)))
  console.log(JSON.stringify({ id: 0 }))
}
