/** A front before a node, as a proxy of its operator would be: over TLS if asked, and it counts the sockets. */

import { createServer, request } from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import { type AddressInfo, connect, type Socket } from 'node:net'
import { cert, key } from '../../test/fixtures/tls.ts'

export interface Front {
  /** The public URL of the node behind. */
  readonly url: string
  /** The paths of the WebSockets that are open now. */
  readonly sockets: readonly string[]
  /** Names the node, which is started after its front, for it has to know its URL. */
  to(nodeUrl: string): void
  stop(): Promise<void>
}

export interface FrontOptions {
  readonly tls?: boolean
  /** The host in its URL; it listens on 127.0.0.1 all the same. */
  readonly host?: string
}

export async function openFront(options: FrontOptions = {}): Promise<Front> {
  const server = options.tls ? createTlsServer({ cert, key }) : createServer()
  const all = new Set<Socket>()
  const open = new Map<Socket, string>()
  let target = new URL('http://127.0.0.1:1')
  const track = (socket: Socket): void => {
    all.add(socket)
    socket.on('error', () => socket.destroy())
    socket.on('close', () => all.delete(socket))
  }
  server.on('connection', track)
  server.on('request', (incoming, answer) => {
    const { method, url, headers } = incoming
    const asked = request(new URL(url ?? '/', target), { method, headers }, (response) => {
      answer.writeHead(response.statusCode ?? 502, response.headers)
      response.pipe(answer)
    })
    asked.on('error', () => answer.writeHead(502).end())
    asked.end()
  })
  server.on('upgrade', (incoming, stream, head) => {
    const socket = stream as Socket
    const node = connect(Number(target.port), target.hostname)
    track(node)
    track(socket)
    open.set(socket, new URL(incoming.url ?? '/', target).pathname)
    const end = (): void => {
      open.delete(socket)
      socket.destroy()
      node.destroy()
    }
    node.on('close', end)
    socket.on('close', end)
    const lines = incoming.rawHeaders.flatMap((name, i, raw) =>
      i % 2 === 0 ? `${name}: ${raw[i + 1]}` : [],
    )
    node.write([`GET ${incoming.url} HTTP/1.1`, ...lines, '', ''].join('\r\n'))
    node.write(head)
    socket.pipe(node)
    node.pipe(socket)
  })
  await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening))
  const { port } = server.address() as AddressInfo
  return {
    url: `${options.tls ? 'https' : 'http'}://${options.host ?? '127.0.0.1'}:${port}`,
    get sockets() {
      return [...open.values()]
    },
    to: (nodeUrl) => {
      target = new URL(nodeUrl)
    },
    stop: () =>
      new Promise((stopped) => {
        server.close(() => stopped())
        for (const socket of all) socket.destroy()
      }),
  }
}
