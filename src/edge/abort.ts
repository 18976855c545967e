/** Aborting: what the caller no longer waits for ends with a typed error. */

import { SignalMeshError } from '../errors.ts'

export function abortedError(what: string, signal: AbortSignal | undefined): SignalMeshError {
  return new SignalMeshError('ABORTED', `${what} was aborted`, { cause: signal?.reason })
}

/** The outcome, or `ABORTED` as soon as the signal says so; what goes on then is heard by nobody. */
export function orAborted<T>(
  what: string,
  signal: AbortSignal | undefined,
  begin: () => Promise<T>,
): Promise<T> {
  if (!signal) return begin()
  return new Promise((resolve, reject) => {
    const onAbort = (): void => reject(abortedError(what, signal))
    if (signal.aborted) return onAbort()
    signal.addEventListener('abort', onAbort)
    begin()
      .then(resolve, reject)
      .finally(() => signal.removeEventListener('abort', onAbort))
  })
}
