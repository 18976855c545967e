/** Sparklines: how a number went, as a line without axes. */

import { h, type VNode } from './preact.ts'

const WIDTH = 120
const HEIGHT = 28
const PAD = 2
/** Of the largest value: what the whole height stands for at least. */
const LEAST_SPAN = 0.1

export interface Point {
  readonly at: number
  readonly value: number | undefined
}

/** Nothing for screen readers: the number stands beside it. */
export function spark(points: readonly Point[]): VNode {
  const known = points.filter(
    (point): point is { at: number; value: number } => point.value !== undefined,
  )
  return h(
    'svg',
    {
      class: 'spark',
      viewBox: `0 0 ${WIDTH} ${HEIGHT}`,
      preserveAspectRatio: 'none',
      'aria-hidden': 'true',
    },
    known.length > 1 && h('path', { d: pathOf(known) }),
  )
}

/** Each sample holds until the next: numbers of nodes do not glide. */
function pathOf(points: readonly { at: number; value: number }[]): string {
  const values = points.map(({ value }) => value)
  const [first, last] = [points[0]?.at ?? 0, points.at(-1)?.at ?? 0]
  const [least, most] = [Math.min(...values), Math.max(...values)]
  // Small changes of large numbers stay small, and what does not change is in the middle.
  const span = Math.max(most - least, LEAST_SPAN * most, Number.MIN_VALUE)
  const low = (least + most - span) / 2
  const x = (at: number): string => (((at - first) / (last - first || 1)) * WIDTH).toFixed(1)
  const y = (value: number): string =>
    (HEIGHT - PAD - ((value - low) / span) * (HEIGHT - 2 * PAD)).toFixed(1)
  const steps = points.map(({ at, value }, i) =>
    i === 0 ? `M0 ${y(value)}` : `H${x(at)}V${y(value)}`,
  )
  return steps.join('')
}

/** For samples that came evenly. */
export function evenly(values: readonly number[]): Point[] {
  return values.map((value, at) => ({ at, value }))
}
