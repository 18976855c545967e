/** Files: one connection for each, its name in the call, its bytes through Web streams. */

import { joinMesh } from 'signal-mesh/edge'

const TOPIC = 'examples/file'
const element = <T extends HTMLElement>(id: string): T => document.getElementById(id) as T

function line(text: string): HTMLLIElement {
  const item = Object.assign(document.createElement('li'), { textContent: text })
  element('log').append(item)
  return item
}

const edge = await joinMesh({
  onIncoming: async (call) => {
    const name = new TextDecoder().decode(call.metadata)
    const item = line(`Receiving ${name}…`)
    const { readable } = await call.accept()
    const blob = await new Response(readable as ReadableStream<Uint8Array<ArrayBuffer>>).blob()
    const link = Object.assign(document.createElement('a'), { href: URL.createObjectURL(blob) })
    Object.assign(link, { download: name, textContent: `${name}, ${blob.size} bytes` })
    item.replaceChildren(link)
  },
})
await edge.advertise(TOPIC)
element('status').textContent = `You are ${edge.id.slice(0, 6)}. Choose a file.`

element('form').onsubmit = async (event) => {
  event.preventDefault()
  const file = element<HTMLInputElement>('file').files?.[0] as File
  const { peers } = await edge.discover(TOPIC)
  if (peers.length === 0) line('Nobody else is here. Open this page once more.')
  for (const { id } of peers) {
    const item = line(`Sending ${file.name} to ${id.slice(0, 6)}…`)
    const metadata = new TextEncoder().encode(file.name)
    const connection = await edge.connect(id, { topic: TOPIC, metadata })
    await file.stream().pipeTo(connection.writable)
    item.textContent = `${id.slice(0, 6)} has ${file.name}`
  }
}
