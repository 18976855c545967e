/** A lobby: names travel sealed in the adverts; nobody is connected before somebody says yes. */

import { type Connection, joinMesh } from 'signal-mesh/edge'

const TOPIC = 'examples/lobby'
const element = (id: string): HTMLElement => document.getElementById(id) as HTMLElement
const name = `Guest ${100 + Math.floor(Math.random() * 900)}`
const info = new TextEncoder().encode(name)
const textOf = (bytes: Uint8Array): string => new TextDecoder().decode(bytes)
const status = (text: string): void => element('status').replaceChildren(text)

function talk(connection: Connection, other: string): void {
  status(`Talking with ${other}`)
  element('talk').hidden = false
  element('wave').onclick = () => void connection.send('👋')
  element('bye').onclick = () => void connection.close('hung up')
  connection.on('message', (text) => status(`${other}: ${text}`))
  connection.on('close', (reason) => {
    element('talk').hidden = true
    status(`${other} is gone: ${reason}`)
  })
}

const edge = await joinMesh({
  onIncoming: async (call) => {
    const other = textOf(call.metadata)
    if (confirm(`${other} is ringing. Take the call?`)) talk(await call.accept(), other)
    else call.refuse('not now')
  },
})
await edge.advertise(TOPIC, { info })
status(`You are ${name}`)

for await (const change of edge.watch(TOPIC)) {
  document.getElementById(change.id)?.remove()
  if (change.kind === 'leave') continue
  const other = textOf(change.info)
  const ring = document.createElement('button')
  ring.onclick = async () => {
    const call = edge.connect(change.id, { topic: TOPIC, metadata: info })
    await call.then((connection) => talk(connection, other)).catch(({ message }) => status(message))
  }
  element('people').append(Object.assign(ring, { id: change.id, textContent: `Ring ${other}` }))
}
