/** A badge: a spot of the colour that an id always has. */

import type { PeerId } from '../src/edge/mod.ts'
import { make } from './element.ts'

const HUES = 360

export function badge(id: PeerId): HTMLSpanElement {
  const spot = make('span', { class: 'badge', 'aria-hidden': 'true' })
  spot.style.setProperty('--hue', String(Number.parseInt(id.slice(0, 4), 16) % HUES))
  return spot
}
