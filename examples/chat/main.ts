/** A chat: a room does the finding, the connecting and the mending; the page shows and sends. */

import { joinMesh } from 'signal-mesh/edge'

const element = <T extends HTMLElement>(id: string): T => document.getElementById(id) as T
const decoder = new TextDecoder()

function show(who: string, text: string): void {
  const item = document.createElement('li')
  item.textContent = `${who}: ${text}`
  element('log').append(item)
  item.scrollIntoView({ block: 'nearest' })
}

const edge = await joinMesh()
const room = await edge.join('examples/chat')

const count = (): void => {
  element('status').textContent = `${room.peers.size} of ${room.total} others connected`
}
count()
room.on('change', count)
room.on('message', ({ from, data }) =>
  show(from.slice(0, 6), typeof data === 'string' ? data : decoder.decode(data)),
)

element('form').addEventListener('submit', (event) => {
  event.preventDefault()
  const text = element<HTMLInputElement>('text')
  show('you', text.value)
  void room.send(text.value)
  text.value = ''
})
