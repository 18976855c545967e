/** The feed: where the page hears of the mesh. It is pushed by its node, asked for, or a recording. */

import type { MeshMessage } from '../src/management.ts'
import { AGAIN_FIRST_MS, AGAIN_MOST_MS, RECORDING_BYTES } from './bounds.ts'
import { readMessage, readView } from './read.ts'

/** `asked` is without push: the page asks again and again. */
export type FeedState = 'connecting' | 'live' | 'asked' | 'lost' | 'recorded' | 'unreadable'

export interface FeedOptions {
  onMessages(messages: readonly MeshMessage[]): void
  onState(state: FeedState): void
}

/** Hears of the mesh as `query` says: `recorded` names a recording, `network` one of several networks. */
export function openFeed(query: URLSearchParams, options: FeedOptions): void {
  const recorded = query.get('recorded')
  if (recorded === null) follow(query.get('network'), options)
  else void replay(recorded, options)
}

function follow(network: string | null, { onMessages, onState }: FeedOptions): void {
  const asked = network === null ? '' : `?network=${encodeURIComponent(network)}`
  const decoder = new TextDecoder()
  let waitMs = AGAIN_FIRST_MS

  const again = async (): Promise<void> => {
    // Who has no room for one more that watches, or a proxy without WebSocket, may answer all the same.
    const view = await ask(`/mesh.json${asked}`)
    if (view) onMessages(readView(view))
    onState(view ? 'asked' : 'lost')
    setTimeout(connect, waitMs)
    waitMs = Math.min(2 * waitMs, AGAIN_MOST_MS)
  }

  const connect = (): void => {
    const url = new URL(`/mesh/events${asked}`, location.href)
    url.protocol = url.protocol.replace('http', 'ws')
    const socket = new WebSocket(url)
    socket.binaryType = 'arraybuffer'
    socket.onmessage = ({ data }) => {
      waitMs = AGAIN_FIRST_MS
      onState('live')
      onMessages(parsed(typeof data === 'string' ? data : decoder.decode(data as ArrayBuffer)))
    }
    socket.onclose = () => void again()
  }

  onState('connecting')
  connect()
}

async function ask(path: string): Promise<unknown> {
  try {
    const response = await fetch(path)
    return response.ok ? await response.json() : undefined
  } catch {
    return undefined
  }
}

/** A recording is an answer of `/mesh.json`, or what the socket said: a message on each line. */
async function replay(path: string, { onMessages, onState }: FeedOptions): Promise<void> {
  onState('connecting')
  try {
    const response = await fetch(path)
    const text = await response.text()
    if (!response.ok || text.length > RECORDING_BYTES) throw new Error('No recording, or too large')
    const messages = isView(text) ? readView(JSON.parse(text)) : text.split('\n').flatMap(parsed)
    if (messages.length === 0) throw new Error('Nothing in it')
    onMessages(messages)
    onState('recorded')
  } catch {
    onState('unreadable')
  }
}

function isView(text: string): boolean {
  return /^\s*\{\s*"network"/.test(text)
}

function parsed(text: string): MeshMessage[] {
  try {
    const message = readMessage(JSON.parse(text))
    return message ? [message] : []
  } catch {
    return []
  }
}
