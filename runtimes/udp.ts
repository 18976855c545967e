/** UDP ports, by `node:dgram`, which Node, Deno and Bun have alike. */

import { createSocket, type Socket } from 'node:dgram'
import { SignalMeshError } from '../src/errors.ts'
import type { UdpAddress, UdpOptions, UdpPort } from '../src/runtime.ts'
import { whyOf } from './why.ts'

/** A port of one address, or of all addresses of both families. */
export async function openUdp(options: UdpOptions): Promise<UdpPort> {
  const { host } = options
  if (host !== '0.0.0.0' && host !== '::') {
    const only = await bind(host.includes(':') ? 'udp6' : 'udp4', host, options.port, options)
    return portOf([only], only.address().port)
  }
  const first = await bind('udp4', '0.0.0.0', options.port, options)
  const { port } = first.address()
  // Not every machine has IPv6, and where it has, somebody else may have this port of it.
  const second = await bind('udp6', '::', port, options).catch(() => undefined)
  return portOf(second ? [first, second] : [first], port)
}

function portOf(sockets: readonly Socket[], port: number): UdpPort {
  let isClosed = false
  return {
    port,
    send: (datagram, { address, port: to }) => {
      if (isClosed) return
      const family = address.includes(':') ? 'IPv6' : 'IPv4'
      const socket = sockets.find((one) => one.address().family === family)
      // A callback takes the errors of one datagram, which would otherwise be the socket's.
      socket?.send(datagram, to, address, () => {})
    },
    close: async () => {
      if (isClosed) return
      isClosed = true
      await Promise.all(
        sockets.map((socket) => new Promise<void>((resolve) => socket.close(() => resolve()))),
      )
    },
  }
}

async function bind(
  type: 'udp4' | 'udp6',
  host: string,
  port: number,
  { onDatagram }: UdpOptions,
): Promise<Socket> {
  // Each family has a socket of its own, so that no address comes in the other's notation.
  const socket = createSocket({ type, ...(type === 'udp6' && { ipv6Only: true }) })
  try {
    await new Promise<void>((resolve, reject) => {
      socket.once('error', reject)
      socket.bind(port, host, resolve)
    })
  } catch (cause) {
    close(socket)
    throw udpError(`${host}:${port}`, cause)
  }
  socket.removeAllListeners('error')
  // Such as that nobody was there for what was sent.
  socket.on('error', () => {})
  socket.on('message', (datagram: Uint8Array, { address, port: from }: UdpAddress) =>
    onDatagram(new Uint8Array(datagram), { address, port: from }),
  )
  return socket
}

/** One that could not be bound may be closed already. */
function close(socket: Socket): void {
  try {
    socket.close()
  } catch {
    return
  }
}

function udpError(where: string, cause: unknown): SignalMeshError {
  const inUse = (cause as NodeJS.ErrnoException).code === 'EADDRINUSE'
  return inUse
    ? new SignalMeshError('PORT_IN_USE', `UDP ${where} is in use`, { cause })
    : new SignalMeshError('BAD_CONFIG', `Cannot open UDP ${where}: ${whyOf(cause)}`, { cause })
}
