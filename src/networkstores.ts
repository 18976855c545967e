/** Where the nodes of several networks keep their things in one folder, each its own key. */

import { equal, toHex } from './bytes.ts'
import { SignalMeshError } from './errors.ts'
import type { Store } from './runtime.ts'
import { networkId } from './topic.ts'

/** Whose network the files without a prefix are; written when a second one comes. */
const OWNER_FILE = 'network'
/** Digits of its id before the names of a network's files. */
const PREFIX_DIGITS = 16

/**
 * Gives each network its own part of the store. A folder that served one network alone keeps its files for
 * that one, in whichever order they are named later: a node must not change its key for a flag.
 * @throws SignalMeshError `DATA_UNREADABLE` from the store, or for a damaged owner
 */
export async function storesOf(store: Store, networks: readonly string[]): Promise<Store[]> {
  const ids = networks.map(networkId)
  const owner = await ownerOf(store, ids)
  return ids.map((id) => (owner && !equal(owner, id) ? prefixed(store, id) : store))
}

async function ownerOf(store: Store, ids: readonly Uint8Array[]): Promise<Uint8Array | undefined> {
  const kept = await store.read(OWNER_FILE)
  if (kept && kept.length !== ids[0]?.length) {
    throw new SignalMeshError('DATA_UNREADABLE', `The kept file "${OWNER_FILE}" is damaged`)
  }
  const [first] = ids
  if (kept || ids.length < 2 || !first) return kept
  await store.write(OWNER_FILE, first)
  return first
}

function prefixed(store: Store, id: Uint8Array): Store {
  const at = (name: string): string => `${toHex(id).slice(0, PREFIX_DIGITS)}.${name}`
  return {
    kept: store.kept,
    read: (name) => store.read(at(name)),
    write: (name, value) => store.write(at(name), value),
  }
}
