/** Where a node keeps its identity: a folder that its owner alone can read, or memory. */

import { randomUUID } from 'node:crypto'
import { mkdir, open, readFile, rename, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { SignalMeshError } from '../src/errors.ts'
import type { Store } from '../src/runtime.ts'
import { whyOf } from './why.ts'

/** Opens the folder, making it if it is not there; without a folder, a store in memory. */
export async function openStore(folder?: string): Promise<Store> {
  if (folder === undefined) return memoryStore()
  try {
    await mkdir(folder, { recursive: true, mode: 0o700 })
    if (!(await stat(folder)).isDirectory()) throw new Error('it is not a folder')
  } catch (cause) {
    throw unreadable(`Cannot use the data folder ${folder}`, cause)
  }
  return {
    kept: true,
    read: async (name) => readPrivate(join(folder, checked(name))),
    write: async (name, value) => writePrivate(join(folder, checked(name)), value),
  }
}

function memoryStore(): Store {
  const values = new Map<string, Uint8Array>()
  return {
    kept: false,
    read: async (name) => values.get(checked(name))?.slice(),
    write: async (name, value) => void values.set(checked(name), value.slice()),
  }
}

async function readPrivate(file: string): Promise<Uint8Array | undefined> {
  try {
    const { mode } = await stat(file)
    // Windows has no such bits. A key that others could read may be known: its owner has to say.
    if (process.platform !== 'win32' && (mode & 0o077) !== 0) {
      throw new Error(`others can read it; if nobody did, run: chmod 600 ${file}`)
    }
    return new Uint8Array(await readFile(file))
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw unreadable(`Cannot read ${file}`, cause)
  }
}

/** Writes beside the file and renames, so that a crash leaves the old file or the new one. */
async function writePrivate(file: string, value: Uint8Array): Promise<void> {
  const beside = `${file}.${randomUUID()}.tmp`
  try {
    const handle = await open(beside, 'wx', 0o600)
    try {
      await handle.writeFile(value)
      await handle.sync()
    } finally {
      await handle.close()
    }
    await rename(beside, file)
  } catch (cause) {
    await rm(beside, { force: true }).catch(() => {})
    throw unreadable(`Cannot write ${file}`, cause)
  }
}

/** Names come from this program alone; one that would leave the folder is a mistake in it. */
function checked(name: string): string {
  if (!/^[a-z0-9][a-z0-9.-]*$/.test(name)) throw new TypeError(`Not a name to keep: ${name}`)
  return name
}

function unreadable(what: string, cause: unknown): SignalMeshError {
  return new SignalMeshError('DATA_UNREADABLE', `${what}: ${whyOf(cause)}`, { cause })
}
