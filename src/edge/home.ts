/** The home: an edge's one socket to the mesh, kept open at one node or another, with requests over it. */

import { toHex } from '../bytes.ts'
import { asMeshError, SignalMeshError } from '../errors.ts'
import type { IceOffer } from '../ice.ts'
import type { NodeId, PeerId } from '../identity.ts'
import { CARRY_AHEAD_BYTES, MAX_NAMED_TOPICS, WAKE_AGAIN_MS } from '../limits.ts'
import type { Link } from '../link.ts'
import type { Presence } from '../records.ts'
import { EDGE_METHOD } from '../rpc.ts'
import { createAsking } from './asking.ts'
import { createDialling, type Loss, type Named, socketUrl } from './dialling.ts'
import type { Told } from './greeting.ts'
import { attendHome, type HomeLink } from './homelink.ts'
import { createOwnRecords, type InfoOf, type OwnRecordsOptions } from './records.ts'
import { block, createRenewing } from './renewing.ts'
import { createStandby } from './standby.ts'
import { type Wakes, watchWakes } from './waking.ts'
import { createWitness } from './witness.ts'

/** `withheld`: other nodes know nothing of this edge, so this home is left for another. */
export type HomeState = 'connecting' | 'open' | 'withheld' | 'closed'

export interface HomeStatus {
  readonly url: string
  readonly nodeId: NodeId
  readonly state: HomeState
}

export interface HomeOptions extends OwnRecordsOptions {
  readonly urls: readonly string[]
  /** The topics that the edge is in from the first moment. */
  readonly tags: readonly Uint8Array[]
  dial(url: string): Link
  /** Signs that the machine or the network may have been away. */
  readonly wakes?: Wakes | undefined
  /** There was such a sign. */
  onWake?(): void
  onSignal(frame: Uint8Array): void
  onPush(frame: Uint8Array): void
  onCarried?(frame: Uint8Array): void
  onStun(offer: IceOffer, url: string): void
  onTurn(offer: IceOffer, url: string): void
  onStatus(status: HomeStatus): void
  /** The peer of whom the next home's first frame is to tell, if any. */
  wanted(): PeerId | undefined
  /** The topics, besides its own, of which the next home's first frame is to tell. */
  watched(): readonly Uint8Array[]
  /**
   * A home, perhaps another one, has been sent the proof, and tells of topics and of the peer. It is
   * not believed yet, but what is sealed for others may go out.
   */
  onGreeted(told: Told): void
  /** It has taken the edge on. */
  onOpen(): void
  /** The edge will have no home any more. */
  onFatal(error: SignalMeshError): void
}

export interface Home {
  readonly status: HomeStatus
  /** The presence last signed; an opening signal carries it. */
  readonly presence: Presence | undefined
  /** Why the last home was lost or not reached. */
  readonly lastError: SignalMeshError | undefined
  /** Takes a topic on, which each new home hears of too; a failure leaves it as it was. */
  advertise(tag: Uint8Array, info: InfoOf): Promise<void>
  unadvertise(tag: Uint8Array): Promise<void>
  /** Asks the home, or the next one if it is lost meanwhile. */
  request(method: number, body: Uint8Array): Promise<Uint8Array>
  /** Whether a signal would go out now. */
  readonly canSignal: boolean
  /** Sends a frame that homes are to carry, if that would hold up no signal. */
  carry(frame: Uint8Array): void
  /** Whether it would hold up none now. */
  readonly canCarry: boolean
  /** Sends a signal, if there is a home now, or one that is about to be. */
  signal(frame: Uint8Array): void
  close(): void
}

export function createHome(options: HomeOptions): Home {
  const { clock, networkId } = options
  const records = createOwnRecords(options)
  for (const tag of options.tags) records.add(tag, () => new Uint8Array(0))
  const dialling = createDialling(options.urls)
  let current: HomeLink | undefined
  let status: HomeStatus = { url: '', nodeId: '', state: 'connecting' }
  let lastError: SignalMeshError | undefined
  let cancelDial = (): void => {}
  let dialledAtMs = 0

  const setStatus = (next: HomeStatus): void => {
    status = next
    options.onStatus(next)
  }
  const open = (): HomeLink | undefined => (current?.isOpen ? current : undefined)
  const isClosed = (): boolean => status.state === 'closed'
  const witness = createWitness({
    networkId,
    clock,
    dial: options.dial,
    expected: () => {
      const { presence, tags } = records
      return open() && presence && { presence, tags }
    },
    others: () => dialling.others,
    onWithheld: () => {
      setStatus({ ...status, state: 'withheld' })
      current?.fail(new SignalMeshError('REFUSED', 'It keeps this edge from the mesh'))
    },
  })
  const renewing = createRenewing({ clock, records, onRenewed: witness.changed })
  const standby = createStandby({
    clock,
    others: () => dialling.otherGroups,
    home: () => status.nodeId,
    attend: (url) => attend(url, true),
  })
  const { ask, wake: wakeAsking } = createAsking({
    clock,
    open,
    isClosed,
    lastError: () => lastError,
  })

  /** A socket to a node, to be at home there at once, or to be ready for it. */
  const attend = (url: string, isStandby: boolean): HomeLink => {
    const socket = options.dial(
      socketUrl(url, isStandby ? { networkId, tags: [], isStandby } : named()),
    )
    const link: HomeLink = attendHome(
      socket,
      url,
      { ...options, records },
      {
        ...(isStandby && { onReady: () => standby.ready(link) }),
        onGreeted: options.onGreeted,
        onOpen,
        onLost: (loss) => {
          if (current === link) onLost(loss)
          else standby.lost(link)
        },
      },
    )
    return link
  }

  const dial = (): void => {
    const { url } = dialling
    setStatus({ url, nodeId: '', state: 'connecting' })
    dialledAtMs = clock.nowMs()
    try {
      current = attend(url, false)
    } catch (error) {
      // A browser throws for what its page may not dial, such as ws: from a page over https.
      again({ url, error: asMeshError(error, 'NO_HOME'), openMs: 0 })
    }
  }

  /** At the standby, if there is one; else wherever it is due. */
  const comeHome = (): void => {
    current = standby.take()
    if (current) {
      setStatus({ url: current.url, nodeId: '', state: 'connecting' })
      current.greet()
    } else dial()
  }

  /** The machine or the network was away: what was open may be dead, and what failed may do now. */
  const onWake = (): void => {
    options.onWake?.()
    dialling.hasten()
    standby.probe()
    if (current) current.probe()
    else {
      cancelDial()
      const inMs = Math.max(0, dialledAtMs + WAKE_AGAIN_MS - clock.nowMs())
      cancelDial = clock.after(Math.min(inMs, WAKE_AGAIN_MS), comeHome)
    }
  }

  const named = (): Named => {
    const all = [...options.watched(), ...records.tags].map((tag) => [toHex(tag), tag] as const)
    const peer = options.wanted()
    return {
      networkId,
      tags: [...new Map(all).values()].slice(0, MAX_NAMED_TOPICS),
      ...(peer && { peer }),
    }
  }

  const onOpen = (otherHomes: readonly string[]): void => {
    const { url } = status
    dialling.opened(url, otherHomes)
    const link = current as HomeLink
    renewing.begin(link)
    witness.changed()
    setStatus({ url, nodeId: link.nodeId, state: 'open' })
    standby.keep()
    wakeAsking()
    options.onOpen()
  }

  const onLost = (loss: Loss): void => {
    current = undefined
    renewing.stop()
    witness.stop()
    if (isClosed()) return
    if (isReplaced(loss))
      end(new SignalMeshError('REPLACED', 'Another session took over this edge'))
    else again(loss)
  }

  /** Whether another session is this edge now. A home that only says so is not believed. */
  const isReplaced = ({ error, openMs }: Loss): boolean => {
    if (error.code === 'CLOCK_SKEW') records.startOver()
    const newer = records.heed(error.evidence)
    if (!newer || !records.isOfOtherSession(newer)) return false
    // To a session that only comes, the record of one before it is no news: its own turn is now.
    return error.code === 'REPLACED' || (error.code === 'STALE_RECORD' && openMs > 0)
  }

  const again = (loss: Loss): void => {
    const { url, error } = loss
    lastError = new SignalMeshError(error.code, `No home at ${url}: ${error.message}`, {
      cause: error,
    })
    const waitMs = dialling.lost(loss, standby.isReady)
    if (dialling.hopeless) end(lastError)
    else {
      setStatus({ url, nodeId: '', state: 'connecting' })
      // Not by a timer where nothing is waited for: a hidden page's come late.
      if (waitMs === 0 && standby.isReady) comeHome()
      else cancelDial = clock.after(waitMs, comeHome)
    }
  }

  const end = (error: SignalMeshError): void => {
    close()
    options.onFatal(error)
  }

  const close = (): void => {
    if (isClosed()) return
    cancelDial()
    renewing.stop()
    stopWaking()
    witness.stop()
    setStatus({ ...status, state: 'closed' })
    standby.stop()
    current?.leave()
    wakeAsking()
  }

  const stopWaking = watchWakes(clock, options.wakes ?? (() => () => {}), onWake)
  dial()
  return {
    get status() {
      return status
    },
    get presence() {
      return records.presence
    },
    get lastError() {
      return lastError
    },
    advertise: async (tag, info) => {
      const takeBack = records.add(tag, info)
      try {
        // It may be taken back while there is no home yet.
        const makeBody = (): Uint8Array | undefined => {
          const advert = records.signAdvert(tag)
          return advert && block(advert)
        }
        await ask(EDGE_METHOD.advertise, makeBody)
        if (open()) witness.changed()
      } catch (error) {
        takeBack()
        throw error
      }
    },
    unadvertise: async (tag) => {
      records.remove(tag)
      if (open()) await ask(EDGE_METHOD.unadvertise, () => tag)
    },
    request: (method, body) => ask(method, () => body),
    get canSignal() {
      return current?.isGreeted ?? false
    },
    carry: (frame) => open()?.send(frame),
    get canCarry() {
      const link = open()
      return link !== undefined && link.bufferedBytes < CARRY_AHEAD_BYTES
    },
    signal: (frame) => {
      if (current?.isGreeted) current.send(frame)
    },
    close,
  }
}
