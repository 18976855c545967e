/** What two edges say to each other to see that all of it arrives; runs in servers, and in pages as it stands. */

import type { Connection, Edge } from '../../src/edge/mod.ts'

/** What came back of what was said. */
export interface Exchange {
  readonly text: boolean
  readonly bytes: boolean
  readonly large: boolean
}

/** A topic of each caller: two peers then have a connection for each direction. */
export function topicOf(caller: string): string {
  return `calls of ${caller}`
}

/** Calls a peer as soon as its home has told of it. */
export async function call(edge: Edge, caller: string, peer: string): Promise<Exchange> {
  const topic = topicOf(caller)
  for await (const { kind, id } of edge.watch(topic)) if (kind === 'join' && id === peer) break
  return exchange(await edge.connect(peer, { topic }))
}

/** Gives back all that comes. */
export async function echo(connection: Connection): Promise<void> {
  for await (const message of connection.messages()) await connection.send(message)
}

/** Says something of each kind, one larger than any data channel takes, and compares what comes back. */
export async function exchange(connection: Connection): Promise<Exchange> {
  const large = Uint8Array.from({ length: 1_000_000 }, (_, index) => (index * 31) % 251)
  const bytes = Uint8Array.from({ length: 256 }, (_, index) => index)
  const text = 'straße ☕ 🛰'
  const said = [text, bytes, large] as const
  const heard: (string | Uint8Array)[] = []
  const hearing = (async () => {
    for await (const message of connection.messages()) {
      if (heard.push(message) === said.length) return
    }
  })()
  for (const message of said) await connection.send(message)
  await hearing
  // What else would show as three answers that are wrong.
  if (heard.length < said.length) throw connection.signal.reason
  const isSame = (index: number): boolean => {
    const [a, b] = [said[index], heard[index]]
    if (typeof a !== 'object' || typeof b !== 'object') return a === b
    return a.length === b.length && a.every((byte, at) => byte === b[at])
  }
  return { text: isSame(0), bytes: isSame(1), large: isSame(2) }
}
