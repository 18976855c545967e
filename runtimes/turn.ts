/** The secret that a node shares with a TURN server, read from its file. */

import { createHmac } from 'node:crypto'
import { SignalMeshError } from '../src/errors.ts'
import type { TurnOptions } from '../src/turn.ts'
import type { Config } from './config.ts'
import type { Host } from './host.ts'

/** @throws SignalMeshError `BAD_CONFIG` for a file that cannot be read or has nothing in it. */
export async function turnFrom(
  { turnUrl, turnSecretFile }: Pick<Config, 'turnUrl' | 'turnSecretFile'>,
  host: Pick<Host, 'readText'>,
): Promise<TurnOptions | undefined> {
  if (turnSecretFile === undefined) return undefined
  const secret = (await host.readText(turnSecretFile)).trim()
  if (secret === '') {
    throw new SignalMeshError('BAD_CONFIG', `There is no secret in ${turnSecretFile}`)
  }
  return {
    urls: turnUrl,
    mac: (name) => createHmac('sha1', secret).update(name).digest('base64'),
  }
}
