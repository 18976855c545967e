/** The graph: nodes and links as a drawing that can be moved; all that it says stands in the tables too. */

import { draw } from './draw.ts'
import { createLayout, type Layout } from './layout.ts'
import type { Mesh } from './model.ts'
import { h, useEffect, useRef, useState, type VNode } from './preact.ts'
import { countOf, nameOf, stateOf } from './words.ts'
import { createZoom, type Zoom } from './zoom.ts'

export interface GraphProps {
  readonly mesh: Mesh
  readonly chosen: string
  onChoose(id: string): void
}

/** How near to a node a pointer has to be, in pixels: a finger is wide. */
const REACH_PX = 22

interface Board {
  readonly canvas: HTMLCanvasElement
  readonly layout: Layout
  readonly zoom: Zoom
  redraw(): void
  fit(): void
  at(event: MouseEvent): string
}

export function Graph({ mesh, chosen, onChoose }: GraphProps): VNode {
  const canvas = useRef<HTMLCanvasElement>(null)
  const board = useRef<Board>(undefined)
  const [pointed, setPointed] = useState('')
  const picture = useRef({ nodes: mesh.nodes, chosen, pointed })
  picture.current = { nodes: mesh.nodes, chosen, pointed }

  useEffect(() => {
    if (!canvas.current) return undefined
    const { stop, made } = setUp(canvas.current, () => picture.current)
    board.current = made
    return stop
  }, [])
  useEffect(() => {
    board.current?.layout.update(mesh.nodes, mesh.links)
    board.current?.redraw()
  }, [mesh.nodes, mesh.links])
  useEffect(() => board.current?.redraw(), [chosen, pointed])

  const point = (event: MouseEvent): string => board.current?.at(event) ?? ''
  const about = pointed ? mesh.nodes.get(pointed) : undefined
  const all = [...mesh.nodes.values()]
  const notWell = all.filter((node) => stateOf(node).tone !== 'ok').length
  const label = `Drawing of ${countOf(all.length, 'node', 'nodes')} and ${countOf(
    mesh.links.length,
    'link',
    'links',
  )}; ${notWell} not well. The table of nodes says the same.`
  return h(
    'div',
    { class: 'graph' },
    h('canvas', {
      ref: canvas,
      role: 'img',
      'aria-label': label,
      onPointerMove: (event: PointerEvent) => setPointed(point(event)),
      onPointerLeave: () => setPointed(''),
      onClick: (event: MouseEvent) => {
        const id = point(event)
        if (id) onChoose(id)
      },
    }),
    h(
      'div',
      { class: 'graph-buttons' },
      button('+', 'Larger', () => board.current?.zoom.by(1.4)),
      button('−', 'Smaller', () => board.current?.zoom.by(1 / 1.4)),
      button('Fit', 'Fit the drawing in', () => board.current?.fit()),
    ),
    about &&
      h(
        'p',
        { class: 'pointed', 'aria-hidden': 'true' },
        `${nameOf(about)} · ${stateOf(about).word}`,
      ),
  )
}

function button(text: string, label: string, onClick: () => void): VNode {
  return h('button', { type: 'button', 'aria-label': label, title: label, onClick }, text)
}

type Shown = Readonly<{ nodes: Mesh['nodes']; chosen: string; pointed: string }>

function setUp(canvas: HTMLCanvasElement, shown: () => Shown): { made: Board; stop(): void } {
  const stillness = matchMedia('(prefers-reduced-motion: reduce)')
  const darkness = matchMedia('(prefers-color-scheme: dark)')
  let isOwnView = false
  let frame = 0

  const paint = (): void => {
    frame = 0
    if (!isOwnView) fit()
    draw(canvas, { layout, transform: zoom.transform, ...shown() })
  }
  const redraw = (): void => {
    frame ||= requestAnimationFrame(paint)
  }
  const layout = createLayout(redraw, () => stillness.matches)
  const zoom = createZoom(canvas, () => {
    isOwnView = true
    redraw()
  })
  const fit = (): void => {
    const { spots } = layout
    if (spots.length === 0) return
    const [xs, ys] = [spots.map(({ x }) => x), spots.map(({ y }) => y)]
    const [x0, x1] = [Math.min(...xs), Math.max(...xs)]
    zoom.fit({ x0, x1, y0: Math.min(...ys), y1: Math.max(...ys) })
  }
  const sizes = new ResizeObserver(redraw)
  sizes.observe(canvas)
  darkness.addEventListener('change', redraw)
  const at = (event: MouseEvent): string => {
    const [x, y] = zoom.transform.invert([event.offsetX, event.offsetY])
    return layout.find(x, y, REACH_PX / zoom.transform.k)?.id ?? ''
  }
  const fitAgain = (): void => {
    isOwnView = false
    redraw()
  }
  return {
    made: { canvas, layout, zoom, redraw, fit: fitAgain, at },
    stop: () => {
      sizes.disconnect()
      darkness.removeEventListener('change', redraw)
      layout.stop()
      zoom.stop()
      cancelAnimationFrame(frame)
    },
  }
}
