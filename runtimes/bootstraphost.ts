/** A node's DHT bootstrap: a process beside the node that others start from, begun anew if it breaks. */

import { type Clock, systemClock } from '../src/clock.ts'
import { asMeshError, SignalMeshError } from '../src/errors.ts'
import type { BootstrapHostOptions } from '../src/runtime.ts'
import { type Child, startChild } from './children.ts'
import { RELAY_RESTART_FIRST_MS, RELAY_RESTART_MAX_MS, RELAY_STEADY_MS } from './limits.ts'

/** What surrounds it; tests bring their own. */
export interface BootstrapGround {
  readonly clock: Clock
  start(): Promise<Pick<Child, 'exited' | 'stop'>>
}

/**
 * Begins it and waits until it answers. In a process of its own: a member of a DHT that shares its process with the
 * DHT's first node announces itself to nobody, for a look-up leaves out the node that makes it.
 */
export async function offerBootstrap(
  options: BootstrapHostOptions,
  ground: BootstrapGround = { clock: systemClock, start: () => startProcess(options) },
): Promise<{ close(): Promise<void> }> {
  const { clock } = ground
  const { log, at } = options
  let current = await ground.start()
  let startedAtMs = clock.monotonicMs()
  let failures = 0
  let closed = false
  let cancelWait = (): void => {}

  const watch = (): void => void current.exited.then(ended)
  const ended = (): void => {
    if (closed) return
    failures = clock.monotonicMs() - startedAtMs >= RELAY_STEADY_MS ? 0 : failures + 1
    const waitMs = RELAY_RESTART_FIRST_MS * 2 ** Math.min(failures, 10)
    log.warn('The DHT bootstrap has ended, and is begun anew', { at })
    cancelWait = clock.after(Math.min(RELAY_RESTART_MAX_MS, waitMs), () => void again())
  }
  const again = async (): Promise<void> => {
    startedAtMs = clock.monotonicMs()
    try {
      current = await ground.start()
      if (closed) await current.stop()
      else watch()
    } catch (error) {
      log.warn('The DHT bootstrap could not be started', { at, error: asMeshError(error) })
      ended()
    }
  }
  watch()
  log.info('The DHT bootstrap answers', { at })
  return {
    close: async () => {
      closed = true
      cancelWait()
      await current.stop()
    },
  }
}

async function startProcess({ at, others, host }: BootstrapHostOptions): Promise<Child> {
  const [address = '', port = ''] = at.split(':')
  const args = ['--json', '--host', address, '--port', port]
  if (host !== undefined) args.push('--bind', host)
  if (others.length > 0) args.push('--others', others.join())
  try {
    return await startChild({ program: './bootstrap.ts', args })
  } catch (error) {
    // It says so in one line, with the code at its end.
    const said = asMeshError(error).message
    const code = (['PORT_IN_USE', 'BAD_CONFIG'] as const).find((each) => said.includes(`(${each})`))
    const why = /bootstrap: (.+) \([A-Z_]+\)$/.exec(said)?.[1] ?? said
    throw code ? new SignalMeshError(code, why, { cause: error }) : error
  }
}
