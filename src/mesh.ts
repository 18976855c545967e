/** The mesh as one node takes part in it: links, multicast and pulls that keep its directory in step. */

import { createAdmission, type Members, NO_MEMBERS } from './admission.ts'
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
import { differsFromKept, type Said } from './equivocation.ts'
import { asMeshError, type ErrorCode, isHomesFault, SignalMeshError } from './errors.ts'
import { createGossip, type Verdict } from './gossip.ts'
import { createHomeLog, type HomeLog } from './homelog.ts'
import type { Identity, NodeId } from './identity.ts'
import { HOME_EXPIRES_MS, MAX_RISES, REPORT_AFTER_MS } from './limits.ts'
import type { Log } from './log.ts'
import { FRAME } from './messages.ts'
import { createNeighbours, type Neighbours } from './neighbours.ts'
import { createPace } from './pace.ts'
import { createQuarantine } from './quarantine.ts'
import { applyBatch, applyHead, isFresh, isNews } from './replica.ts'
import type { ReportFields } from './report.ts'
import { createReports, type Reports } from './reports.ts'
import { createSkewWatch } from './skew.ts'
import { createSync } from './sync.ts'

export interface MeshOptions {
  readonly identity: Identity
  readonly networkId: Uint8Array
  readonly epoch: number
  readonly clock: Clock
  readonly log: Log
  /** Nodes that the operator has named; default: none. */
  readonly members?: Members
  /** How this node can be reached, as it now is. */
  contact(): Contact
  onSignal(frame: Uint8Array, from: NodeId): void
  /** Takes what is carried for an edge here; without this one the node carries nothing. */
  onCarry?(frame: Uint8Array, from: NodeId): void
  /** Takes a frame of an application; without this one the node takes none. */
  onApp?(frame: Uint8Array, from: NodeId): void
  /** Another link to the node has taken the place of the one before. */
  onReplaced?(node: NodeId): void
  /** What this node reports of itself; without it nothing. */
  report?(): Omit<ReportFields, 'epoch' | 'number'>
  /** A node was refused as a neighbour or home. */
  onRefused?(node: NodeId, code: ErrorCode): void
  /** A link to the node has come up. */
  onLinked(node: NodeId): void
  onUnlinked(node: NodeId): void
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
  /** What nodes say of themselves, this one among them. */
  readonly reports: Pick<Reports, 'of'>
  /** Whether a node may take part in this mesh. */
  admits(node: NodeId): boolean
  /** Multicasts a sign of life. */
  beat(): void
  /** Multicasts what this node reports of itself. */
  report(): void
  /** Forgets homes that have fallen silent. */
  sweep(): void
  /** Lets go of those that the list of members does not name any more. */
  dismiss(): void
  close(error: SignalMeshError): void
}

/** The first byte of multicast data. */
const DATA = { batch: 1, head: 2, proof: 3 } as const

export function createMesh(options: MeshOptions): Mesh {
  const { identity, networkId, clock, log } = options
  const directory = createDirectory(networkId, {
    aheadMs: () => clock.nowMs() - clock.monotonicMs(),
  })
  const { members = NO_MEMBERS } = options
  const admission = createAdmission({
    self: identity.id,
    members,
    clock,
    log,
    ...(options.onRefused && { onRefused: options.onRefused }),
  })
  const pace = createPace(clock)
  const watchSkew = createSkewWatch(log)
  let rises = 0

  /** Whether there is a place for the home; else it is not passed on either. */
  const isWelcome = (home: NodeId): boolean => {
    try {
      admission.checkHome(directory, home)
    } catch (error) {
      admission.noteRefusal('home', home, asMeshError(error))
      return false
    }
    return true
  }

  /** Says who signed the data if it is news, so that only that is passed on. */
  const check = (data: Uint8Array, from: NodeId): Verdict => {
    if (data[0] === DATA.proof) {
      // Who believes it tells its own neighbours; this packet goes no further.
      quarantine.hear(data.subarray(1))
      return 'done'
    }
    // Most packets are copies of one that came before, so they are not read further than this.
    const isNew = isNewsHere(directory, data)
    if (!isNew && !isOddHere(directory, data)) return 'done'
    const signed = decode(data)
    if (signed.home === identity.id) return 'done'
    if (!directory.homes.has(signed.home)) {
      if (!isWelcome(signed.home)) return 'done'
      if (!pace.takesHome(from)) return 'later'
    }
    // Before the signature is checked, which costs the most.
    if (isNew ? !pace.takesNews(from, signed) : !pace.takesOld(from)) return 'later'
    if (isSignedByHome(networkId, signed)) {
      // Only what is news: or its old words, replayed by anybody, would leave no room for its new ones.
      if (isNew && !pace.takesOfHome(signed)) return 'later'
      if (isNew) return { origin: signed.home }
      take(signed, from)
      return 'done'
    }
    throw new SignalMeshError(
      'BAD_SIGNATURE',
      `Home ${signed.home} did not sign this ${signed.kind}`,
    )
  }

  const take = (signed: Said, from: NodeId): void => {
    try {
      const isBehind =
        signed.kind === 'batch'
          ? applyBatch(directory, signed, clock.nowMs(), admission) === 'gap'
          : applyHead(directory, signed, clock.nowMs(), admission).behind
      if (isBehind) void sync.pull(from, signed.home)
    } catch (error) {
      const failure = asMeshError(error)
      if (admission.noteRefusal('home', signed.home, failure)) return
      const { code, message } = failure
      if (isHomesFault(failure)) quarantine.accuse(signed.home, failure)
      else log.warn('Refused what a home says', { node: signed.home, code, why: message })
    }
  }

  const gossip = createGossip({
    id: identity.id,
    clock,
    send: (neighbour, packet) => {
      neighbours.send(neighbour, concat(Uint8Array.of(FRAME.gossip), packet))
    },
    sendWord: (neighbour, frame) => void neighbours.send(neighbour, frame),
    takes: pace.takesPacket,
    check,
    deliver: (data, from) => take(decode(data), from),
  })
  const quarantine = createQuarantine({
    networkId,
    directory,
    clock,
    log,
    self: identity.id,
    publish: (proof) => gossip.publish(concat(Uint8Array.of(DATA.proof), proof)),
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

  const report = (): void => {
    cancelReport?.()
    cancelReport = undefined
    const fields = options.report?.()
    if (fields) reports.publish(fields)
  }
  let cancelReport: (() => void) | undefined
  let isClosed = false
  /** Links that come and go together are one change. */
  const reportSoon = (): void => {
    if (!isClosed) cancelReport ??= clock.after(REPORT_AFTER_MS, report)
  }

  const neighbours = createNeighbours({
    identity,
    networkId,
    clock,
    log,
    admission,
    serve: () => sync.serve,
    onGossip: gossip.receive,
    onTree: gossip.receiveWord,
    onSignal: options.onSignal,
    ...(options.onCarry && { onCarry: options.onCarry }),
    ...(options.onApp && { onApp: options.onApp }),
    ...(options.onReplaced && { onReplaced: options.onReplaced }),
    onReport: (frame, from) => reports.receive(frame, from),
    onUp: (id) => {
      gossip.setNeighbours(neighbours.ids)
      options.onLinked(id)
      beat()
      reportSoon()
      sync.meet(id).catch((error: unknown) => {
        log.debug('Could not compare homes', { node: id, why: asMeshError(error).message })
      })
    },
    onDown: (id, goodbye) => {
      gossip.setNeighbours(neighbours.ids)
      reportSoon()
      // Its own word over its own link: no need to wait for its silence.
      if (goodbye === 'GOING_AWAY') directory.expire(id)
      options.onUnlinked(id)
    },
  })
  const sync = createSync({
    networkId,
    directory,
    clock,
    log,
    admission,
    pace,
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
    neighbours: () => neighbours.ids,
    isLinked: neighbours.has,
    onFault: quarantine.accuse,
    flush: homeLog.flush,
  })

  const reports = createReports({
    identity,
    networkId,
    clock,
    directory,
    takesBytes: pace.takesPacket,
    epoch: () => homeLog.state.position.epoch,
    eager: () => gossip.eager.filter(neighbours.takesReports),
    send: (neighbour, frame) => void neighbours.send(neighbour, frame),
  })

  return {
    directory,
    log: homeLog,
    neighbours,
    reports,
    report,
    admits: admission.admits,
    beat,
    sweep: () => {
      admission.sweep(directory)
      quarantine.sweep()
      reports.sweep()
      for (const home of [...directory.homes.values()]) {
        watchSkew(home)
        if (home.id === identity.id || clock.monotonicMs() - home.heardAtMs <= HOME_EXPIRES_MS)
          continue
        log.info('Home has left the mesh', { node: home.id, edges: home.claims.size })
        directory.expire(home.id)
      }
    },
    dismiss: () => {
      neighbours.dismiss()
      for (const id of [...directory.homes.keys()]) if (!admission.admits(id)) directory.expire(id)
    },
    close: (error) => {
      // Said by the log too, for only neighbours hear the goodbye.
      for (const { peer, presence } of [...homeLog.state.claims.values()]) {
        if (presence) homeLog.add({ kind: 'remove-peer', peer, seq: presence.seq })
      }
      homeLog.flush()
      isClosed = true
      cancelReport?.()
      neighbours.close(error)
      homeLog.close()
      gossip.close()
    },
  }
}

function decode(data: Uint8Array): Said {
  const bytes = data.subarray(1)
  if (data[0] === DATA.batch) return decodeBatch(bytes)
  if (data[0] === DATA.head) return decodeHead(bytes)
  throw new SignalMeshError('BAD_FRAME', `Multicast data of unknown kind ${data[0]}`)
}

function isNewsHere(directory: Directory, data: Uint8Array): boolean {
  const bytes = data.subarray(1)
  const { home, ...position } = peekBatch(bytes)
  if (data[0] === DATA.head) return isFresh(directory, peekHead(bytes))
  return isNews(directory, home, position)
}

/** Whether old words are not the same that were heard before. */
function isOddHere(directory: Directory, data: Uint8Array): boolean {
  const bytes = data.subarray(1)
  const state = directory.homes.get(peekBatch(bytes).home)
  return (
    state !== undefined && differsFromKept(state, data[0] === DATA.head ? 'head' : 'batch', bytes)
  )
}
