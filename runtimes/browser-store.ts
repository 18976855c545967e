/** Where a page's node keeps its identity: the origin's own storage, or memory. */

import { fromHex, toHex } from '../src/bytes.ts'
import { SignalMeshError } from '../src/errors.ts'
import type { Store } from '../src/runtime.ts'

/** What is needed of localStorage. */
export type TextStorage = Pick<Storage, 'getItem' | 'setItem'>

/** Opens what is kept under a name; without one, a store in memory. */
export async function openStore(
  name?: string,
  storage: TextStorage | undefined = ownStorage(name),
): Promise<Store> {
  const values = new Map<string, string>()
  const at: TextStorage = storage ?? {
    getItem: (key) => values.get(key) ?? null,
    setItem: (key, value) => values.set(key, value),
  }
  const keyOf = (file: string): string => `signal-mesh/${name ?? ''}/${file}`
  return {
    kept: storage !== undefined,
    read: async (file) => {
      const text = at.getItem(keyOf(file))
      return text === null ? undefined : bytesOf(text)
    },
    write: async (file, value) => {
      try {
        at.setItem(keyOf(file), toHex(value))
      } catch (cause) {
        throw unreadable('keep', cause)
      }
    },
  }
}

function ownStorage(name: string | undefined): TextStorage | undefined {
  if (name === undefined) return undefined
  try {
    return globalThis.localStorage
  } catch (cause) {
    // As in a page of no origin, or where its user allows none.
    throw unreadable('read', cause)
  }
}

/** What is no text of ours is damaged; who reads it knows what that means. */
function bytesOf(text: string): Uint8Array {
  return /^([0-9a-f]{2})*$/.test(text) ? fromHex(text) : new Uint8Array(0)
}

function unreadable(what: string, cause: unknown): SignalMeshError {
  return new SignalMeshError(
    'DATA_UNREADABLE',
    `Cannot ${what} anything in this origin's storage`,
    {
      cause,
    },
  )
}
