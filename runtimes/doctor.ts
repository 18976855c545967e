/** `signal-mesh doctor`: looks at what a node with this configuration needs, and says what to do. */

import type { Command } from './commands.ts'
import { parseConfig } from './config.ts'
import { readConfigFile } from './configfile.ts'
import { checkStun, checkUdp, type Finding, ok, skipped } from './doctorchecks.ts'
import { checkClock, checkPeers, checkRelays } from './doctorothers.ts'
import { checkCertificates } from './doctortls.ts'
import { lookAround, type Views } from './doctorviews.ts'
import { shown } from './say.ts'

const WRONG = 3

const HELP = `Looks at what a node needs: the DHT, UDP, its STUN as other nodes see it, relays, its clock, TLS.

Usage: signal-mesh doctor [the flags of the node, or --config FILE] [--json]

Give it the flags that the node is started with. Nodes that --peer and --relay name are asked, and, where the
node runs, some of its neighbours. It sends them nothing but questions, and asks nobody else.

Exit codes: 0 nothing is wrong; 2 told something wrong; 3 something is wrong.
`

export const doctor: Command = async (runtime, host) => {
  const file = await readConfigFile(host)
  const config = parseConfig(host.argv, host.env, file)
  if (config.help) {
    host.out(HELP)
    return 0
  }
  const say = (text: string): void => {
    if (!config.json) host.err(`${text} …\n`)
  }
  say('Asking this node and others')
  const views = await lookAround(config)
  say('Asking over UDP')
  const udp = await checkUdp(config, runtime, views)
  say('Looking at certificates')
  const tls = await checkCertificates(config, host, views, Date.now())
  const findings = [
    nodeFinding(views),
    checkPeers(config, views),
    ...udp,
    checkStun(views),
    checkRelays(config, views),
    checkClock(views),
    ...tls,
  ]
  const isWell = findings.every(({ state }) => state !== 'wrong')
  host.out(config.json ? `${JSON.stringify({ well: isWell, findings })}\n` : textOf(findings))
  return isWell ? 0 : WRONG
}

function nodeFinding({ own }: Views): Finding {
  if (own.view) return ok('node', `A node runs at ${own.url}`)
  return skipped(
    'node',
    own.error ?? `Nothing runs at ${own.url}`,
    'start it to have more looked at',
  )
}

const MARKS = { ok: 'ok     ', wrong: 'WRONG  ', skipped: '-      ' } as const

function textOf(findings: readonly Finding[]): string {
  const lines = findings.flatMap(({ check, state, says, todo }) => [
    `${MARKS[state]}${check.padEnd(7)}${shown(says)}`,
    ...(todo === undefined
      ? []
      : [`${' '.repeat(14)}${state === 'wrong' ? 'To do: ' : ''}${todo}`]),
  ])
  return `${lines.join('\n')}\n`
}
