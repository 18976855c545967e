/** An agent: an edge without a browser, which answers whoever opens the chat example. */

import wrtc from '@roamhq/wrtc'
import { joinMesh } from 'signal-mesh/edge'

const [url = 'http://127.0.0.1:4680'] = process.argv.slice(2)
const stop = new AbortController()
process.once('SIGINT', () => stop.abort())

const edge = await joinMesh({ urls: [url], wrtc })
const room = await edge.join('examples/chat', { maxPeers: 32, signal: stop.signal })
console.log(`agent ${edge.id.slice(0, 6)} is in the chat at ${url}; Ctrl-C ends it`)

room.on('peer', (connection) => {
  console.log(`${connection.id.slice(0, 6)} came`)
  void connection.send(`Hello, I am an agent on ${process.platform}. Say "time".`)
})
room.on('leave', (id) => console.log(`${id.slice(0, 6)} left`))
room.on('message', async ({ from, data }) => {
  console.log(`${from.slice(0, 6)}: ${data}`)
  if (data === 'time') await room.peers.get(from)?.send(new Date().toISOString())
})

stop.signal.addEventListener('abort', async () => {
  await edge.close()
  process.exit()
})
