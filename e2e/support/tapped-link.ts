/** Links that write down what a node reads and sends, in clear, and the requests that open them. */

import { subscribe } from 'node:diagnostics_channel'
import { appendFileSync } from 'node:fs'
import type { IncomingMessage } from 'node:http'
import { makeLink as makePlainLink } from '../../src/link.ts'

export * from '../../src/link.ts'

const FILE = `${process.env.SIGNAL_MESH_TAP}/${process.pid}.bin`

export const makeLink: typeof makePlainLink = (channel) => {
  const source = makePlainLink({
    ...channel,
    send: (frame) => {
      appendFileSync(FILE, frame)
      channel.send(frame)
    },
  })
  return {
    ...source,
    receive: (frame) => {
      appendFileSync(FILE, frame)
      source.receive(frame)
    },
  }
}

subscribe('http.server.request.start', (message) => {
  const { request } = message as { request: IncomingMessage }
  appendFileSync(FILE, `${request.method} ${request.url}\n${request.rawHeaders.join('\n')}\n`)
})
