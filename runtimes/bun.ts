/** Bun as a runtime: `Bun.serve`, its WebSockets, a folder. */

import process from 'node:process'
import type { ListenOptions, Running, Runtime, UpgradeInfo } from '../src/runtime.ts'
import { dialMesh } from './bun-dial.ts'
import { type BunSocket, type SocketData, socketHandlers } from './bun-sockets.ts'
import { KEEP_ALIVE_MS, MAX_BODY_BYTES, STOP_MS } from './limits.ts'
import { checkTls, listenError } from './listen-error.ts'
import { noDht } from './no-dht.ts'
import { plain } from './pages.ts'
import { openStore } from './store.ts'
import { openUdp } from './udp.ts'

export const runtime: Runtime = {
  name: 'bun',
  version: process.versions.bun ?? '',
  listen,
  // Hyperswarm is loaded for a relay alone: a HyperDHT of its own would end the process.
  join: async (options) =>
    options.relays?.length
      ? (await import('./relayed.ts')).joinThroughRelay(options)
      : noDht('Bun'),
  dial: dialMesh,
  openUdp,
  openStore,
}

/** What is used of `Bun.serve`. */
interface BunServer {
  readonly port: number
  stop(cutsAll: boolean): Promise<void>
  requestIP(request: Request): { readonly address: string } | null
  upgrade(request: Request, options: { readonly data: SocketData }): boolean
}

interface Serve {
  serve(options: object): BunServer
}

async function listen(options: ListenOptions): Promise<Running> {
  const { host, port, tls } = options
  if (tls) checkTls(tls)
  const open = new Set<BunSocket>()
  const settings = {
    hostname: host,
    port,
    ...(tls && { tls }),
    // Seconds; it cuts who sends a request too slowly, too.
    idleTimeout: KEEP_ALIVE_MS / 1000,
    maxRequestBodySize: MAX_BODY_BYTES,
    fetch: (request: Request, at: BunServer) => respond(options, request, at),
    error: () => plain(500, 'Internal error'),
    websocket: socketHandlers(open),
  }
  let server = serve(settings, `${host}:${port}`)
  return {
    port: server.port,
    ...(tls && {
      useTls: (next) => {
        checkTls(next)
        // Bun changes no certificate of a server: this one takes nobody any more, and keeps whom it has.
        const at = server.port
        void server.stop(false)
        server = serve({ ...settings, port: at, tls: next }, `${host}:${at}`)
      },
    }),
    close: async () => {
      for (const socket of open) socket.close(1001, 'GOING_AWAY')
      // What is being answered may come to its end.
      const cut = setTimeout(() => void server.stop(true), STOP_MS)
      await server.stop(open.size > 0)
      clearTimeout(cut)
    },
  }
}

function serve(settings: object, where: string): BunServer {
  try {
    return (globalThis as unknown as { readonly Bun: Serve }).Bun.serve(settings)
  } catch (cause) {
    throw listenError(where, cause)
  }
}

async function respond(
  options: ListenOptions,
  request: Request,
  server: BunServer,
): Promise<Response | undefined> {
  if (!makesSense(request)) return plain(400, 'Bad request')
  const info = infoOf(request, server)
  if (!request.headers.has('upgrade')) return options.fetch(request, info)
  const decision = options.upgrade(request, info)
  if (typeof decision !== 'function') return decision
  // No answer here: the socket has it.
  if (server.upgrade(request, { data: { take: decision } })) return undefined
  return plain(400, 'Bad request')
}

/** Bun puts the URL together from what the Host header says, whatever that is. */
function makesSense({ url, method, headers }: Request): boolean {
  if (method === 'TRACE' || method === 'CONNECT') return false
  return URL.canParse(url) && /^[\w.:[\]-]+$/.test(headers.get('host') ?? '')
}

function infoOf(request: Request, server: BunServer): UpgradeInfo {
  const { address } = server.requestIP(request) ?? { address: '' }
  // A socket that listens on both families names IPv4 peers in IPv6 notation.
  return { remoteAddress: address.replace(/^::ffff:(?=\d+\.)/i, '') }
}
