/** Loading: fetches the rest of the client, and again where that fails. */

import type { Clock } from '../clock.ts'
import { SignalMeshError } from '../errors.ts'
import { JOIN_TIMEOUT_MS } from '../limits.ts'

/** How often it is fetched before that is given up. */
const MAX_FETCHES = 4
/** The first pause between two of them; each next one is twice as long. */
const FETCH_AGAIN_MS = 500

/**
 * What `fetch` brings, perhaps not the first time.
 * @throws SignalMeshError `LOAD_FAILED`
 */
export async function fetchAgain<T>(clock: Clock, fetch: () => Promise<T>): Promise<T> {
  let cancelTimer = (): void => {}
  const tooLate = new Promise<never>((_, reject) => {
    cancelTimer = clock.after(JOIN_TIMEOUT_MS, () => reject(failed()))
  })
  const pause = (ms: number): Promise<void> => new Promise((resolve) => clock.after(ms, resolve))
  try {
    for (let fetches = 1; ; fetches++) {
      try {
        return await Promise.race([fetch(), tooLate])
      } catch (cause) {
        if (cause instanceof SignalMeshError) throw cause
        if (fetches === MAX_FETCHES) throw failed(cause)
      }
      await pause(FETCH_AGAIN_MS * 2 ** (fetches - 1))
    }
  } finally {
    cancelTimer()
  }
}

function failed(cause?: unknown): SignalMeshError {
  return new SignalMeshError(
    'LOAD_FAILED',
    'Cannot fetch the rest of the client: look whether its file is served beside the first, and load the page anew',
    { cause },
  )
}
