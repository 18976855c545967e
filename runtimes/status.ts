/** `signal-mesh status`: the mesh as one of its nodes sees it, once or as it changes. */

import process from 'node:process'
import { asMeshError, SignalMeshError } from '../src/errors.ts'
import type { Command } from './commands.ts'
import { onOff, wholeNumber } from './flag-values.ts'
import { type Flags, helpLines, parseFlags } from './flags.ts'
import type { Host } from './host.ts'
import { type Answer, askNode, nodeUrl } from './nodeurl.ts'
import { healthStatus, meshStatus, type Status } from './statusview.ts'

interface Settings {
  readonly watch: boolean
  readonly every: number
  readonly json: boolean
  readonly help: boolean
}

const NOT_WELL = 3
const EVERY_SECONDS = 2
const CLEAR = '\x1b[H\x1b[2J'

const FLAGS: Flags<Settings> = {
  watch: { ...onOff, twin: false, about: 'Shows it again and again, until Ctrl-C' },
  every: {
    ...wholeNumber(1, 3600),
    value: 'SECONDS',
    twin: false,
    fallback: EVERY_SECONDS,
    about: `How often --watch asks. Default: ${EVERY_SECONDS}`,
  },
  json: { ...onOff, twin: false, about: 'Prints what the node tells, one line of JSON each time' },
  help: { ...onOff, twin: false, about: 'Prints this' },
}

export const status: Command = async (_, host) => {
  const { settings, rest } = parseFlags(FLAGS, host.argv, host.env)
  if (settings.help) {
    host.out(`Shows the mesh as a node sees it.

Usage: signal-mesh status [URL, default that of a node on this machine] [--watch] [--json]

${helpLines(FLAGS)}

Exit codes: 0 all is well; 1 nobody answered; 2 told something wrong;
3 the node is not ready, or one has fallen silent.\n`)
    return 0
  }
  if (rest.length > 1) {
    throw new SignalMeshError(
      'BAD_CONFIG',
      `Unknown argument ${JSON.stringify(rest[1])} (status --help)`,
    )
  }
  const url = nodeUrl(rest[0])
  if (settings.watch) return watch(url, settings, host)
  const { said, isWell } = await look(url, settings.json)
  host.out(said)
  return isWell ? 0 : NOT_WELL
}

interface Look {
  readonly said: string
  readonly isWell: boolean
}

async function look(url: string, json: boolean): Promise<Look> {
  const [mesh, ready] = await Promise.all([askNode(url, '/mesh.json'), askNode(url, '/ready')])
  const isOld = mesh.status !== 200
  const told = isOld ? await askNode(url, '/health') : mesh
  const status = isOld ? healthStatus(told) : meshStatus(mesh.json, ready)
  const isWell = status.troubles.length === 0
  return { said: json ? jsonOf(told, status) : textOf(status), isWell }
}

function textOf({ text, troubles }: Status): string {
  return troubles.length === 0 ? text : `${text}\n${troubles.map((one) => `! ${one}\n`).join('')}`
}

function jsonOf({ json }: Answer, { troubles }: Status): string {
  return `${JSON.stringify({ well: troubles.length === 0, troubles, ...json })}\n`
}

/** Until it is stopped; a node that does not answer is asked again. */
async function watch(url: string, { every, json }: Settings, host: Host): Promise<number> {
  let stop = (): void => {}
  const stopped = new Promise<'stopped'>((resolve) => {
    stop = () => resolve('stopped')
  })
  host.onStop(() => stop())
  const isScreen = process.stdout.isTTY === true && !json
  for (;;) {
    const seen = await Promise.race([stopped, look(url, json).catch((error: unknown) => error)])
    if (seen === 'stopped') return 0
    const isLook = !(seen instanceof Error)
    if (isLook) host.out(`${isScreen ? CLEAR : ''}${(seen as Look).said}`)
    else host.err(`${asMeshError(seen).message}; asks again\n`)
    let timer: ReturnType<typeof setTimeout> | undefined
    const pause = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, every * 1000)
    })
    await Promise.race([stopped, pause])
    clearTimeout(timer)
  }
}
