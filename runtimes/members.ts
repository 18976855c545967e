/** The members file: the nodes that a node's operator has named, a NodeId on each line. */

import { type Members, NO_MEMBERS } from '../src/admission.ts'
import { SignalMeshError } from '../src/errors.ts'
import { MAX_MEMBERS } from '../src/limits.ts'
import type { Config } from './config.ts'
import type { Host } from './host.ts'

/** In place of a file: the nodes that a registry names. */
export const REGISTRY_MEMBERS = 'registry'
/** Letters of a wrong line that are said again. */
const MAX_SHOWN = 16
const TAKES = 'a line is a NodeId (64 hex digits), or empty, or a comment that begins with #'

/** @throws SignalMeshError `BAD_CONFIG`: one sentence with the file, the line and what is allowed */
export async function readMembers(
  { members, membersOnly }: Pick<Config, 'members' | 'membersOnly'>,
  host: Pick<Host, 'readText'>,
): Promise<Members> {
  if (members === undefined) return NO_MEMBERS
  // Filled as the registry says, and then again; the room is reserved from the first moment.
  if (members === REGISTRY_MEMBERS) return { listed: new Set(), only: membersOnly, reserves: true }
  return { listed: parseMembers(members, await host.readText(members)), only: membersOnly }
}

function parseMembers(file: string, text: string): ReadonlySet<string> {
  const listed = new Set<string>()
  for (const [i, line] of text.split(/\r?\n/).entries()) {
    const id = line
      .replace(/#.*/, '')
      .replace(/^\uFEFF/, '')
      .trim()
    const where = `File ${file} of --members, line ${i + 1}`
    if (id === '') continue
    if (!/^[0-9a-f]{64}$/i.test(id)) {
      // Not all of it: the file may be something else, a key even.
      const shown = JSON.stringify(id.slice(0, MAX_SHOWN)) + (id.length > MAX_SHOWN ? '…' : '')
      throw bad(`${where}: ${shown} is no NodeId; ${TAKES}`)
    }
    listed.add(id.toLowerCase())
    if (listed.size > MAX_MEMBERS) throw bad(`${where}: up to ${MAX_MEMBERS} nodes can be listed`)
  }
  return listed
}

function bad(sentence: string): SignalMeshError {
  return new SignalMeshError('BAD_CONFIG', sentence)
}
