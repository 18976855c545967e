/** `signal-mesh keygen`: makes what a node is to keep secret, and prints what others may know of it. */

import { writeFile } from 'node:fs/promises'
import { toHex } from '../src/bytes.ts'
import { randomBytes } from '../src/crypto.ts'
import { SignalMeshError } from '../src/errors.ts'
import { loadIdentity } from '../src/identity.ts'
import { storesOf } from '../src/networkstores.ts'
import type { Runtime } from '../src/runtime.ts'
import type { Command } from './commands.ts'
import { FLAGS as OF_NODE } from './config.ts'
import { onOff, textThat } from './flag-values.ts'
import { type Flags, helpLines, parseFlags } from './flags.ts'
import { whyOf } from './why.ts'

interface Settings {
  readonly data: string | undefined
  readonly network: readonly string[]
  readonly token: string | undefined
  readonly json: boolean
  readonly help: boolean
}

/** A key of this length is nobody's guess. */
const TOKEN_BYTES = 32

const FLAGS: Flags<Settings> = {
  data: { ...OF_NODE.data, about: 'Folder that keeps the identity; one that is there stays' },
  network: OF_NODE.network,
  token: {
    ...textThat('a path', (text) => text !== ''),
    value: 'FILE',
    twin: false,
    fallback: undefined,
    about: 'Writes a new random secret there, such as that of --admin-token-file',
  },
  json: { ...onOff, twin: false, about: 'Prints JSON' },
  help: { ...onOff, twin: false, about: 'Prints this' },
}

export const keygen: Command = async (runtime, host) => {
  const { settings, rest } = parseFlags(FLAGS, host.argv, host.env)
  const { data, network: networks, token, json } = settings
  if (settings.help) {
    host.out(`Makes the identity of a node, and prints its NodeId. Never prints a secret.

Usage: signal-mesh keygen --data DIR [--network NAME,…] [--token FILE] [--json]

${helpLines(FLAGS)}\n`)
    return 0
  }
  if (rest.length > 0) throw bad(`Unknown argument ${JSON.stringify(rest[0])} (keygen --help)`)
  if (data === undefined && token === undefined) {
    throw bad('Say where to keep it: --data DIR for an identity, --token FILE for a secret')
  }
  const identities = data === undefined ? [] : await identitiesIn(data, networks, runtime)
  if (token !== undefined) await writeSecret(token)
  const written = token === undefined ? {} : { token }
  if (json) host.out(`${JSON.stringify({ identities, ...written })}\n`)
  else {
    for (const { network, nodeId } of identities) host.out(`${nodeId}  ${network}\n`)
    if (token !== undefined) host.out(`A secret is in ${token}, for its owner alone\n`)
  }
  return 0
}

async function identitiesIn(
  data: string,
  networks: readonly string[],
  runtime: Runtime,
): Promise<{ readonly network: string; readonly nodeId: string }[]> {
  const stores = await storesOf(await runtime.openStore(data), networks)
  return Promise.all(
    stores.map(async (store, i) => ({
      network: networks[i] as string,
      nodeId: (await loadIdentity(store)).id,
    })),
  )
}

/** A file that is there may be in use, and stays as it is. */
async function writeSecret(path: string): Promise<void> {
  try {
    await writeFile(path, `${toHex(randomBytes(TOKEN_BYTES))}\n`, { flag: 'wx', mode: 0o600 })
  } catch (cause) {
    const isThere = (cause as NodeJS.ErrnoException).code === 'EEXIST'
    throw bad(`Cannot write ${path}: ${isThere ? 'it is there already' : whyOf(cause)}`)
  }
}

function bad(sentence: string): SignalMeshError {
  return new SignalMeshError('BAD_CONFIG', sentence)
}
