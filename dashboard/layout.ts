/** The layout: where nodes stand in the drawing, by the forces of their links. */

import {
  forceCollide,
  forceLink,
  forceManyBody,
  forceSimulation,
  forceX,
  forceY,
  type SimulationLinkDatum,
  type SimulationNodeDatum,
} from 'd3-force'
import type { NodeView } from '../src/management.ts'
import { DRAWN_LINKS, DRAWN_NODES } from './bounds.ts'
import type { MeshLink } from './links.ts'

export interface Spot extends SimulationNodeDatum {
  readonly id: string
  x: number
  y: number
}

export interface Line extends SimulationLinkDatum<Spot> {
  readonly source: Spot
  readonly target: Spot
  link: MeshLink
}

export interface Layout {
  readonly spots: readonly Spot[]
  readonly lines: readonly Line[]
  /** Takes what is there now; those that stay keep their places. */
  update(nodes: ReadonlyMap<string, NodeView>, links: readonly MeshLink[]): void
  spot(id: string): Spot | undefined
  /** The nearest one within so many units. */
  find(x: number, y: number, within: number): Spot | undefined
  stop(): void
}

/** Steps that are taken at once, and for how long at most: a drawing that is nearly at rest is shown first. */
const STEPS = 160
const AT_ONCE_MS = 300

export function createLayout(onMove: () => void, isStill: () => boolean): Layout {
  const simulation = forceSimulation<Spot>([]).stop()
  const byLink = forceLink<Spot, Line>([]).distance(46)
  simulation
    .force('link', byLink)
    .force('charge', forceManyBody().strength(-120).distanceMax(500))
    .force('near', forceCollide(14))
    .force('x', forceX(0).strength(0.06))
    .force('y', forceY(0).strength(0.08))
    .on('tick', onMove)
  let spots = new Map<string, Spot>()
  let lines: Line[] = []
  let shape = ''

  const settle = (): void => {
    const endMs = performance.now() + AT_ONCE_MS
    simulation.alpha(1)
    for (let i = 0; i < STEPS && performance.now() < endMs; i++) simulation.tick()
  }

  return {
    get spots() {
      return [...spots.values()]
    },
    get lines() {
      return lines
    },
    update: (nodes, links) => {
      const isFirst = spots.size === 0
      const ids = [...nodes.keys()].slice(0, DRAWN_NODES)
      spots = new Map(ids.map((id, i) => [id, spots.get(id) ?? newSpot(id, i)]))
      lines = links.slice(0, DRAWN_LINKS).flatMap((link) => {
        const [source, target] = [spots.get(link.a), spots.get(link.b)]
        return source && target ? [{ source, target, link }] : []
      })
      const now = `${ids.join()} ${lines.map(({ link }) => link.id).join()}`
      if (now === shape) return
      shape = now
      simulation.nodes([...spots.values()])
      byLink.links(lines)
      if (isFirst || isStill()) settle()
      else simulation.alpha(0.3).restart()
    },
    spot: (id) => spots.get(id),
    find: (x, y, within) => simulation.find(x, y, within),
    stop: () => void simulation.stop(),
  }
}

/** On a spiral, so that the same nodes are laid out the same way. */
function newSpot(id: string, i: number): Spot {
  const [radius, angle] = [12 * Math.sqrt(i + 0.5), i * Math.PI * (3 - Math.sqrt(5))]
  return { id, x: radius * Math.cos(angle), y: radius * Math.sin(angle) }
}
