/** When a node looks for others on the DHT: often soon after its start, then as long as it is alone. */

import { LOOK_FIRST_MS, LOOK_MAX_MS, LOOKS_AT_START } from './limits.ts'

/**
 * Looks again soon after the start, since nodes that announce themselves at the same time miss each
 * other, and from time to time while there is no link. Hyperswarm alone looks every ten minutes.
 */
export function keepLooking(
  swarm: { readonly connections: { readonly size: number } },
  discovery: { refresh(): Promise<unknown> },
): () => void {
  let looks = 0
  const delayMs = (): number => Math.min(LOOK_FIRST_MS * 2 ** looks, LOOK_MAX_MS)
  let timer = setTimeout(look, delayMs())
  function look(): void {
    if (looks++ < LOOKS_AT_START || swarm.connections.size === 0) {
      // One that fails, as when the swarm is closing, is made up by the next; silence of the DHT is told.
      void discovery.refresh().catch(() => {})
    }
    timer = setTimeout(look, delayMs())
  }
  return () => clearTimeout(timer)
}
