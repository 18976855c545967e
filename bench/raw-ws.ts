/** The reference: a forwarder on bare `ws` that looks a frame's target up and sends the frame on, no more. */

import { WebSocketServer } from 'ws'

const sockets = new Map<string, { send(frame: Uint8Array): void }>()
const server = new WebSocketServer({ host: '127.0.0.1', port: 0, perMessageDeflate: false })
server.on('connection', (socket) => {
  socket.on('message', (frame: Buffer) => {
    // A first message of 32 bytes says who the sender is; later ones have their target at byte 48.
    if (frame.length === 32) sockets.set(frame.toString('latin1'), socket)
    else sockets.get(frame.toString('latin1', 48, 80))?.send(frame)
  })
})
server.on('listening', () => {
  const { port } = server.address() as { port: number }
  console.log(JSON.stringify({ url: `ws://127.0.0.1:${port}` }))
})
