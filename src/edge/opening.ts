/** Opening: the socket to the first home, begun before the rest of the client is here to take it over. */

import { toHex } from '../bytes.ts'
import { MAX_EARLY_FRAMES, MAX_NAMED_TOPICS } from '../limits.ts'
import { networkId, topicTag } from '../topic.ts'
import { socketUrl } from './dialling.ts'
import { homeUrls, type JoinOptions } from './options.ts'

export interface Opening {
  readonly url: string
  readonly webSocket: WebSocket
  /** What came before anybody took it over; a node says one frame and waits. */
  readonly early: readonly MessageEvent[]
}

/** Begins the socket that joining will ask for first; `undefined` where it will ask for none, or the page may not dial it. */
export function openFirst(options: JoinOptions): Opening | undefined {
  const { network = 'main', topics = [], connect, signal, sharedWorker } = options
  const tags = topics.map((topic) => topicTag(network, topic))
  const each = [...new Map(tags.map((tag) => [toHex(tag), tag])).values()]
  const [url = ''] = homeUrls(options.urls)
  const id = networkId(network)
  if (signal?.aborted || sharedWorker !== undefined) return undefined
  try {
    const peer = connect?.id.toLowerCase()
    const named = { networkId: id, tags: each.slice(0, MAX_NAMED_TOPICS), ...(peer && { peer }) }
    return openSocket(socketUrl(url, named))
  } catch {
    // Joining tries it again, and knows what to do then.
    return undefined
  }
}

export function openSocket(url: string): Opening {
  const webSocket = new WebSocket(url)
  const early: MessageEvent[] = []
  webSocket.binaryType = 'arraybuffer'
  webSocket.onmessage = (event) => {
    if (early.length < MAX_EARLY_FRAMES) early.push(event)
    else webSocket.close()
  }
  return { url, webSocket, early }
}

/** The URL's socket, if that is it and nobody has it; what else was opened is closed. */
export function takeOnce(opening: Opening | undefined): (url: string) => Opening {
  let left = opening
  return (url) => {
    const first = left
    left = undefined
    if (first?.url === url) return first
    first?.webSocket.close()
    return openSocket(url)
  }
}
