/** The program: reads flags, starts a node, says what to do next, stops at a signal. */

import { asMeshError, type SignalMeshError } from '../src/errors.ts'
import { jsonLine, makeLog } from '../src/log.ts'
import type { Runtime } from '../src/runtime.ts'
import { commandLines, commandOf, startFlags } from './commands.ts'
import { type Config, DEFAULT_PORT, helpText, parseConfig } from './config.ts'
import { printedConfig, readConfigFile } from './configfile.ts'
import type { Host } from './host.ts'
import { DRAIN_MS, EXIT_MS } from './limits.ts'
import { errorText } from './say.ts'
import { type StartedNode, startNode } from './start.ts'

/** Exit codes: 0 stopped as asked, 1 cannot run, 2 told something wrong. */
const CANNOT_RUN = 1
const TOLD_WRONG = 2

export async function main(runtime: Runtime, host: Host): Promise<void> {
  try {
    const command = commandOf(host.argv)
    if (command) return host.exit(await command(runtime, { ...host, argv: host.argv.slice(1) }))
    const argv = startFlags(host.argv)
    const file = await readConfigFile({ ...host, argv })
    const config = parseConfig(argv, host.env, file)
    if (config.help) return end(host, `${helpText()}\n${commandLines()}`)
    if (config.version) return end(host, versionText(config, host))
    if (config.printConfig) return end(host, printedConfig(config))
    await run(config, runtime, host)
  } catch (error) {
    const { code, message } = asMeshError(error)
    host.err(errorText(host, host.about.name, code, message))
    host.exit(code === 'BAD_CONFIG' ? TOLD_WRONG : CANNOT_RUN)
  }
}

function versionText({ json }: Config, { about: { name, version } }: Host): string {
  return json ? `${JSON.stringify({ name, version })}\n` : `${name} ${version}\n`
}

function end(host: Host, text: string): void {
  host.out(text)
  host.exit(0)
}

async function run(config: Config, runtime: Runtime, host: Host): Promise<void> {
  const log = makeLog({
    level: config.logLevel,
    format: config.logFormat,
    write: host.err,
    nowMs: Date.now,
  })
  let node: StartedNode | undefined
  let stopping = false
  host.onStop((cause, exitCode) => {
    if (stopping) return host.exit(exitCode)
    stopping = true
    log.info('Stopping', { cause })
    const drainMs = config.drain * 1000
    setTimeout(() => host.exit(0), EXIT_MS + Math.max(0, drainMs - DRAIN_MS))
    void drained(node, drainMs).then(
      () => host.exit(0),
      (error) => {
        log.error('Stopping went wrong', { error })
        host.exit(CANNOT_RUN)
      },
    )
  })
  const onFatal = ({ code, message }: SignalMeshError): void => {
    if (stopping) return
    stopping = true
    host.err(errorText(host, host.about.name, code, message))
    setTimeout(() => host.exit(CANNOT_RUN), EXIT_MS)
    void Promise.resolve(node?.close()).finally(() => host.exit(CANNOT_RUN))
  }
  node = await startNode(config, runtime, host, log, onFatal)
  if (config.logFormat === 'json') host.out(startedLine(config, runtime, host, node))
  else host.out(welcome(config, runtime, host, node))
}

/** Gone from the mesh, after its edges if it has any. */
async function drained(node: StartedNode | undefined, withinMs: number): Promise<void> {
  await node?.drain(withinMs)
  await node?.close()
}

/** For programs: one line on standard output, once the node can be reached. */
function startedLine(config: Config, runtime: Runtime, host: Host, node: StartedNode): string {
  const line = jsonLine(Date.now(), 'info', 'Started', {
    nodeId: node.id,
    url: node.urls[0],
    urls: node.urls,
    network: config.network[0],
    ...(config.network.length > 1 && { networks: node.ids }),
    version: host.about.version,
    runtime: `${runtime.name} ${runtime.version}`,
  })
  return `${line}\n`
}

function welcome(config: Config, runtime: Runtime, host: Host, node: StartedNode): string {
  const url = config.publicUrl[0] ?? (node.urls[0] as string)
  const lan = host.lanAddresses()[0]
  const open = config.host === '0.0.0.0' || config.host === '::'
  const portFlag = node.port === DEFAULT_PORT ? '' : ` --port ${node.port}`
  const lines = [
    `${host.about.name} ${host.about.version} on ${runtime.name} ${runtime.version}`,
    '',
    ...nodeLines(config, node, url),
    `  Mesh      ${meshWords(config)}`,
    `  Identity  ${node.kept ? `kept in ${config.data}` : 'ephemeral, ends with this process; keep it with --data DIR'}`,
    '',
    node.built
      ? `Next: open ${url} in two tabs; they find each other.`
      : 'Next: the demo page is not built; run: npm run build',
  ]
  if (!open) lines.push(`To open it to your LAN: npm start -- --host 0.0.0.0${portFlag}`)
  if (lan !== undefined) {
    const scheme = config.tlsCert === undefined ? 'http' : 'https'
    lines.push(`${open ? 'On your LAN:' : 'It is then at'} ${scheme}://${lan}:${node.port}`)
  }
  lines.push(`Source and licences: ${new URL('/source', url)}`, 'Ctrl-C stops it.', '')
  return `${lines.join('\n')}\n`
}

/** The NodeId and its network; of several networks each with its own. */
function nodeLines({ network }: Config, { id, ids }: StartedNode, url: string): string[] {
  const at = `  URL       ${url}`
  if (network.length === 1) return [`  Node      ${id}`, at, `  Network   ${network[0]}`]
  return [...network.map((name) => `  Node      ${ids[name]} in ${name}`), at]
}

function meshWords(config: Config): string {
  const begun = config.dhtBootstrap === undefined ? [] : [config.dhtBootstrap]
  const ways = [
    ...begun,
    ...(config.noDht ? [] : config.relay.length > 0 ? config.relay : config.bootstrap),
    ...config.peer,
    ...config.registry,
    ...config.dns,
    ...(config.lan ? ['the local network'] : []),
    ...(config.publicDht ? ['the public DHT of Hyperswarm'] : []),
  ]
  if (ways.length === 0)
    return 'this node alone; join others with --bootstrap host:port or --peer URL'
  return `meets other nodes through ${ways.join(', ')}`
}
