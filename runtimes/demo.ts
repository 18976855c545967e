/** `npm run demo`: a node on each runtime on this machine, and links to two pages that meet through them. */

import { pageLink } from '../demo/address.ts'
import { qrText } from '../demo/qr.ts'
import { asMeshError } from '../src/errors.ts'
import { checkDemo } from './demo-check.ts'
import { type DemoControl, openDemoControl } from './demo-control.ts'
import { onOff, textThat, wholeNumber } from './flag-values.ts'
import { type Flags, helpLines, parseFlags } from './flags.ts'
import { type Host, isProgram, processHost } from './host.ts'
import { type RuntimeName, startTestnet, type Testnet } from './local-mesh.ts'
import { errorText } from './say.ts'

interface Settings {
  readonly port: number
  readonly host: string
  readonly room: string
  readonly check: boolean
  readonly json: boolean
  readonly help: boolean
}

const RUNTIMES: readonly RuntimeName[] = ['node', 'deno', 'bun']
const NODES = RUNTIMES.length
const RUNTIME_WORDS = { node: 'Node.js', deno: 'Deno', bun: 'Bun' } as const
const ALL_INTERFACES = '0.0.0.0'
const LOOPBACK = '127.0.0.1'

const FLAGS: Flags<Settings> = {
  port: {
    ...wholeNumber(0, 65_535 - NODES),
    value: 'PORT',
    fallback: 0,
    twin: false,
    about: 'Port of the first node, the next ones follow; 0: any free ones. Default: 0',
  },
  host: {
    ...textThat(`${ALL_INTERFACES} or ${LOOPBACK}`, (text) =>
      [ALL_INTERFACES, LOOPBACK].includes(text),
    ),
    value: 'HOST',
    fallback: ALL_INTERFACES,
    twin: false,
    about: `${ALL_INTERFACES}: phones on the LAN may take part; ${LOOPBACK}: this machine alone`,
  },
  room: {
    ...textThat('a name', (text) => text.trim() !== ''),
    value: 'NAME',
    fallback: 'demo',
    twin: false,
    about: 'The room of the links. Default: demo',
  },
  check: {
    ...onOff,
    twin: false,
    about:
      'Opens both links in two headless browsers, which must chat; the time counts from opening',
  },
  json: {
    ...onOff,
    twin: false,
    about: 'Prints one line of JSON: the links, or what --check found',
  },
  help: { ...onOff, twin: false, about: 'Prints this' },
}

/** What has been started, to be ended with the program. */
interface Started {
  testnet?: Testnet
  control?: DemoControl
}

export interface DemoLinks {
  /** One page for each of two homes. */
  readonly pages: readonly string[]
  /** For another device on the LAN; it cannot stop nodes. */
  readonly phone: string | undefined
  /** What the nodes run on; the first two are the pages' homes. */
  readonly runtimes: readonly string[]
}

/** The program. */
export async function main(host: Host): Promise<void> {
  const started: Started = {}
  let stopping = false
  host.onStop((_, exitCode) => {
    if (stopping) return host.exit(exitCode)
    stopping = true
    // Children that are still starting end with this process, since each holds a channel to it.
    void stop(started).then(() => host.exit(0))
  })
  try {
    const { settings } = parseFlags(FLAGS, host.argv)
    if (settings.help) {
      host.out(
        `Starts a mesh of ${NODES} nodes, one on each runtime, and prints links to its chat.\n\n${helpLines(FLAGS)}\n`,
      )
      return host.exit(0)
    }
    const links = await start(settings, host, started)
    if (!settings.check)
      return host.out(settings.json ? `${JSON.stringify(links)}\n` : welcome(settings, links))
    const report = await checkDemo(links.pages, (text) => host.err(`${text}\n`))
    host.out(settings.json ? `${JSON.stringify(report)}\n` : `${report.text}\n`)
    await stop(started)
    host.exit(0)
  } catch (error) {
    if (stopping) return
    const { code, message } = asMeshError(error)
    host.err(errorText(host, 'demo', code, message))
    await stop(started)
    host.exit(code === 'BAD_CONFIG' ? 2 : 1)
  }
}

async function start(settings: Settings, host: Host, started: Started): Promise<DemoLinks> {
  const say = (text: string): void => host.err(`${text}\n`)
  const at = settings.check ? LOOPBACK : settings.host
  const names = RUNTIMES.map((name) => RUNTIME_WORDS[name]).join(', ')
  say(`Starting a DHT of its own and ${NODES} nodes, each a process: on ${names} …`)
  const testnet = await startTestnet({
    nodes: NODES,
    runtimes: RUNTIMES,
    onFallback: (node, runtime, why) =>
      say(`Node ${node + 1} runs on Node.js, for it does not on ${RUNTIME_WORDS[runtime]}: ${why}`),
    network: 'demo',
    port: settings.port,
    host: at,
    onLog: (node, text) => host.err(text.replace(/^(?=.)/gm, `node ${node + 1}: `)),
    onProgress: (links, wanted) =>
      say(`The nodes have found each other: ${Math.floor(links)} of ${wanted} links`),
  })
  started.testnet = testnet
  const lan = at === ALL_INTERFACES ? host.lanAddresses()[0] : undefined
  const phoneAt = (node: number): string | undefined =>
    lan &&
    pageLink(`http://${lan}:${new URL(testnet.urls[node] as string).port}`, { room: settings.room })
  const control = await openDemoControl(testnet, phoneAt)
  started.control = control
  const pages = testnet.urls
    .slice(0, 2)
    .map((url) => pageLink(url, { room: settings.room, control: control.at }))
  return { pages, phone: phoneAt(NODES - 1), runtimes: testnet.runtimes }
}

async function stop({ testnet, control }: Started): Promise<void> {
  await Promise.all([testnet?.stop(), control?.close()])
}

function welcome(settings: Settings, { pages, phone, runtimes }: DemoLinks): string {
  const open = settings.host === ALL_INTERFACES
  const lines = [
    '',
    'Open both, each page has another home node; they find each other in the same room:',
    '',
    ...pages.map((link, index) => `  Page ${index + 1}  ${link}  (home on ${runtimes[index]})`),
  ]
  if (phone) lines.push('', `  Phone   ${phone}`, '', ...qrLines(phone))
  lines.push(
    '',
    open
      ? `The nodes listen on all interfaces (${ALL_INTERFACES}), so your LAN can reach them; not so with --host ${LOOPBACK}.`
      : `The nodes listen on ${LOOPBACK}, this machine alone; a phone needs --host ${ALL_INTERFACES}.`,
    'The first two links hold a token: with it a page on this machine can stop its home node.',
    'Ctrl-C ends all of it.',
    '',
  )
  return `${lines.join('\n')}\n`
}

/** The code in its own colours, whatever those of the terminal are. */
function qrLines(text: string): string[] {
  const lines = qrText(text).split('\n')
  const isPlain = !process.stdout.isTTY || process.env.NO_COLOR
  return isPlain ? lines : lines.map((line) => `\x1b[97;40m${line}\x1b[0m`)
}

if (isProgram(import.meta)) await main(await processHost())
