/** Nodes find each other on a topic of the DHT that this process is a member of. */

import { SignalMeshError } from '../src/errors.ts'
import type { JoinOptions, Swarm } from '../src/runtime.ts'
import { type Dht, openDht } from './dht.ts'
import { DHT_ANSWERS_MS } from './limits.ts'
import { swarmOn } from './swarming.ts'

/** Joins the topic to be found and to find. It does not wait for the network. */
export async function join(options: JoinOptions): Promise<Swarm> {
  const dht = await openDht(options)
  const swarm = swarmOn({ ...options, dht })
  const stopWaiting = reportSilence(dht, options)
  return {
    ...swarm,
    close: async () => {
      stopWaiting()
      await swarm.close()
    },
  }
}

/** Says so when no bootstrap has answered; the looks go on, so that one that comes up is found. */
function reportSilence(dht: Dht, options: JoinOptions): () => void {
  const timer = setTimeout(() => {
    if (dht.nodes.length > 0) return
    const list = options.bootstrap.join(', ')
    options.onError(new SignalMeshError('TIMEOUT', `No DHT bootstrap node answers at ${list}`))
  }, DHT_ANSWERS_MS)
  return () => clearTimeout(timer)
}
