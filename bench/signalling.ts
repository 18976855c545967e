/** The least that signals: a WebSocket server that knows who is there and passes messages on. `HOST PORT` */

import { type WebSocket, WebSocketServer } from 'ws'

const [host = '127.0.0.1', port = '0'] = process.argv.slice(2)
const there = new Map<string, WebSocket>()
const server = new WebSocketServer({ host, port: Number(port) })
server.on('listening', () => console.log('listening'))
server.on('connection', (socket) => {
  let name = ''
  socket.on('close', () => there.delete(name))
  socket.on('message', (data) => {
    const message = JSON.parse(String(data))
    if (message.join) {
      name = message.join
      there.set(name, socket)
    }
    if (message.join || message.who) socket.send(JSON.stringify({ there: [...there.keys()] }))
    else there.get(message.to)?.send(JSON.stringify({ ...message, from: name }))
  })
})
