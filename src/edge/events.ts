/** Events: typed listeners whose errors reach the page's error reporting and nobody else. */

import { SignalMeshError } from '../errors.ts'

export interface Events<Map extends object> {
  /**
   * Calls `fn` at each event until the returned function is called.
   * @throws SignalMeshError `BAD_ARGUMENT` for an event that there is not, or what is no function
   */
  on<Name extends keyof Map>(name: Name, fn: (value: Map[Name]) => void): () => void
  emit<Name extends keyof Map>(name: Name, value: Map[Name]): void
  /** How many listen to this event. */
  count(name: keyof Map): number
}

/** `names` are all that there are: a listener of another would wait for ever. */
export function createEvents<Map extends object>(
  names: readonly (keyof Map & string)[],
): Events<Map> {
  const listeners: { [Name in keyof Map]?: Set<(value: Map[Name]) => void> } = {}
  return {
    on: (name, fn) => {
      if (!names.includes(name as keyof Map & string)) {
        throw new SignalMeshError(
          'BAD_ARGUMENT',
          `There is no such event; it is one of: ${names.join(', ')}`,
        )
      }
      if (typeof fn !== 'function') {
        throw new SignalMeshError('BAD_ARGUMENT', 'A listener must be a function')
      }
      const all = listeners[name] ?? new Set()
      listeners[name] = all.add(fn)
      return () => void all.delete(fn)
    },
    emit: (name, value) => {
      for (const fn of [...(listeners[name] ?? [])]) {
        try {
          fn(value)
        } catch (error) {
          report(error)
        }
      }
    },
    count: (name) => listeners[name]?.size ?? 0,
  }
}

/** Gives an application's error to the page, as if nobody had caught it. */
export function report(error: unknown): void {
  if (typeof globalThis.reportError === 'function') globalThis.reportError(error)
  else console.error(error)
}
