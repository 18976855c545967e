/** A whiteboard: each page keeps its own lines and gives them to whoever comes. */

import { joinMesh } from 'signal-mesh/edge'

type Point = readonly [x: number, y: number]
type Line = readonly [from: Point, to: Point]

const board = document.getElementById('board') as HTMLCanvasElement
const pen = board.getContext('2d') as CanvasRenderingContext2D
const own: Line[] = []

function draw([from, to]: Line, id: string): void {
  Object.assign(pen, { strokeStyle: `#${id.slice(0, 6)}`, lineWidth: 6, lineCap: 'round' })
  pen.beginPath()
  pen.moveTo(...from)
  pen.lineTo(...to)
  pen.stroke()
}

const edge = await joinMesh()
const room = await edge.join('examples/whiteboard')
room.on('peer', (connection) => connection.send(JSON.stringify(own)))
room.on('message', ({ from, data }) => {
  for (const line of JSON.parse(String(data)) as Line[]) draw(line, from)
})
room.on('change', (peers) => {
  document.getElementById('status')?.replaceChildren(`${peers.size} connected`)
})

let last: Point = [0, 0]
board.onpointerdown = board.onpointermove = ({ type, buttons, offsetX, offsetY }) => {
  const scale = board.width / board.clientWidth
  const next: Point = [Math.round(offsetX * scale), Math.round(offsetY * scale)]
  const line: Line = [type === 'pointerdown' ? next : last, next]
  last = next
  if (buttons === 0) return
  draw(line, edge.id)
  own.push(line)
  void room.send(JSON.stringify([line]))
}
