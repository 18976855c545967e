/** The cause of an error, with its type; apart, for it is needed before the rest of the client is here. */

import { SignalMeshError } from '../errors.ts'
import type { Why } from './why.ts'

/** The cause that an error of this package carries, at whatever depth. */
export function whyOf(error: unknown): Why | undefined {
  let at: unknown = error
  // An error could be its own cause.
  for (let depth = 0; depth < 8 && at instanceof SignalMeshError; depth++) at = at.cause
  return isWhy(at) ? at : undefined
}

function isWhy(value: unknown): value is Why {
  const { code, phase } = (value ?? {}) as Partial<Why>
  return typeof code === 'string' && typeof phase === 'string'
}
