/** The home: an edge's one socket to the mesh, kept open at one node or another, with requests over it. */

import { toHex, writer } from '../bytes.ts'
import { asMeshError, SignalMeshError } from '../errors.ts'
import type { NodeId } from '../identity.ts'
import { MAX_NAMED_TOPICS, RECORD_RENEW_MS } from '../limits.ts'
import type { Link } from '../link.ts'
import type { HelloTopic } from '../messages.ts'
import type { EdgeRecord, Presence } from '../records.ts'
import { EDGE_METHOD } from '../rpc.ts'
import { createAsking } from './asking.ts'
import { createDialling, type Loss, socketUrl } from './dialling.ts'
import { attendHome, type HomeLink } from './homelink.ts'
import { createOwnRecords, type OwnRecordsOptions } from './records.ts'
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
  onSignal(frame: Uint8Array): void
  onPush(frame: Uint8Array): void
  onStatus(status: HomeStatus): void
  /** The topics, besides its own, of which the next home's first frame is to tell. */
  watched(): readonly Uint8Array[]
  /**
   * A home, perhaps another one, has been sent the proof, and tells of topics. It is not believed
   * yet, but what is sealed for others may go out.
   */
  onGreeted(topics: readonly HelloTopic[]): void
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
  advertise(tag: Uint8Array, info: Uint8Array): Promise<void>
  unadvertise(tag: Uint8Array): Promise<void>
  /** Asks the home, or the next one if it is lost meanwhile. */
  request(method: number, body: Uint8Array): Promise<Uint8Array>
  /** Sends a signal, if there is a home now, or one that is about to be. */
  signal(frame: Uint8Array): void
  close(): void
}

export function createHome(options: HomeOptions): Home {
  const { clock } = options
  const records = createOwnRecords(options)
  for (const tag of options.tags) records.add(tag, new Uint8Array(0))
  const dialling = createDialling(options.urls)
  let current: HomeLink | undefined
  let status: HomeStatus = { url: '', nodeId: '', state: 'connecting' }
  let lastError: SignalMeshError | undefined
  let cancelDial = (): void => {}
  let cancelRenew = (): void => {}

  const setStatus = (next: HomeStatus): void => {
    status = next
    options.onStatus(next)
  }
  const open = (): HomeLink | undefined => (current?.isOpen ? current : undefined)
  const isClosed = (): boolean => status.state === 'closed'
  const witness = createWitness({
    networkId: options.networkId,
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
  const { ask, wake } = createAsking({ clock, open, isClosed, lastError: () => lastError })

  const dial = (): void => {
    const { url } = dialling
    setStatus({ url, nodeId: '', state: 'connecting' })
    const events = {
      onGreeted: options.onGreeted,
      onOpen,
      onLost: (loss: Loss) => onLost(link, loss),
    }
    let link: HomeLink | undefined
    try {
      const socket = options.dial(socketUrl(url, { tags: namedTags() }))
      link = attendHome(socket, url, { ...options, records }, events)
      current = link
    } catch (error) {
      // A browser throws for what its page may not dial, such as ws: from a page over https.
      again({ url, error: asMeshError(error, 'NO_HOME'), openMs: 0 })
    }
  }

  const namedTags = (): Uint8Array[] => {
    const all = [...options.watched(), ...records.tags].map((tag) => [toHex(tag), tag] as const)
    return [...new Map(all).values()].slice(0, MAX_NAMED_TOPICS)
  }

  const onOpen = (otherHomes: readonly string[]): void => {
    const { url } = status
    dialling.opened(url, otherHomes)
    scheduleRenew()
    witness.changed()
    setStatus({ url, nodeId: current?.nodeId ?? '', state: 'open' })
    wake()
    options.onOpen()
  }

  const onLost = (link: HomeLink | undefined, loss: Loss): void => {
    if (current !== link) return
    current = undefined
    cancelRenew()
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
    const waitMs = dialling.lost(loss)
    if (dialling.hopeless) end(lastError)
    else {
      setStatus({ url, nodeId: '', state: 'connecting' })
      cancelDial = clock.after(waitMs, dial)
    }
  }

  const end = (error: SignalMeshError): void => {
    close()
    options.onFatal(error)
  }

  const close = (): void => {
    if (isClosed()) return
    cancelDial()
    cancelRenew()
    witness.stop()
    setStatus({ ...status, state: 'closed' })
    current?.leave()
    wake()
  }

  const scheduleRenew = (): void => {
    const link = current as HomeLink
    const inMs = Math.round(RECORD_RENEW_MS * (0.9 + Math.random() * 0.2))
    cancelRenew = clock.after(inMs, () => {
      renew(link).then(() => {
        if (current !== link || isClosed()) return
        scheduleRenew()
        witness.changed()
      }, link.fail)
    })
  }

  const renew = async ({ rpc, homeKey }: HomeLink): Promise<void> => {
    await rpc.request(EDGE_METHOD.renew, block(records.signPresence(homeKey)))
    for (const advert of records.signAdverts()) {
      await rpc.request(EDGE_METHOD.advertise, block(advert))
    }
  }

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
    signal: (frame) => {
      if (current?.isGreeted) current.send(frame)
    },
    close,
  }
}

function block(record: EdgeRecord): Uint8Array {
  return writer().block(record.bytes).done()
}
