/** Gather: bounds what pulls over several pages hold before they end, in number and in bytes. */

import { SignalMeshError } from './errors.ts'
import type { NodeId } from './identity.ts'
import { MAX_GATHERED_BYTES, MAX_LONG_PULLS, MAX_LONG_PULLS_PER_NEIGHBOUR } from './limits.ts'

/** The place of one pull, until it is left. */
export interface Place {
  /**
   * Counts what the pull holds from now on.
   * @throws SignalMeshError `RATE_LIMITED` if it had to give way to one that began before it
   */
  hold(bytes: number): void
  leave(): void
}

export interface Gather {
  /** A place, if one is free. `giveWay` is called when the pull has to let go of all that it holds. */
  take(supplier: NodeId, giveWay: () => void): Place | undefined
  /** Waits for one; suppliers that have the fewest come first. */
  turn(supplier: NodeId, giveWay: () => void): Promise<Place>
}

interface Pull {
  readonly supplier: NodeId
  readonly giveWay: () => void
  bytes: number
  isOver: boolean
}

interface Waiting {
  readonly supplier: NodeId
  go(): void
}

export function createGather(): Gather {
  // In the order in which they began.
  const pulls = new Set<Pull>()
  const waiting = new Set<Waiting>()
  let bytes = 0

  const runningOf = (supplier: NodeId): number =>
    [...pulls].filter((pull) => pull.supplier === supplier).length

  const isFree = (supplier: NodeId): boolean =>
    pulls.size < MAX_LONG_PULLS && runningOf(supplier) < MAX_LONG_PULLS_PER_NEIGHBOUR

  const leave = (pull: Pull): void => {
    pull.isOver = true
    if (!pulls.delete(pull)) return
    bytes -= pull.bytes
    const free = [...waiting].filter(({ supplier }) => isFree(supplier))
    const [next] = free.sort((a, b) => runningOf(a.supplier) - runningOf(b.supplier))
    next?.go()
  }

  /** The oldest never gives way, so that with time each comes to its end. */
  const makeRoom = (): void => {
    while (bytes > MAX_GATHERED_BYTES && pulls.size > 1) {
      const youngest = [...pulls].at(-1) as Pull
      leave(youngest)
      youngest.giveWay()
    }
  }

  const begin = (supplier: NodeId, giveWay: () => void): Place => {
    const pull: Pull = { supplier, giveWay, bytes: 0, isOver: false }
    pulls.add(pull)
    return {
      hold: (more) => {
        if (!pull.isOver) {
          pull.bytes += more
          bytes += more
          makeRoom()
        }
        if (pull.isOver) throw new SignalMeshError('RATE_LIMITED', 'Too much is pulled at once')
      },
      leave: () => leave(pull),
    }
  }

  return {
    take: (supplier, giveWay) => (isFree(supplier) ? begin(supplier, giveWay) : undefined),
    turn: (supplier, giveWay) =>
      new Promise((resolve) => {
        const one: Waiting = {
          supplier,
          go: () => {
            waiting.delete(one)
            resolve(begin(supplier, giveWay))
          },
        }
        waiting.add(one)
        if (isFree(supplier)) one.go()
      }),
  }
}
