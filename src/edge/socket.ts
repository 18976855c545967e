/** A link to a home node over simple-websocket. */

import Socket from 'simple-websocket'
import { type Link, makeLink } from '../link.ts'

/** Opens a socket; the link closes at once if it cannot be opened. */
export function dialSocket(url: string): Link {
  // A socket handed in works on every runtime; a URL would make the package look for one itself.
  const webSocket = new WebSocket(url)
  const socket = new Socket({ socket: webSocket })
  let reason = 'The socket could not be opened'
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
  return link
}
