/** A Hyperswarm on whatever DHT there is: finds other nodes on a topic; each connection yields one link. */

import Hyperswarm from 'hyperswarm'
import { MAX_INCOMING, MAX_NEIGHBOURS } from '../src/limits.ts'
import type { JoinOptions, Swarm } from '../src/runtime.ts'
import { openChannel } from './channel.ts'
import { makeDials } from './dials.ts'
import { LEAVE_MS } from './limits.ts'
import { keepLooking } from './looks.ts'
import { plainBytes } from './reason.ts'

/** What Hyperswarm does its work with. */
export type SwarmDht = ConstructorParameters<typeof Hyperswarm>[0]['dht']

export interface SwarmingOptions extends Pick<JoinOptions, 'topic' | 'protocol' | 'onLink'> {
  readonly dht: SwarmDht
  /** Default: one made at random. */
  readonly keyPair?: { readonly publicKey: Uint8Array; readonly secretKey: Uint8Array }
  /** The DHT relay that all of it goes through. */
  readonly relay?: string
  /** Bytes that wait beneath all connections together. */
  readonly waitingBytes?: () => number
}

export interface Swarming extends Swarm {
  /** Resolves once others can dial this one. */
  readonly listening: Promise<unknown>
  /** Ends it without a word to anybody: what lies beneath is gone. */
  drop(): void
}

/**
 * Hyperswarm counts what others dial, and each peer dialled by its key up to four times, against what
 * it may still dial: strangers could stop it from looking for others. So it dials half of the places
 * whoever else comes, and which links are kept is decided where their NodeIds are known.
 */
const LINKS = {
  maxPeers: Number.POSITIVE_INFINITY,
  maxClientConnections: MAX_NEIGHBOURS - MAX_INCOMING,
}

/** Joins the topic to be found and to find. It does not wait for the network. */
export function swarmOn(options: SwarmingOptions): Swarming {
  const { dht, keyPair, relay, waitingBytes } = options
  const dials = makeDials(() => swarm)
  const swarm = new Hyperswarm({
    dht,
    ...(keyPair && { keyPair }),
    ...LINKS,
    firewall: dials.refuse,
  })
  // A dial that is refused now may come again.
  swarm.on('ban', (peer) => peer.ban(false))
  swarm.on('connection', (stream) => {
    dials.opened(stream)
    // What went wrong shows in the link's end; without a listener it would end the process.
    stream.on('error', () => {})
    const link = openChannel(stream, options.protocol, waitingBytes)
    const remoteAddress = stream.rawStream.remoteHost ?? ''
    const origin = { remoteAddress, ...(relay !== undefined && { relay }) }
    if (link) options.onLink(link, { initiator: stream.isInitiator, ...origin })
  })
  const discovery = swarm.join(Buffer.from(options.topic))
  const stopLooking = keepLooking(swarm, discovery)
  // Who does not wait for it does not hear of its failure either.
  const listening = swarm.listen()
  listening.catch(() => {})
  return {
    dhtKey: plainBytes(swarm.keyPair.publicKey).slice(),
    listening,
    connect: (dhtKey) => swarm.joinPeer(Buffer.from(dhtKey)),
    forget: (dhtKey) => swarm.leavePeer(Buffer.from(dhtKey)),
    close: () => {
      stopLooking()
      return leave(swarm, dht)
    },
    drop: () => {
      stopLooking()
      // Nothing answers any more: this only stops their timers, and its failure changes nothing.
      void dht.destroy({ force: true }).catch(() => {})
      void swarm.clear().catch(() => {})
      void swarm.destroy({ force: true }).catch(() => {})
    },
  }
}

/** Lets goodbyes leave and takes the announcement back, as far as that goes quickly. */
async function leave(swarm: Hyperswarm, dht: SwarmDht): Promise<void> {
  for (const stream of swarm.connections) stream.end()
  const late = new Promise<'late'>((resolve) => setTimeout(resolve, LEAVE_MS, 'late').unref())
  const emptied = new Promise<void>((resolve) => {
    const look = (): void => {
      if (swarm.connections.size === 0) resolve()
    }
    swarm.on('update', look)
    look()
  })
  const left = emptied.then(() => swarm.destroy()).catch(() => 'late')
  if ((await Promise.race([left, late])) === 'late') {
    // A swarm that gets no answers would wait for them even when forced; its DHT does not. It is left, come what may.
    await dht.destroy({ force: true }).catch(() => {})
  }
}
