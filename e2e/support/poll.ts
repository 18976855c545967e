/** Waiting with a bound: asks again and again until the answer is there, and says what was missing. */

const ASK_EVERY_MS = 25

/** Asks until the answer is neither `undefined` nor `false`; throws with the last state after `boundMs`. */
export async function poll<T>(
  what: string,
  boundMs: number,
  ask: () => Promise<T | undefined | false>,
  state: () => unknown = () => undefined,
): Promise<T> {
  const endMs = performance.now() + boundMs
  for (;;) {
    const answer = await ask()
    if (answer !== undefined && answer !== false) return answer
    if (performance.now() > endMs) {
      throw new Error(`Not within ${boundMs} ms: ${what}; last seen: ${JSON.stringify(state())}`)
    }
    await new Promise((resolve) => setTimeout(resolve, ASK_EVERY_MS))
  }
}
