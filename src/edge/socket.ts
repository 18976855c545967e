/** A link to a home node over simple-websocket. */

import Socket from 'simple-websocket'
import { type Link, makeLink } from '../link.ts'
import { type Opening, openSocket } from './opening.ts'

/** Opens a socket; the link closes at once if it cannot be opened. */
export function dialSocket(url: string): Link {
  return linkOver(openSocket(url))
}

/** The link over a socket that may be open by now, have brought frames, and have closed again. */
export function linkOver({ webSocket, early: arrived }: Opening): Link {
  // A socket handed in works on every runtime; a URL would make the package look for one itself.
  const socket = new Socket({ socket: webSocket })
  // It would hold the process for a second, to flush what `close` flushes.
  socket.removeAllListeners('finish')
  const wasOpen = socket.connected || arrived.length > 0
  let reason = wasOpen ? 'The socket closed' : 'The socket could not be opened'
  const early: Uint8Array[] = []
  const { link, receive, end } = makeLink({
    send: (frame) => {
      if (socket.connected) socket.send(frame)
      else early.push(frame)
    },
    bufferedBytes: () => webSocket.bufferedAmount,
    close: (why) => {
      reason = why
      // `close` sends what is queued first; `destroy` then lets go of the stream.
      webSocket.close(1000)
      end(why)
    },
  })
  socket.on('connect', () => {
    reason = 'The socket closed'
    for (const frame of early.splice(0)) socket.send(frame)
  })
  socket.on('data', receive)
  // The close that follows says all there is to say.
  socket.on('error', () => {})
  socket.on('close', () => end(reason))
  // Not at once: whoever makes a link hears nothing of it before its own turn is over.
  queueMicrotask(() => {
    for (const { data } of arrived) if (data instanceof ArrayBuffer) receive(new Uint8Array(data))
    // Its close came before anybody listened for it.
    if (webSocket.readyState === WebSocket.CLOSED) socket.destroy()
  })
  return link
}
