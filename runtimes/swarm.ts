/** Nodes find each other on a topic of the DHT that this process is a member of. */

import { SignalMeshError } from '../src/errors.ts'
import type { JoinOptions, Swarm } from '../src/runtime.ts'
import { type Dht, openDht, useBootstrap } from './dht.ts'
import { DHT_ANSWERS_MS } from './limits.ts'
import { swarmOn } from './swarming.ts'

/** Joins the topic to be found and to find. It does not wait for the network. */
export async function join(options: JoinOptions): Promise<Swarm> {
  const dht = await sharedDht(options)
  const swarm = swarmOn({ ...options, dht })
  const stopWaiting = reportSilence(dht, options)
  return {
    ...swarm,
    useBootstrap: (bootstrap) => useBootstrap(dht, { ...options, bootstrap }),
    close: async () => {
      stopWaiting()
      await swarm.close()
    },
  }
}

/** Members of the DHT that several swarms are on, by what these have in common. */
const shared = new WeakMap<object, { readonly opening: Promise<Dht>; users: number }>()

/** The member of the DHT that those who share have together; it ends with the last of them. */
async function sharedDht(options: JoinOptions): Promise<Dht> {
  const { sharing } = options
  if (!sharing) return openDht(options)
  const one = shared.get(sharing) ?? { opening: openDht(options), users: 0 }
  shared.set(sharing, one)
  one.users += 1
  const dht = await one.opening
  const destroy = async (how?: { force?: boolean }): Promise<void> => {
    one.users -= 1
    if (one.users === 0) await dht.destroy(how)
  }
  let left: Promise<void> | undefined
  return new Proxy(dht, {
    get: (target, name) => {
      if (name === 'destroy') return (how?: { force?: boolean }) => (left ??= destroy(how))
      const value: unknown = Reflect.get(target, name)
      return typeof value === 'function' ? value.bind(target) : value
    },
  })
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
