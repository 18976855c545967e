/** `signal-mesh topic`: who comes to a topic and who leaves it, as an edge without WebRTC sees it. */

import { toHex } from '../src/bytes.ts'
import { type Change, joinMesh } from '../src/edge/mod.ts'
import { asMeshError, SignalMeshError } from '../src/errors.ts'
import type { Topic } from '../src/topic.ts'
import type { Command } from './commands.ts'
import { onOff, textThat } from './flag-values.ts'
import { type Flags, helpLines, parseFlags } from './flags.ts'
import type { Host } from './host.ts'
import { nodeUrl } from './nodeurl.ts'
import { shown } from './say.ts'

interface Settings {
  readonly network: string
  readonly secretFile: string | undefined
  readonly json: boolean
  readonly help: boolean
}

const someText = (text: string): boolean => text !== ''

const FLAGS: Flags<Settings> = {
  network: {
    ...textThat('a name', someText),
    value: 'NAME',
    twin: false,
    fallback: 'main',
    about: 'Network of the topic. Default: main',
  },
  secretFile: {
    ...textThat('a path', someText),
    value: 'FILE',
    twin: false,
    fallback: undefined,
    about: 'The secret of the topic, if it has one; line ends after it do not count',
  },
  json: { ...onOff, twin: false, about: 'Prints a line of JSON for each' },
  help: { ...onOff, twin: false, about: 'Prints this' },
}

export const topic: Command = async (_, host) => {
  const { settings, rest } = parseFlags(FLAGS, host.argv, host.env)
  if (settings.help) {
    host.out(`Shows who is in a topic, then who comes and who leaves, until Ctrl-C. It is not in it itself.

Usage: signal-mesh topic NAME [URL of a node, default one on this machine] [flags]

${helpLines(FLAGS)}\n`)
    return 0
  }
  const [name, url, more] = rest
  if (name === undefined) throw bad('Say which topic: signal-mesh topic NAME')
  if (more !== undefined) throw bad(`Unknown argument ${JSON.stringify(more)} (topic --help)`)
  return follow(await topicOf(name, settings, host), nodeUrl(url), settings, host)
}

async function topicOf(name: string, { secretFile }: Settings, host: Host): Promise<Topic> {
  if (secretFile === undefined) return name
  const secret = (await host.readText(secretFile)).replace(/[\r\n]+$/, '')
  if (secret === '') throw bad(`There is no secret in ${secretFile}`)
  return { name, secret }
}

async function follow(
  topic: Topic,
  url: string,
  { network, json }: Settings,
  host: Host,
): Promise<number> {
  const stop = new AbortController()
  host.onStop(() => stop.abort())
  try {
    const edge = await joinMesh({ urls: [url], network, signal: stop.signal })
    if (!json) host.err(`At home at ${edge.home.nodeId.slice(0, 12)}; Ctrl-C ends it\n`)
    edge.on('home', ({ state }) => {
      if (!json && !stop.signal.aborted) host.err(`The home is ${state}\n`)
    })
    // What ends the edge for good ends this with its reason.
    const failed = new Promise<never>((_, reject) => edge.on('error', reject))
    const watched = told(edge.watch(topic, { signal: stop.signal }), json, host)
    try {
      await Promise.race([watched, failed])
    } finally {
      await edge.close()
    }
    return 0
  } catch (error) {
    if (stop.signal.aborted) return 0
    throw asMeshError(error)
  }
}

async function told(changes: AsyncIterable<Change>, json: boolean, host: Host): Promise<void> {
  for await (const change of changes) {
    const time = new Date().toISOString()
    const info = change.kind === 'join' ? toHex(change.info) : ''
    if (json)
      host.out(`${JSON.stringify({ time, ...change, ...(change.kind === 'join' && { info }) })}\n`)
    else host.out(`${time.slice(11, 19)}  ${wordsOf(change)}\n`)
  }
}

function wordsOf(change: Change): string {
  if (change.kind === 'leave') return `leave  ${change.id}`
  const { id, home, info } = change
  const says = info.length === 0 ? '' : `  ${JSON.stringify(shown(new TextDecoder().decode(info)))}`
  return `join   ${id}  at ${home.slice(0, 12)}${says}`
}

function bad(sentence: string): SignalMeshError {
  return new SignalMeshError('BAD_CONFIG', sentence)
}
