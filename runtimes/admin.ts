/** The operator's token, from the file that a flag names. */

import { SignalMeshError } from '../src/errors.ts'
import type { Config } from './config.ts'
import type { Host } from './host.ts'

/** What somebody guesses a thousand times a second for a thousand years. */
const LEAST_CHARS = 16

/** @throws SignalMeshError `BAD_CONFIG` for a file that cannot be read, or a token that could be guessed */
export async function adminTokenFrom(
  { adminTokenFile: path }: Pick<Config, 'adminTokenFile'>,
  host: Pick<Host, 'readText'>,
): Promise<string | undefined> {
  if (path === undefined) return undefined
  const token = (await host.readText(path)).trim()
  // As it stands in a header: letters that can be seen, in one word.
  if (/^[!-~]+$/.test(token) && token.length >= LEAST_CHARS && token.length <= 512) return token
  throw new SignalMeshError(
    'BAD_CONFIG',
    `The token in ${path} must be one word of ${LEAST_CHARS} to 512 letters, digits and signs; make one by: openssl rand -hex 32`,
  )
}
