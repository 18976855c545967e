/** A proxy before a server that makes its distance longer: for TCP, so that it does so to any system alike. */

import { type AddressInfo, createServer, connect as dial, type Socket } from 'node:net'

/** What went through, and when it left on the other side. */
export interface Passed {
  readonly atMs: number
  readonly direction: 'up' | 'down'
  readonly bytes: number
}

export interface Proxy {
  readonly port: number
  /** Since the last call. */
  passed(): Passed[]
  close(): void
}

/**
 * Every chunk takes `oneWayMs`, in each direction and in its order. The client may write one round trip
 * after it has dialled, as TCP makes it wait: the system itself says at once that it is connected.
 */
export async function startProxy(port: number, oneWayMs: number): Promise<Proxy> {
  let log: Passed[] = []
  const sockets = new Set<Socket>()
  const server = createServer({ noDelay: true }, (client) => {
    const upstream = dial({ host: '127.0.0.1', port, noDelay: true })
    const pass = (from: Socket, to: Socket, direction: Passed['direction'], openAtMs: number) => {
      let last: Promise<unknown> = Promise.resolve()
      const later = (then: () => void): void => {
        const dueMs = Math.max(performance.now(), openAtMs) + oneWayMs
        last = last.then(() => until(dueMs)).then(then)
      }
      from.on('data', (chunk) =>
        later(() => {
          log.push({
            atMs: performance.timeOrigin + performance.now(),
            direction,
            bytes: chunk.length,
          })
          if (to.writable) to.write(chunk)
        }),
      )
      from.on('close', () => later(() => to.destroy()))
      from.on('error', () => {})
      sockets.add(from)
    }
    pass(client, upstream, 'up', performance.now() + 2 * oneWayMs)
    pass(upstream, client, 'down', 0)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return {
    port: (server.address() as AddressInfo).port,
    passed: () => {
      const all = log
      log = []
      return all
    },
    close: () => {
      for (const socket of sockets) socket.destroy()
      server.close()
    },
  }
}

/** Timers of Node.js may be early by a part of a millisecond, and count in whole ones. */
function until(dueMs: number): Promise<void> {
  return new Promise((resolve) => {
    const look = (): void => {
      const leftMs = dueMs - performance.now()
      if (leftMs <= 0) resolve()
      else if (leftMs < 1) setImmediate(look)
      else setTimeout(look, Math.floor(leftMs))
    }
    look()
  })
}
