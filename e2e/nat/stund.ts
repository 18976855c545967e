/** The laboratory's own STUN server: two addresses by two ports, and it answers from another if asked to. */

import { createSocket, type Socket } from 'node:dgram'
import { once } from 'node:events'
import { isIPv6 } from 'node:net'
import { answer, parse } from './stunbytes.ts'

export const STUN_PORTS = [3478, 3479] as const

if (import.meta.main) {
  // Pairs of addresses, of IPv4 and of IPv6.
  for (const pair of process.argv.slice(2)) await serve(pair.split(','))
  console.log('STUN answers')
}

async function serve(addresses: readonly string[]): Promise<void> {
  const sockets = new Map<string, Socket>()
  const key = (address: number, port: number): string => `${address & 1}/${port & 1}`
  for (const [i, address] of addresses.entries()) {
    for (const [k, port] of STUN_PORTS.entries()) {
      const socket = createSocket(isIPv6(address) ? 'udp6' : 'udp4')
      socket.bind(port, address)
      await once(socket, 'listening')
      sockets.set(key(i, k), socket)
      socket.on('message', (bytes, from) => {
        const message = parse(bytes)
        if (!message?.isRequest) return
        const { change, id } = message
        const other = sockets.get(key(i + (change.address ? 1 : 0), k + (change.port ? 1 : 0)))
        other?.send(answer(id, from), from.port, from.address, () => {})
      })
    }
  }
}
