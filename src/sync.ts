/** Sync: brings the directory up to date with what neighbours hold, by pulling just what is missing. */

import type { Admission } from './admission.ts'
import { decodeHead, isSignedByHome, type Position } from './batch.ts'
import { badFrame, compare, reader, toHex } from './bytes.ts'
import type { Clock } from './clock.ts'
import { KEY_BYTES } from './crypto.ts'
import type { Directory } from './directory.ts'
import { asMeshError, type ErrorCode, isHomesFault, SignalMeshError } from './errors.ts'
import type { NodeId } from './identity.ts'
import { MAX_HEAD_BYTES, MAX_HOMES } from './limits.ts'
import type { Log } from './log.ts'
import type { Pace } from './pace.ts'
import { createPull } from './pull.ts'
import { applyHead, isNews } from './replica.ts'
import { NODE_METHOD, type Serve } from './rpc.ts'
import { createSuppliers } from './suppliers.ts'
import { createSupply } from './supply.ts'

export interface SyncOptions {
  readonly networkId: Uint8Array
  readonly directory: Directory
  readonly clock: Clock
  readonly log: Log
  readonly admission: Admission
  readonly pace: Pace
  readonly self: NodeId
  /** Whom else to ask. */
  neighbours(): readonly NodeId[]
  /** Whether there is a link to the node. */
  isLinked(neighbour: NodeId): boolean
  request(neighbour: NodeId, method: number, body: Uint8Array): Promise<Uint8Array>
  /** A home is to blame for what it signed, whoever served it. */
  onFault(home: NodeId, error: SignalMeshError): void
  /** A neighbour holds a head that this node signed, in this life or an earlier one. */
  onOwnHead(head: Position): void
  /** Called before this node's own log is read, so that nothing gathered is left out. */
  flush(): void
}

export interface Sync {
  /**
   * Compares all homes with a neighbour and pulls what it has more of. Asked for meanwhile, it does so
   * once more when it is through.
   */
  meet(neighbour: NodeId): Promise<void>
  /** Pulls one home's missing changes from a neighbour; a second call joins the first. */
  pull(neighbour: NodeId, home: NodeId): Promise<void>
  /** Answers a neighbour's requests. */
  readonly serve: Serve
}

export function createSync(options: SyncOptions): Sync {
  const { networkId, directory, clock, log, admission, pace } = options
  const pulls = new Map<NodeId, Promise<void>>()
  const meetings = new Map<NodeId, Meeting>()
  const suppliers = createSuppliers(clock, log)

  /** Takes a home's head as its neighbour passes it on; false if this node has no use for the home. */
  const takeHead = (bytes: Uint8Array): boolean => {
    if (bytes.length === 0) return true
    const head = decodeHead(bytes)
    if (!isSignedByHome(networkId, head)) {
      throw new SignalMeshError('BAD_SIGNATURE', `Home ${head.home} did not sign its head`)
    }
    if (head.home === options.self) {
      options.onOwnHead(head)
      return false
    }
    try {
      applyHead(directory, head, clock.nowMs(), admission)
      return true
    } catch (error) {
      const failure = asMeshError(error)
      if (admission.noteRefusal('home', head.home, failure)) return false
      const { code, message } = failure
      if (isHomesFault(failure)) options.onFault(head.home, failure)
      else log.debug('Refused a head', { node: head.home, code, why: message })
      return false
    }
  }

  /** Asks. What a neighbour says in place of an answer is its own word, not what was found here. */
  const ask: SyncOptions['request'] = async (neighbour, method, body) => {
    try {
      return await options.request(neighbour, method, body)
    } catch (error) {
      const { code, message } = asMeshError(error)
      if (OWN_FAILURES.includes(code)) throw error
      throw new SignalMeshError('INTERNAL', `Node ${neighbour} did not answer: ${message}`)
    }
  }

  const pullHome = createPull({ networkId, directory, clock, admission, pace, ask })

  const meet = (neighbour: NodeId): Promise<void> => {
    const known = meetings.get(neighbour)
    if (known) {
      known.isAgain = true
      return known.done
    }
    const meeting: Meeting = { isAgain: false, done: Promise.resolve() }
    meetings.set(neighbour, meeting)
    meeting.done = meetUntilThrough(neighbour, meeting).finally(() => meetings.delete(neighbour))
    return meeting.done
  }

  const meetUntilThrough = async (neighbour: NodeId, meeting: Meeting): Promise<void> => {
    do {
      meeting.isAgain = false
      try {
        await meetOnce(neighbour)
      } catch (error) {
        // The link that it was about may have made way for another.
        if (!meeting.isAgain) throw error
      }
    } while (meeting.isAgain)
  }

  const meetOnce = async (neighbour: NodeId): Promise<void> => {
    if (!suppliers.isTrusted(neighbour)) return
    try {
      await meetAll(neighbour)
    } catch (error) {
      suppliers.blame(neighbour, asMeshError(error))
      throw error
    }
  }

  const meetAll = async (neighbour: NodeId): Promise<void> => {
    let after = new Uint8Array(0)
    let homes = 0
    for (let more = true; more && homes < MAX_HOMES; ) {
      const r = reader(await ask(neighbour, NODE_METHOD.heads, after))
      more = r.u8() === 1 && r.left > 0
      while (r.left > 0) {
        const homeKey = r.bytes(KEY_BYTES).slice()
        // In their order, or a neighbour could keep this going for ever.
        if (compare(homeKey, after) <= 0) throw badFrame('homes out of order')
        const position = { epoch: r.u64(), index: r.u64() }
        const home = toHex(homeKey)
        if (admission.admits(home) && !directory.homes.has(home)) await pace.homeTurn(neighbour)
        // A comparison must not outlive its link, or links that come and go would pile them up.
        if (!options.isLinked(neighbour)) return
        const isWelcome = takeHead(r.block(MAX_HEAD_BYTES)) && home !== options.self
        if (isWelcome && isNews(directory, home, position)) await pull(neighbour, home)
        after = homeKey
        homes += 1
      }
    }
  }

  const pull = (neighbour: NodeId, home: NodeId): Promise<void> => {
    const running = pulls.get(home)
    if (running) return running
    if (!admission.mayPull(home)) return Promise.resolve()
    const supplier = [neighbour, ...options.neighbours()].find(suppliers.isTrusted)
    if (supplier === undefined || directory.banned.has(home)) return Promise.resolve()
    const done = pullHome(supplier, home)
      .catch((error: unknown) => {
        const failure = asMeshError(error)
        if (admission.noteRefusal('home', home, failure)) return
        const { code, message } = failure
        log.debug('Could not pull', { node: supplier, home, code, why: message })
        if (isHomesFault(failure)) options.onFault(home, failure)
        else suppliers.blame(supplier, failure)
      })
      .finally(() => pulls.delete(home))
    pulls.set(home, done)
    return done
  }

  return {
    meet,
    pull,
    serve: createSupply({
      directory,
      clock,
      flush: options.flush,
      pulling: (home) => pulls.get(home),
    }),
  }
}

/** A comparison with a neighbour that is under way. */
interface Meeting {
  done: Promise<void>
  /** Whether it was asked for again since it began. */
  isAgain: boolean
}

/** How a request can fail by itself, or to the harm of the neighbour alone. */
const OWN_FAILURES: readonly ErrorCode[] = ['TIMEOUT', 'CLOSED', 'BAD_FRAME']
