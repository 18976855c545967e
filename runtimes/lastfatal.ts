/** What ends the process where several networks are served: the end of the last of them. */

import type { SignalMeshError } from '../src/errors.ts'
import type { Log } from '../src/log.ts'

/**
 * Makes what takes a node's fatal error. What befalls one network, such as a key that another process has too,
 * is no reason to end the others.
 */
export function fatalWhenLast(
  count: number,
  onFatal: (error: SignalMeshError) => void,
): (network: string, error: SignalMeshError, log: Log) => void {
  const stopped = new Set<string>()
  return (network, error, log) => {
    stopped.add(network)
    if (stopped.size === count) onFatal(error)
    else log.error('The node of this network has stopped', { error })
  }
}
