/** Nodes find each other on a topic of a Hyperswarm DHT; each connection yields one link. */

import Hyperswarm from 'hyperswarm'
import { SignalMeshError } from '../src/errors.ts'
import { MAX_INCOMING, MAX_NEIGHBOURS } from '../src/limits.ts'
import type { JoinOptions, Swarm } from '../src/runtime.ts'
import { openChannel } from './channel.ts'
import { type Dht, openDht } from './dht.ts'
import { makeDials } from './dials.ts'
import { DHT_ANSWERS_MS, LEAVE_MS } from './limits.ts'
import { keepLooking } from './looks.ts'
import { plainBytes } from './reason.ts'

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
export async function join(options: JoinOptions): Promise<Swarm> {
  const dht = await openDht(options)
  const dials = makeDials(() => swarm)
  const swarm = new Hyperswarm({ dht, ...LINKS, firewall: dials.refuse })
  // A dial that is refused now may come again.
  swarm.on('ban', (peer) => peer.ban(false))
  swarm.on('connection', (stream) => {
    dials.opened(stream)
    // What went wrong shows in the link's end; without a listener it would end the process.
    stream.on('error', () => {})
    const link = openChannel(stream, options.protocol)
    const remoteAddress = stream.rawStream.remoteHost ?? ''
    if (link) options.onLink(link, { initiator: stream.isInitiator, remoteAddress })
  })
  const discovery = swarm.join(Buffer.from(options.topic))
  const stopLooking = keepLooking(swarm, discovery)
  const stopWaiting = reportSilence(dht, options)
  return {
    dhtKey: plainBytes(swarm.keyPair.publicKey).slice(),
    connect: (dhtKey) => swarm.joinPeer(Buffer.from(dhtKey)),
    forget: (dhtKey) => swarm.leavePeer(Buffer.from(dhtKey)),
    close: async () => {
      stopLooking()
      stopWaiting()
      await leave(swarm, dht)
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

/** Lets goodbyes leave and takes the announcement back, as far as that goes quickly. */
async function leave(swarm: Hyperswarm, dht: Dht): Promise<void> {
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
    // A swarm that gets no answers would wait for them even when forced; its DHT does not.
    await dht.destroy({ force: true }).catch(() => {})
  }
}
