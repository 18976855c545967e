/** Drawing: the mesh on a canvas, in the colours of the page. */

import type { NodeView } from '../src/management.ts'
import type { Layout, Line, Spot } from './layout.ts'
import type { Tone } from './links.ts'
import { nameOf, rtt, stateOf } from './words.ts'
import type { ZoomTransform } from './zoom.ts'

export interface Picture {
  readonly layout: Layout
  readonly nodes: ReadonlyMap<string, NodeView>
  readonly transform: ZoomTransform
  readonly chosen: string
  readonly pointed: string
}

type Colours = Readonly<Record<Tone | 'text' | 'muted' | 'field' | 'surface' | 'accent', string>>

/** Names up to so many nodes; of more only those that matter, until the reader has zoomed in. */
const NAMED_NODES = 24
const NAMED_FROM_SCALE = 1.8
const RTT_LINES = 30
const FONT = '11px system-ui, sans-serif'

/** A link of which something is wrong is thicker, a relayed or doubted one is broken. */
const WIDTHS: Readonly<Record<Tone, number>> = { ok: 1, busy: 1.6, bad: 2.4 }

export function draw(canvas: HTMLCanvasElement, picture: Picture): void {
  const context = canvas.getContext('2d')
  if (!context) return
  const { clientWidth: width, clientHeight: height } = canvas
  const ratio = globalThis.devicePixelRatio || 1
  if (canvas.width !== Math.round(width * ratio)) canvas.width = Math.round(width * ratio)
  if (canvas.height !== Math.round(height * ratio)) canvas.height = Math.round(height * ratio)
  const colours = coloursOf(canvas)
  context.setTransform(ratio, 0, 0, ratio, 0, 0)
  context.clearRect(0, 0, width, height)
  for (const line of picture.layout.lines) drawLine(context, picture, line, colours)
  for (const spot of picture.layout.spots) drawSpot(context, picture, spot, colours)
  for (const spot of picture.layout.spots) drawName(context, picture, spot, colours)
}

function drawLine(
  context: CanvasRenderingContext2D,
  { transform, layout, chosen, pointed }: Picture,
  { source, target, link }: Line,
  colours: Colours,
): void {
  const isNear = [chosen, pointed].some((id) => id && (id === link.a || id === link.b))
  const isMany = layout.lines.length > 8 * RTT_LINES
  const [x0, y0] = transform.apply([source.x, source.y])
  const [x1, y1] = transform.apply([target.x, target.y])
  context.globalAlpha = isNear ? 1 : isMany ? (link.tone === 'ok' ? 0.35 : 0.7) : 0.9
  context.strokeStyle =
    link.tone === 'ok' ? (isNear ? colours.accent : colours.field) : colours[link.tone]
  context.lineWidth = (isMany ? 0.6 : 1) * WIDTHS[link.tone] + (isNear ? 0.8 : 0)
  context.setLineDash(link.relayed ? [2, 4] : link.isDoubted ? [6, 4] : [])
  context.beginPath()
  context.moveTo(x0, y0)
  context.lineTo(x1, y1)
  context.stroke()
  context.setLineDash([])
  context.globalAlpha = 1
  const isShort = Math.hypot(x1 - x0, y1 - y0) < 70
  if (link.rttMs === null || isShort || (layout.lines.length > RTT_LINES && !isNear)) return
  write(context, rtt(link.rttMs), (x0 + x1) / 2, (y0 + y1) / 2 + 4, colours.muted, colours)
}

function drawSpot(
  context: CanvasRenderingContext2D,
  { transform, nodes, chosen, pointed, layout }: Picture,
  { id, x, y }: Spot,
  colours: Colours,
): void {
  const node = nodes.get(id)
  if (!node) return
  const { tone } = stateOf(node)
  const [cx, cy] = transform.apply([x, y])
  const radius = radiusOf(node, layout, transform.k)
  context.beginPath()
  // Not by colour alone: a silent node is a square, one that needs a look a diamond.
  if (tone === 'ok') context.arc(cx, cy, radius, 0, 2 * Math.PI)
  else if (tone === 'bad') context.rect(cx - radius, cy - radius, 2 * radius, 2 * radius)
  else
    for (const [dx, dy] of DIAMOND) context.lineTo(cx + 1.25 * radius * dx, cy + 1.25 * radius * dy)
  context.closePath()
  context.fillStyle = colours[tone]
  context.fill()
  context.lineWidth = 1.5
  context.strokeStyle = colours.surface
  context.stroke()
  if (id !== chosen && id !== pointed && !node.isSelf) return
  context.beginPath()
  context.arc(cx, cy, radius + 4, 0, 2 * Math.PI)
  context.lineWidth = id === chosen ? 2.5 : 1.5
  context.strokeStyle = id === chosen || id === pointed ? colours.accent : colours.text
  context.stroke()
}

const DIAMOND = [
  [0, -1],
  [1, 0],
  [0, 1],
  [-1, 0],
] as const

/** By its edges, smaller where there are many, and growing with the zoom a little. */
function radiusOf({ edges }: NodeView, { spots }: Layout, scale: number): number {
  const [least, more] = spots.length > 100 ? [3, 3] : [7, 6]
  return (least + Math.min(more, Math.log2(1 + edges))) * Math.min(1.6, Math.max(0.7, scale))
}

function drawName(
  context: CanvasRenderingContext2D,
  { transform, nodes, chosen, pointed, layout }: Picture,
  { id, x, y }: Spot,
  colours: Colours,
): void {
  const node = nodes.get(id)
  if (!node) return
  const isNamed = layout.spots.length <= NAMED_NODES || transform.k >= NAMED_FROM_SCALE
  const matters = id === chosen || id === pointed || node.isSelf || node.isSuspected
  if (!isNamed && !matters) return
  const [cx, cy] = transform.apply([x, y])
  const down = radiusOf(node, layout, transform.k) + 18
  write(context, nameOf(node), cx, cy + down, colours.text, colours)
}

/** Over whatever is beneath. */
function write(
  context: CanvasRenderingContext2D,
  text: string,
  x: number,
  y: number,
  colour: string,
  { surface }: Colours,
): void {
  context.font = FONT
  context.textAlign = 'center'
  context.lineJoin = 'round'
  context.lineWidth = 4
  context.strokeStyle = surface
  context.strokeText(text, x, y)
  context.fillStyle = colour
  context.fillText(text, x, y)
}

function coloursOf(canvas: HTMLCanvasElement): Colours {
  const style = getComputedStyle(canvas)
  const names = ['ok', 'busy', 'bad', 'text', 'muted', 'field', 'surface', 'accent'] as const
  return Object.fromEntries(
    names.map((name) => [name, style.getPropertyValue(`--${name}`).trim()]),
  ) as Colours
}
