/** Happenings: what has come, gone and gone wrong in the mesh lately, as one node sees it. */

import type { Directory } from './directory.ts'
import type { NodeId } from './identity.ts'
import { MAX_EVENTS, SUSPECT_AFTER_MS } from './limits.ts'
import type { MeshEvent, MeshEventKind } from './management.ts'

export interface Happenings {
  /** The newest last. */
  readonly events: readonly MeshEvent[]
  /** How many there were in all, so that who has read some knows which are new. */
  readonly count: number
  /** Looks for homes that have come, gone or fallen silent since it last did. */
  observe(nowMs: number): void
  /** Notes that a node was refused. */
  refused(node: NodeId, code: string, nowMs: number): void
}

export function createHappenings(self: NodeId, directory: Directory): Happenings {
  let seen = new Map<NodeId, boolean>()
  let banned = new Set<NodeId>()
  let events: MeshEvent[] = []
  let count = 0

  const note = (atMs: number, kind: MeshEventKind, node: NodeId, code?: string): void => {
    count += 1
    events = [...events, { atMs, kind, node, ...(code !== undefined && { code }) }]
    if (events.length > MAX_EVENTS) events = events.slice(-MAX_EVENTS)
  }

  return {
    get events() {
      return events
    },
    get count() {
      return count
    },
    observe: (nowMs) => {
      const now = new Map<NodeId, boolean>()
      for (const home of directory.homes.values()) {
        if (home.id === self) continue
        const isSilent = directory.monotonicMs(nowMs) - home.heardAtMs > SUSPECT_AFTER_MS
        const was = seen.get(home.id)
        now.set(home.id, isSilent)
        if (was === undefined) note(nowMs, 'joined', home.id)
        else if (was !== isSilent) note(nowMs, isSilent ? 'suspected' : 'recovered', home.id)
      }
      for (const node of seen.keys()) if (!now.has(node)) note(nowMs, 'left', node)
      for (const node of directory.banned.keys()) {
        if (!banned.has(node)) note(nowMs, 'refused', node, 'QUARANTINE')
      }
      seen = now
      banned = new Set(directory.banned.keys())
    },
    refused: (node, code, nowMs) => note(nowMs, 'refused', node, code),
  }
}
