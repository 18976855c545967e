/** The mesh as one node takes part in it: links, multicast and pulls that keep its directory in step. */

import {
  type Contact,
  decodeBatch,
  decodeHead,
  isSignedByHome,
  peekBatch,
  peekHead,
} from './batch.ts'
import { concat } from './bytes.ts'
import type { Clock } from './clock.ts'
import { createDirectory, type Directory } from './directory.ts'
import { asMeshError, SignalMeshError } from './errors.ts'
import { createGossip } from './gossip.ts'
import { createHomeLog, type HomeLog } from './homelog.ts'
import type { Identity, NodeId } from './identity.ts'
import { HOME_EXPIRES_MS, MAX_HOMES, MAX_RISES } from './limits.ts'
import type { Log } from './log.ts'
import { FRAME } from './messages.ts'
import { createNeighbours, type Neighbours } from './neighbours.ts'
import { applyBatch, applyHead, isFresh, isNews } from './replica.ts'
import { createSync } from './sync.ts'

export interface MeshOptions {
  readonly identity: Identity
  readonly networkId: Uint8Array
  readonly epoch: number
  readonly clock: Clock
  readonly log: Log
  /** How this node can be reached, as it now is. */
  contact(): Contact
  onSignal(frame: Uint8Array, from: NodeId): void
  /** A link to the node has come up. */
  onLinked(node: NodeId): void
  /** The log goes on in a new epoch, which has to be kept. */
  onEpoch(epoch: number): void
  /** Another process speaks with this node's key. */
  onDuplicate(): void
}

export interface Mesh {
  readonly directory: Directory
  /** This node's own log. */
  readonly log: HomeLog
  readonly neighbours: Neighbours
  /** Multicasts a sign of life. */
  beat(): void
  /** Forgets homes that have fallen silent. */
  sweep(): void
  close(error: SignalMeshError): void
}

/** The first byte of multicast data. */
const DATA = { batch: 1, head: 2 } as const

export function createMesh(options: MeshOptions): Mesh {
  const { identity, networkId, clock, log } = options
  const directory = createDirectory(networkId)
  let rises = 0

  /** Says who signed the data if it is news, so that only that is passed on. */
  const check = (data: Uint8Array): NodeId | undefined => {
    // Most packets are copies of one that came before, so they are not read further than this.
    if (!isNewsHere(directory, data)) return undefined
    const signed = decode(data)
    if (signed.home === identity.id) return undefined
    if (isSignedByHome(networkId, signed)) return signed.home
    throw new SignalMeshError(
      'BAD_SIGNATURE',
      `Home ${signed.home} did not sign this ${signed.kind}`,
    )
  }

  const deliver = (data: Uint8Array, from: NodeId): void => {
    const signed = decode(data)
    try {
      const isBehind =
        signed.kind === 'batch'
          ? applyBatch(directory, signed, clock.nowMs()) === 'gap'
          : applyHead(directory, signed, clock.nowMs()).behind
      if (isBehind) void sync.pull(from, signed.home)
    } catch (error) {
      const { code, message } = asMeshError(error)
      log.warn('Refused what a home says', { node: signed.home, code, why: message })
    }
  }

  const gossip = createGossip({
    id: identity.id,
    send: (neighbour, packet) => {
      neighbours.send(neighbour, concat(Uint8Array.of(FRAME.gossip), packet))
    },
    check,
    deliver,
  })
  const homeLog = createHomeLog({
    identity,
    networkId,
    directory,
    clock,
    epoch: options.epoch,
    publish: (bytes) => gossip.publish(concat(Uint8Array.of(DATA.batch), bytes)),
  })

  const beat = (): void => {
    const head = homeLog.head(options.contact())
    gossip.publish(concat(Uint8Array.of(DATA.head), head.bytes))
  }

  const neighbours = createNeighbours({
    identity,
    networkId,
    clock,
    log,
    serve: () => sync.serve,
    onGossip: gossip.receive,
    onSignal: options.onSignal,
    onUp: (id) => {
      gossip.setNeighbours(neighbours.ids)
      options.onLinked(id)
      beat()
      sync.meet(id).catch((error: unknown) => {
        log.debug('Could not compare homes', { node: id, why: asMeshError(error).message })
      })
    },
    onDown: (id, goodbye) => {
      gossip.setNeighbours(neighbours.ids)
      // Its own word over its own link: no need to wait for its silence.
      if (goodbye === 'GOING_AWAY') directory.expire(id)
    },
  })
  const sync = createSync({
    networkId,
    directory,
    clock,
    log,
    self: identity.id,
    request: neighbours.request,
    onOwnHead: ({ epoch }) => {
      // Left from a life with a later clock: others would take this one for an older.
      if (epoch <= homeLog.state.position.epoch) return
      // Each of two processes with one key goes above the other, and on like this.
      rises += 1
      if (rises > MAX_RISES) {
        options.onDuplicate()
        return
      }
      homeLog.rise(epoch + 1)
      options.onEpoch(epoch + 1)
      beat()
    },
    flush: homeLog.flush,
  })

  return {
    directory,
    log: homeLog,
    neighbours,
    beat,
    sweep: () => {
      for (const home of [...directory.homes.values()]) {
        if (home.id === identity.id || clock.nowMs() - home.heardAtMs <= HOME_EXPIRES_MS) continue
        log.info('Home has left the mesh', { node: home.id, edges: home.claims.size })
        directory.expire(home.id)
      }
    },
    close: (error) => {
      // Said by the log too, for only neighbours hear the goodbye.
      for (const { peer, presence } of [...homeLog.state.claims.values()]) {
        if (presence) homeLog.add({ kind: 'remove-peer', peer, seq: presence.seq })
      }
      homeLog.flush()
      neighbours.close(error)
      homeLog.close()
      gossip.close()
    },
  }
}

type Spread = ReturnType<typeof decodeBatch> | ReturnType<typeof decodeHead>

function decode(data: Uint8Array): Spread {
  const bytes = data.subarray(1)
  if (data[0] === DATA.batch) return decodeBatch(bytes)
  if (data[0] === DATA.head) return decodeHead(bytes)
  throw new SignalMeshError('BAD_FRAME', `Multicast data of unknown kind ${data[0]}`)
}

function isNewsHere(directory: Directory, data: Uint8Array): boolean {
  const bytes = data.subarray(1)
  const { home, ...position } = peekBatch(bytes)
  // What there is no room for is not passed on either.
  if (!directory.homes.has(home) && directory.homes.size >= MAX_HOMES) return false
  if (data[0] === DATA.head) return isFresh(directory, peekHead(bytes))
  return isNews(directory, home, position)
}
