/** A program for Node, Deno and Bun: an edge that gives back what it hears, and calls whom it is told to. */

import { createInterface } from 'node:readline'
import wrtc from '@roamhq/wrtc'
import type { Edge, joinMesh as Join } from '../../src/edge/mod.ts'
import { call, echo, topicOf } from './echo.ts'

/** A line for the test. */
function say(fact: Record<string, unknown>): void {
  console.log(JSON.stringify(fact))
}

async function obey(edge: Edge, id: string): Promise<void> {
  try {
    say({ called: id, ...(await call(edge, name, id)) })
  } catch (error) {
    say({ called: id, failure: String(error) })
  }
}

const [client = '', url = '', network = '', name = '', ...callers] = process.argv.slice(2)
const { joinMesh } = (await import(client)) as { joinMesh: typeof Join }
const edge = await joinMesh({ urls: [url], network, wrtc })
edge.on('connection', (connection) => {
  if (connection.topic !== topicOf(name)) void echo(connection)
})
for (const caller of callers) await edge.advertise(topicOf(caller))
say({ id: edge.id })
for await (const line of createInterface({ input: process.stdin })) {
  const [command, id = ''] = line.split(' ')
  if (command === 'call') void obey(edge, id)
  else if (command === 'close') break
}
// All that it takes for the process to end by itself.
await edge.close()
process.stdin.destroy()
