/** A program that starts a DHT of its own, for nodes to be given as `--bootstrap`. */

import { asMeshError } from '../src/errors.ts'
import { isHostPort, MAX_BOOTSTRAPS } from './config.ts'
import { openBootstrap } from './dht.ts'
import { isIpv4, listThat, onOff, textThat, wholeNumber } from './flag-values.ts'
import { type Flags, helpLines, parseFlags } from './flags.ts'
import { type Host, isProgram, processHost } from './host.ts'

interface Settings {
  readonly port: number
  readonly host: string
  readonly bind: string | undefined
  readonly others: readonly string[]
  readonly json: boolean
  readonly help: boolean
}

function isOwnAddress(text: string): boolean {
  return isIpv4(text) && text !== '0.0.0.0'
}

const FLAGS: Flags<Settings> = {
  port: {
    ...wholeNumber(0, 65_535),
    value: 'PORT',
    fallback: 0,
    twin: false,
    about: 'UDP port; 0: any free one. Default: 0',
  },
  host: {
    ...textThat('an IPv4 address of this machine', isOwnAddress),
    value: 'ADDRESS',
    fallback: '127.0.0.1',
    twin: false,
    about: 'IPv4 address under which others reach it. Default: 127.0.0.1',
  },
  bind: {
    ...textThat('an IPv4 address of this machine', isIpv4),
    value: 'ADDRESS',
    fallback: undefined,
    twin: false,
    about: 'IPv4 address that it binds, where others reach it by another. Default: that of --host',
  },
  others: {
    ...listThat('a list of host:port', isHostPort, MAX_BOOTSTRAPS),
    value: 'HOST:PORT,…',
    fallback: [],
    twin: false,
    about: 'Bootstrap nodes of the same DHT that run elsewhere. Default: none',
  },
  json: { ...onOff, twin: false, about: 'Prints one line: {"address":"host:port"}' },
  help: { ...onOff, twin: false, about: 'Prints this' },
}

async function main(host: Host): Promise<void> {
  try {
    const { settings } = parseFlags(FLAGS, host.argv)
    if (settings.help) {
      host.out(`Starts the first node of a DHT.\n\n${helpLines(FLAGS)}\n`)
      return host.exit(0)
    }
    const dht = await openBootstrap(settings)
    const address = `${settings.host}:${dht.address().port}`
    host.out(`${settings.json ? JSON.stringify({ address }) : address}\n`)
    host.onStop(() => {
      void dht.destroy({ force: true }).finally(() => host.exit(0))
    })
  } catch (error) {
    const { code, message } = asMeshError(error)
    host.err(`bootstrap: ${message} (${code})\n`)
    host.exit(code === 'BAD_CONFIG' ? 2 : 1)
  }
}

if (isProgram(import.meta)) await main(await processHost())
