/** The home: an edge's one socket to the mesh, kept open at one node or another, with requests over it. */

import { authorityOf, mayDial } from '../authority.ts'
import { equal, toHex, writer } from '../bytes.ts'
import type { Clock } from '../clock.ts'
import { type KeyPair, randomBytes, sign, verify } from '../crypto.ts'
import { asMeshError, type ErrorCode, SignalMeshError } from '../errors.ts'
import type { Identity, NodeId } from '../identity.ts'
import { keepAlive } from '../keepalive.ts'
import {
  BACKOFF_FIRST_MS,
  BACKOFF_MAX_MS,
  EDGE_PROOF_MS,
  RECORD_RENEW_MS,
  RECORD_TTL_MS,
  REQUEST_TIMEOUT_MS,
} from '../limits.ts'
import type { Link } from '../link.ts'
import {
  decodeBye,
  decodeHello,
  decodeWelcome,
  encodeBye,
  encodeProof,
  FRAME,
  type Hello,
  proofBody,
} from '../messages.ts'
import { type Advert, decodePresence, type Presence, signAdvert, signPresence } from '../records.ts'
import { createRpc, EDGE_METHOD, type Rpc } from '../rpc.ts'
import { PROTOCOL_VERSION } from '../topic.ts'

export type HomeState = 'connecting' | 'open' | 'closed'

export interface HomeStatus {
  readonly url: string
  readonly nodeId: NodeId
  readonly state: HomeState
}

export interface HomeOptions {
  readonly urls: readonly string[]
  readonly networkId: Uint8Array
  readonly identity: Identity
  /** This session's X25519 keys. */
  readonly boxKeys: KeyPair
  readonly clock: Clock
  dial(url: string): Link
  onSignal(frame: Uint8Array): void
  onPush(frame: Uint8Array): void
  onStatus(status: HomeStatus): void
  /** The edge has a home again, perhaps another one. */
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
  /** Adverts are signed again with each new home. */
  advertise(tag: Uint8Array, info: Uint8Array): Promise<void>
  unadvertise(tag: Uint8Array): Promise<void>
  /** Waits for a home within the time of a request. */
  request(method: number, body: Uint8Array): Promise<Uint8Array>
  /** Sends a signal, if there is a home now. */
  signal(frame: Uint8Array): void
  close(): void
}

/** Codes after which no home will do. */
const FATAL: readonly ErrorCode[] = ['REPLACED']
/** Codes after which the same home may do at once. */
const AT_ONCE: readonly ErrorCode[] = ['STALE_RECORD']

interface Socket {
  readonly link: Link
  readonly url: string
  readonly rpc: Rpc
  hello: { frame: Uint8Array; fields: Hello } | undefined
  nonce: Uint8Array
  open: boolean
}

export function createHome(options: HomeOptions): Home {
  const { clock, identity, networkId } = options
  const adverts = new Map<string, { tag: Uint8Array; info: Uint8Array }>()
  const learned: string[] = []
  const waiters = new Set<() => void>()
  let socket: Socket | undefined
  let status: HomeStatus = { url: '', nodeId: '', state: 'connecting' }
  let presence: Presence | undefined
  let lastError: SignalMeshError | undefined
  let lastSeq = 0
  let offsetMs = 0
  let attempt = 0
  let cancelTimer: () => void = () => {}
  let cancelRenew: () => void = () => {}

  const setStatus = (next: HomeStatus): void => {
    status = next
    options.onStatus(next)
  }

  const nextSeq = (): number => {
    lastSeq = Math.max(lastSeq + 1, clock.nowMs() + offsetMs)
    return lastSeq
  }

  const signedAdvert = ({ tag, info }: { tag: Uint8Array; info: Uint8Array }): Advert =>
    signAdvert(networkId, identity.keys, { tag, info, seq: nextSeq(), ttlMs: RECORD_TTL_MS })

  const signedPresence = (homeKey: Uint8Array): Presence => {
    presence = signPresence(networkId, identity.keys, {
      homeKey,
      boxKey: options.boxKeys.publicKey,
      seq: nextSeq(),
      ttlMs: RECORD_TTL_MS,
    })
    return presence
  }

  const dial = (): void => {
    const urls = [...options.urls, ...learned]
    const url = urls[attempt % urls.length] as string
    setStatus({ url, nodeId: '', state: 'connecting' })
    const link = options.dial(socketUrl(url))
    const alive = keepAlive(link, clock)
    const rpc = createRpc({ clock, send: (frame) => link.send(frame) })
    const opened: Socket = { link, url, rpc, hello: undefined, nonce: randomBytes(32), open: false }
    socket = opened
    const cancelProof = clock.after(EDGE_PROOF_MS, () => {
      if (!opened.open) link.close('TIMEOUT')
    })
    link.subscribe((frame) => {
      try {
        if (!alive.heard(frame)) receive(opened, frame)
      } catch (error) {
        lastError = asMeshError(error)
        link.close(lastError.code)
      }
    })
    void link.closed.then((reason) => {
      cancelProof()
      alive.stop()
      rpc.close()
      lost(opened, reason)
    })
  }

  const receive = (from: Socket, frame: Uint8Array): void => {
    if (frame[0] === FRAME.hello && !from.hello) prove(from, frame)
    else if (frame[0] === FRAME.welcome && from.hello && !from.open) welcomed(from, frame)
    else if (frame[0] === FRAME.bye) {
      lastError = decodeBye(frame)
      from.link.close(lastError.code)
    } else if (!from.open) throw new SignalMeshError('BAD_FRAME', 'The home spoke out of turn')
    else if (frame[0] === FRAME.signal) options.onSignal(frame)
    else if (frame[0] === FRAME.push) options.onPush(frame)
    else if (frame[0] === FRAME.rpc) from.rpc.receive(frame)
  }

  const prove = (to: Socket, frame: Uint8Array): void => {
    const hello = decodeHello(frame)
    if (!hello.versions.includes(PROTOCOL_VERSION)) {
      const spoken = hello.versions.join(', ')
      throw new SignalMeshError('VERSION_MISMATCH', `${to.url} speaks version ${spoken}, not ${PROTOCOL_VERSION}`)
    }
    if (!hello.networks.some((network) => equal(network, networkId))) {
      throw new SignalMeshError('NETWORK_MISMATCH', `${to.url} serves another network`)
    }
    to.hello = { frame: frame.slice(), fields: hello }
    offsetMs = hello.nowMs - clock.nowMs()
    const proof = {
      version: PROTOCOL_VERSION,
      features: new Uint8Array(8),
      networkId,
      peerKey: identity.keys.publicKey,
      nonce: to.nonce,
      authority: authorityOf(socketUrl(to.url)),
    }
    to.link.send(
      encodeProof({
        ...proof,
        signature: sign('edge-proof', networkId, proofBody(frame, proof), identity.keys),
        presence: signedPresence(hello.nodeKey),
        adverts: [...adverts.values()].map(signedAdvert),
      }),
    )
  }

  const welcomed = (from: Socket, frame: Uint8Array): void => {
    const welcome = decodeWelcome(frame)
    const { challenge, nodeKey } = (from.hello as NonNullable<Socket['hello']>).fields
    const body = writer(64).bytes(from.nonce).bytes(challenge).done()
    if (!verify('node-proof', networkId, body, welcome.signature, nodeKey)) {
      throw new SignalMeshError('BAD_SIGNATURE', `${from.url} did not prove its NodeId`)
    }
    from.open = true
    attempt = [...options.urls, ...learned].indexOf(from.url)
    failures = 0
    learn(from.url, welcome.otherHomes)
    scheduleRenew()
    setStatus({ url: from.url, nodeId: toHex(nodeKey), state: 'open' })
    for (const wake of [...waiters]) wake()
    options.onOpen()
  }

  const learn = (home: string, urls: readonly string[]): void => {
    const fresh = urls.filter((url) => !options.urls.includes(url) && mayDial(home, url))
    if (fresh.length) learned.splice(0, learned.length, ...fresh)
    attempt = Math.max(0, [...options.urls, ...learned].indexOf(home))
  }

  let failures = 0
  const lost = (from: Socket, reason: string): void => {
    if (socket !== from) return
    socket = undefined
    cancelRenew()
    lastError ??= new SignalMeshError('NO_HOME', `Lost ${from.url}: ${reason}`)
    const { code } = lastError
    if (status.state === 'closed') return
    if (FATAL.includes(code)) {
      const error = lastError
      close()
      options.onFatal(error)
      return
    }
    if (code === 'STALE_RECORD' && lastError.evidence) {
      lastSeq = Math.max(lastSeq, decodePresence(lastError.evidence).seq)
    }
    setStatus({ url: from.url, nodeId: '', state: 'connecting' })
    if (!AT_ONCE.includes(code)) attempt += 1
    failures += 1
    lastError = undefined
    previousError = new SignalMeshError(code, `No home at ${from.url}: ${reason}`)
    // A lost home is left at once; homes that do not answer are tried ever more slowly.
    const stepMs = Math.min(BACKOFF_MAX_MS, BACKOFF_FIRST_MS * 2 ** Math.min(failures - 1, 10))
    const waitMs = from.open ? Math.random() * BACKOFF_FIRST_MS : stepMs * (0.5 + Math.random() / 2)
    cancelTimer = clock.after(waitMs, dial)
  }
  let previousError: SignalMeshError | undefined

  const scheduleRenew = (): void => {
    cancelRenew()
    const inMs = RECORD_RENEW_MS * (0.9 + Math.random() * 0.2)
    cancelRenew = clock.after(inMs, () => {
      if (!socket?.open) return
      renew(socket).catch((error: unknown) => socket?.link.close(asMeshError(error).code))
    })
  }

  const renew = async (at: Socket): Promise<void> => {
    const { nodeKey } = (at.hello as NonNullable<Socket['hello']>).fields
    const bytes = signedPresence(nodeKey).bytes
    await at.rpc.request(EDGE_METHOD.renew, writer().block(bytes).done())
    for (const advert of adverts.values()) {
      await at.rpc.request(EDGE_METHOD.advertise, writer().block(signedAdvert(advert).bytes).done())
    }
    scheduleRenew()
  }

  /** Resolves when there is a home; rejects when none came in the time of a request. */
  const whenOpen = (): Promise<Socket> => {
    if (socket?.open) return Promise.resolve(socket)
    if (status.state === 'closed') return Promise.reject(closedError())
    return new Promise((resolve, reject) => {
      const cancel = clock.after(REQUEST_TIMEOUT_MS, () => {
        waiters.delete(wake)
        reject(
          new SignalMeshError('NO_HOME', 'No home node answers; check its URL and that it runs', {
            cause: previousError,
          }),
        )
      })
      const wake = (): void => {
        cancel()
        waiters.delete(wake)
        if (socket?.open) resolve(socket)
        else reject(closedError())
      }
      waiters.add(wake)
    })
  }

  const close = (): void => {
    cancelTimer()
    cancelRenew()
    setStatus({ ...status, state: 'closed' })
    socket?.link.send(encodeBye(new SignalMeshError('CLOSED', 'The edge has closed')))
    socket?.link.close('CLOSED')
    for (const wake of [...waiters]) wake()
  }

  dial()
  return {
    get status() {
      return status
    },
    get presence() {
      return presence
    },
    get lastError() {
      return previousError
    },
    advertise: async (tag, info) => {
      const advert = { tag, info }
      adverts.set(toHex(tag), advert)
      try {
        const { rpc } = await whenOpen()
        await rpc.request(EDGE_METHOD.advertise, writer().block(signedAdvert(advert).bytes).done())
      } catch (error) {
        // Without a home now, the next one gets it with the proof.
        const { code } = asMeshError(error)
        if (code === 'CLOSED' && status.state !== 'closed') return
        if (code !== 'NO_HOME') adverts.delete(toHex(tag))
        throw error
      }
    },
    unadvertise: async (tag) => {
      adverts.delete(toHex(tag))
      if (socket?.open) await socket.rpc.request(EDGE_METHOD.unadvertise, tag)
    },
    request: async (method, body) => (await whenOpen()).rpc.request(method, body),
    signal: (frame) => {
      if (socket?.open) socket.link.send(frame)
    },
    close,
  }
}

/** Where edges' sockets end at a node: its URL with the scheme of sockets and the path `/edge`. */
export function socketUrl(url: string): string {
  const at = new URL(url)
  at.protocol = at.protocol.replace(/^http/, 'ws')
  at.pathname = `${at.pathname.replace(/\/$/, '')}/edge`
  at.hash = ''
  return at.href
}

function closedError(): SignalMeshError {
  return new SignalMeshError('CLOSED', 'The edge is closed')
}
