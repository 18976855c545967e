/** `npm run testnet`: a mesh on this machine, as a program. */

import { asMeshError, SignalMeshError } from '../src/errors.ts'
import { onOff, textThat, wholeNumber } from './flag-values.ts'
import { type Flags, helpLines, parseFlags } from './flags.ts'
import { type Host, isProgram, processHost } from './host.ts'
import { startTestnet, type Testnet } from './local-mesh.ts'
import { errorText } from './say.ts'

export { startTestnet, type Testnet, type TestnetOptions } from './local-mesh.ts'

interface Settings {
  readonly port: number
  readonly host: string
  readonly network: string
  readonly json: boolean
  readonly help: boolean
}

const MAX_NODES = 32
const DEFAULT_NODES = 3

const FLAGS: Flags<Settings> = {
  port: {
    ...wholeNumber(0, 65_535 - MAX_NODES),
    value: 'PORT',
    fallback: 0,
    twin: false,
    about: 'Port of the first node, the next ones follow; 0: any free ones. Default: 0',
  },
  host: {
    ...textThat('a host name or address', (text) => text !== ''),
    value: 'HOST',
    fallback: '127.0.0.1',
    twin: false,
    about: 'Address on which the nodes listen. Default: 127.0.0.1',
  },
  network: {
    ...textThat('a name', (text) => text !== ''),
    value: 'NAME',
    fallback: 'testnet',
    twin: false,
    about: 'Genesis name of the mesh. Default: testnet',
  },
  json: { ...onOff, twin: false, about: 'Prints one line, {"urls":[…]}, once all are linked' },
  help: { ...onOff, twin: false, about: 'Prints this' },
}

/** The program. */
export async function main(host: Host): Promise<void> {
  try {
    const { settings, rest } = parseFlags(FLAGS, host.argv)
    if (settings.help) {
      const usage = `Usage: signal-mesh testnet [nodes, default ${DEFAULT_NODES}] [flags], or npm run testnet -- [nodes] [flags]`
      host.out(
        `Starts a mesh of several nodes on this machine.\n\n${usage}\n\n${helpLines(FLAGS)}\n`,
      )
      return host.exit(0)
    }
    await run(host, settings, nodesOf(rest))
  } catch (error) {
    const { code, message } = asMeshError(error)
    host.err(errorText(host, 'testnet', code, message))
    host.exit(code === 'BAD_CONFIG' ? 2 : 1)
  }
}

function nodesOf(rest: readonly string[]): number {
  const number = wholeNumber(1, MAX_NODES)
  const nodes = rest.length === 0 ? DEFAULT_NODES : number.read(rest)
  if (nodes !== undefined && rest.length <= 1) return nodes
  throw new SignalMeshError('BAD_CONFIG', `The number of nodes is ${number.takes}`)
}

async function run(host: Host, settings: Settings, nodes: number): Promise<void> {
  let testnet: Testnet | undefined
  let stopping = false
  host.onStop((_, exitCode) => {
    if (stopping) return host.exit(exitCode)
    stopping = true
    // Children that are still starting end with this process, since each holds a channel to it.
    void Promise.resolve(testnet?.stop()).then(() => host.exit(0))
  })
  testnet = await startTestnet({
    ...settings,
    nodes,
    onLog: (node, text) => host.err(text.replace(/^(?=.)/gm, `node ${node}: `)),
    onProgress: (links, wanted) => {
      if (!settings.json) host.err(`${links} of ${wanted} links\n`)
    },
  })
  if (settings.json) return host.out(`${JSON.stringify({ urls: testnet.urls })}\n`)
  host.out(`${nodes} nodes of the mesh "${settings.network}":\n\n`)
  for (const [node, url] of testnet.urls.entries()) {
    host.out(`  ${url}  ${testnet.nodeIds[node]}\n`)
  }
  host.out(`\nDHT bootstrap: ${testnet.bootstrap}. Ctrl-C ends all of it.\n`)
}

if (isProgram(import.meta)) await main(await processHost())
