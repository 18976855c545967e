/** The neighbours: secured links to other nodes, one for each NodeId, with requests over each. */

import { type Admission, notListed } from './admission.ts'
import type { Clock } from './clock.ts'
import { boxKeyPair } from './crypto.ts'
import { asMeshError, type ErrorCode, SignalMeshError } from './errors.ts'
import { type SecureLink, secureLink } from './handshake.ts'
import type { Identity, NodeId } from './identity.ts'
import { type KeepAlive, keepAlive } from './keepalive.ts'
import { MAX_BUFFERED_BYTES, MAX_FRAME_BYTES } from './limits.ts'
import type { Link } from './link.ts'
import type { Log } from './log.ts'
import { decodeBye, encodeBye, FRAME } from './messages.ts'
import { createRpc, type Rpc, type Serve } from './rpc.ts'
import type { MeshLinkInfo } from './runtime.ts'
import { checkSlot, mayHandshake, type Slot } from './slots.ts'
import { createTurns } from './turns.ts'

export interface NeighboursOptions {
  readonly identity: Identity
  readonly networkId: Uint8Array
  readonly clock: Clock
  readonly log: Log
  readonly admission: Pick<Admission, 'admits' | 'isListed' | 'reserves' | 'noteRefusal'>
  serve(from: NodeId): Serve
  onGossip(packet: Uint8Array, from: NodeId): void
  onTree(frame: Uint8Array, from: NodeId): void
  onSignal(frame: Uint8Array, from: NodeId): void
  /** Takes what is carried for an edge here; without this one the node carries nothing. */
  onCarry?(frame: Uint8Array, from: NodeId): void
  /** Takes a report of a node on itself. */
  onReport?(frame: Uint8Array, from: NodeId): void
  /** Takes a frame of an application; without this one the node takes none. */
  onApp?(frame: Uint8Array, from: NodeId): void
  /** Another link to the node has taken the place of the one before. */
  onReplaced?(id: NodeId): void
  onUp(id: NodeId): void
  /** `goodbye` is the code with which the node itself ended the link, if it did. */
  onDown(id: NodeId, goodbye: ErrorCode | undefined): void
}

export interface Neighbours {
  /** In the order in which they came up. */
  readonly ids: readonly NodeId[]
  /** For how long the link to the node has been up, and who dialled it. */
  linkOf(id: NodeId): LinkAge | undefined
  has(id: NodeId): boolean
  /** Bytes that wait on the link to a node that carries between edges; undefined where there is none. */
  carryWaitingBytes(id: NodeId): number | undefined
  /** Whether the node takes reports of nodes on themselves. */
  takesReports(id: NodeId): boolean
  /** Bytes that wait on the link to a node that takes frames of applications; undefined where there is none. */
  appWaitingBytes(id: NodeId): number | undefined
  /** Measures anew how long each link takes. */
  probe(): void
  /**
   * Secures a raw link and takes it on; gives who proved to be at its other end. Never rejects: a
   * failure closes the link, is logged and given.
   */
  add(raw: Link, info: MeshLinkInfo): Promise<NodeId | SignalMeshError>
  /** Sends a frame; false if there is no such neighbour, or its link is full. */
  send(id: NodeId, frame: Uint8Array): boolean
  request(id: NodeId, method: number, body: Uint8Array): Promise<Uint8Array>
  /** Says goodbye to those that may not take part any more, since the list has changed. */
  dismiss(): void
  /** Says goodbye to all and closes. */
  close(error: SignalMeshError): void
}

export interface LinkAge {
  readonly upMs: number
  readonly initiator: boolean
  /** Where its other end is, unless it goes through a DHT relay. */
  readonly remoteAddress?: string
  /** How long there and back took when it was last measured. */
  readonly rttMs?: number
}

interface Neighbour {
  readonly secure: SecureLink
  readonly slot: Slot
  readonly sinceMs: number
  readonly rpc: Rpc
  readonly alive: KeepAlive
  goodbye: ErrorCode | undefined
}

export function createNeighbours(options: NeighboursOptions): Neighbours {
  const { identity, clock, log, admission } = options
  const boxKeys = boxKeyPair()
  const turns = createTurns(clock)
  const neighbours = new Map<NodeId, Neighbour>()
  const handshakes = new Set<MeshLinkInfo>()
  let closing = false

  /** Says no to who has proved a NodeId; those who are neighbours stay. */
  const checkNew = (slot: Slot, isNeighbour: boolean): void => {
    if (closing) throw new SignalMeshError('GOING_AWAY', 'This node is stopping')
    if (!admission.admits(slot.remote)) throw notListed(slot.remote)
    const taken = [...neighbours.values()].map((neighbour) => neighbour.slot)
    if (!isNeighbour) checkSlot(slot, taken, admission)
  }

  const take = (secure: SecureLink, info: MeshLinkInfo): void => {
    const { link, remote } = secure
    const existing = neighbours.get(remote)
    const slot: Slot = { ...info, remote, initiator: secure.initiator }
    try {
      checkNew(slot, existing !== undefined)
    } catch (error) {
      const failure = asMeshError(error)
      admission.noteRefusal('link', remote, failure)
      refuse(link, failure)
      return
    }
    if (existing && keepsExisting(existing.secure, secure, identity.id)) {
      link.close('DUPLICATE')
      return
    }
    const rpc = createRpc({
      clock,
      send: (frame) => link.send(frame),
      serve: turns(remote, link, options.serve(remote)),
    })
    const alive = keepAlive(link, clock)
    const sinceMs = existing?.sinceMs ?? clock.monotonicMs()
    const neighbour: Neighbour = { secure, slot, sinceMs, rpc, alive, goodbye: undefined }
    neighbours.set(remote, neighbour)
    if (existing) existing.secure.link.close('DUPLICATE')
    link.subscribe((frame) => receive(neighbour, frame))
    void link.closed.then((reason) => lost(neighbour, reason))
    alive.probe()
    if (!existing) {
      log.info('Linked to node', { node: remote, initiator: secure.initiator })
      options.onUp(remote)
    } else options.onReplaced?.(remote)
  }

  const lost = (neighbour: Neighbour, reason: string): void => {
    neighbour.rpc.close()
    neighbour.alive.stop()
    const { remote } = neighbour.secure
    if (neighbours.get(remote) !== neighbour) return
    neighbours.delete(remote)
    log.info('Lost the link to node', { node: remote, reason })
    options.onDown(remote, neighbour.goodbye)
  }

  const receive = (neighbour: Neighbour, frame: Uint8Array): void => {
    const { link, remote } = neighbour.secure
    try {
      if (neighbour.alive.heard(frame)) return
      if (frame[0] === FRAME.signal) options.onSignal(frame, remote)
      else if (frame[0] === FRAME.carry && options.onCarry) options.onCarry(frame, remote)
      else if (frame[0] === FRAME.gossip) options.onGossip(frame.subarray(1), remote)
      else if (frame[0] === FRAME.tree) options.onTree(frame, remote)
      else if (frame[0] === FRAME.report && options.onReport) options.onReport(frame, remote)
      else if (frame[0] === FRAME.app && options.onApp) options.onApp(frame, remote)
      else if (frame[0] === FRAME.rpc) neighbour.rpc.receive(frame)
      else if (frame[0] === FRAME.bye) {
        neighbour.goodbye = decodeBye(frame).code
        link.close(neighbour.goodbye)
      } else throw new SignalMeshError('BAD_FRAME', `A frame of unknown kind ${frame[0]}`)
    } catch (error) {
      const failure = asMeshError(error)
      log.warn('Refused a frame of a neighbour', {
        node: remote,
        code: failure.code,
        why: failure.message,
      })
      refuse(link, failure)
    }
  }

  return {
    get ids() {
      return [...neighbours.keys()]
    },
    has: (id) => neighbours.has(id),
    carryWaitingBytes: (id) => {
      const secure = neighbours.get(id)?.secure
      return secure?.carries ? secure.link.bufferedBytes : undefined
    },
    appWaitingBytes: (id) => {
      const secure = neighbours.get(id)?.secure
      return options.onApp && secure?.apps ? secure.link.bufferedBytes : undefined
    },
    linkOf: (id) => {
      const neighbour = neighbours.get(id)
      if (!neighbour) return undefined
      const upMs = clock.monotonicMs() - neighbour.sinceMs
      const { initiator, relay, remoteAddress } = neighbour.slot
      const { rttMs } = neighbour.alive
      return {
        upMs,
        initiator,
        ...(relay === undefined && { remoteAddress }),
        ...(rttMs !== undefined && { rttMs }),
      }
    },
    takesReports: (id) => neighbours.get(id)?.secure.reports ?? false,
    probe: () => {
      for (const { alive } of neighbours.values()) alive.probe()
    },
    add: async (raw, info) => {
      if (!mayHandshake(info, handshakes)) {
        raw.close('TOO_MANY')
        return new SignalMeshError('TOO_MANY', 'Too many links are being secured')
      }
      const attempt = { ...info }
      handshakes.add(attempt)
      try {
        const { initiator, wanted } = info
        const carries = options.onCarry !== undefined
        const apps = options.onApp !== undefined
        const shown = { boxKeys, initiator, wanted, carries, apps }
        const secure = await secureLink(raw, { ...options, ...shown })
        take(secure, info)
        return secure.remote
      } catch (error) {
        const failure = asMeshError(error)
        const { code, message } = failure
        log.debug('A link was not secured', { address: info.remoteAddress, code, why: message })
        return failure
      } finally {
        handshakes.delete(attempt)
      }
    },
    send: (id, frame) => {
      const link = neighbours.get(id)?.secure.link
      if (!link || frame.length > MAX_FRAME_BYTES) return false
      if (link.bufferedBytes > MAX_BUFFERED_BYTES) return false
      link.send(frame)
      return true
    },
    request: (id, method, body) => {
      const neighbour = neighbours.get(id)
      if (neighbour) return neighbour.rpc.request(method, body)
      return Promise.reject(new SignalMeshError('CLOSED', `There is no link to node ${id}`))
    },
    dismiss: () => {
      for (const { secure } of neighbours.values()) {
        if (!admission.admits(secure.remote)) refuse(secure.link, notListed(secure.remote))
      }
    },
    close: (error) => {
      closing = true
      for (const { secure } of neighbours.values()) refuse(secure.link, error)
    },
  }
}

function refuse(link: Link, error: SignalMeshError): void {
  link.send(encodeBye(error))
  link.close(error.code)
}

/**
 * Two nodes that dial each other at once have two links; both keep the one that the lower NodeId
 * dialled. A second link dialled from the same side means that the first is dead there.
 */
function keepsExisting(existing: SecureLink, added: SecureLink, self: NodeId): boolean {
  if (existing.initiator === added.initiator) return false
  return existing.initiator === self < existing.remote
}
