/** `signal-mesh testnet` and `signal-mesh demo`: the two programs, as commands. */

import { SignalMeshError } from '../src/errors.ts'
import type { Runtime } from '../src/runtime.ts'
import type { Command } from './commands.ts'
import type { Host } from './host.ts'

export const testnet: Command = async (runtime, host) => {
  needDht(runtime, 'testnet')
  return runs((await import('./testnet.ts')).main, host)
}

export const demo: Command = async (runtime, host) => {
  needDht(runtime, 'demo')
  return runs((await import('./demo.ts')).main, host)
}

/** Until it has been stopped or has failed. */
function runs(program: (host: Host) => Promise<void>, host: Host): Promise<number> {
  return new Promise((resolve, reject) => {
    program({ ...host, exit: resolve }).catch(reject)
  })
}

/** Each begins a DHT of its own. */
function needDht({ name, offerBootstrap }: Runtime, command: string): void {
  if (offerBootstrap) return
  throw new SignalMeshError(
    'BAD_CONFIG',
    `Command ${command} begins a DHT, which needs Node.js and not ${name}; run it by Node.js, or start nodes one by one, all but the first with --peer URL-OF-THE-FIRST --allow-private`,
  )
}
