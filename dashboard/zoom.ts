/** Zoom: moving and scaling the drawing, by pointer and by buttons, without catching the page's own scrolling. */

import { select } from 'd3-selection'
import { type ZoomTransform, zoom, zoomIdentity } from 'd3-zoom'

export type { ZoomTransform } from 'd3-zoom'

export interface Zoom {
  readonly transform: ZoomTransform
  by(factor: number): void
  /** Shows all of what lies in this box. */
  fit(box: Box): void
  stop(): void
}

export interface Box {
  readonly x0: number
  readonly y0: number
  readonly x1: number
  readonly y1: number
}

const MARGIN = 36
const MOST_FIT = 4

/** `onZoom` is called when a person has moved it. */
export function createZoom(canvas: HTMLCanvasElement, onZoom: () => void): Zoom {
  let transform = zoomIdentity
  const behaviour = zoom<HTMLCanvasElement, unknown>()
    .scaleExtent([0.1, 8])
    .filter((event: Event) => {
      if (event instanceof WheelEvent) return event.ctrlKey || event.metaKey
      if (event.type.startsWith('touch')) return (event as TouchEvent).touches.length !== 1
      return (event as MouseEvent).button === 0
    })
    .on('zoom', (event: { transform: ZoomTransform; sourceEvent: unknown }) => {
      transform = event.transform
      if (event.sourceEvent) onZoom()
    })
  const drawing = select(canvas).call(behaviour)
  return {
    get transform() {
      return transform
    },
    by: (factor) => {
      behaviour.scaleBy(drawing, factor)
      onZoom()
    },
    fit: ({ x0, y0, x1, y1 }) => {
      const { clientWidth: width, clientHeight: height } = canvas
      const scale = Math.min(
        MOST_FIT,
        (width - 2 * MARGIN) / Math.max(1, x1 - x0),
        (height - 2 * MARGIN) / Math.max(1, y1 - y0),
      )
      const at = zoomIdentity.translate(width / 2, height / 2).scale(Math.max(0.1, scale))
      behaviour.transform(drawing, at.translate(-(x0 + x1) / 2, -(y0 + y1) / 2))
    },
    stop: () => void drawing.on('.zoom', null),
  }
}
