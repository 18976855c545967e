/** A home's list of STUN servers among neighbours that are made up, on a clock that is turned by hand. */

import type { Contact } from '../../src/batch.ts'
import { type ManualClock, manualClock } from '../../src/clock.ts'
import type { Directory } from '../../src/directory.ts'
import { createStuns, type Stuns } from '../../src/icesource.ts'
import type { UdpAddress } from '../../src/runtime.ts'
import { answerStun } from '../../src/stun.ts'

export interface StunGround {
  readonly clock: ManualClock
  readonly stuns: Stuns
  /** What went out, and whether each was a probe. */
  readonly sent: { readonly to: UdpAddress; readonly datagram: Uint8Array }[]
  /** Addresses from which an answer comes, with a port each. */
  readonly answering: Set<string>
  /** A neighbour with its link at this address, which says that its STUN is there. */
  add(node: string, remoteAddress: string | undefined, stunAt?: string): void
  remove(node: string): void
  /** What the home names. */
  urls(): string[]
}

export function stunGround(at: string | undefined = '192.0.2.1:3478'): StunGround {
  const clock = manualClock()
  const links = new Map<string, string | undefined>()
  const homes = new Map<string, { contact: Contact }>()
  const answering = new Set<string>()
  const sent: StunGround['sent'] = []
  const stuns = createStuns({
    clock,
    directory: { homes } as unknown as Directory,
    neighbours: {
      get ids() {
        return [...links.keys()]
      },
      linkOf: (id) => {
        if (!links.has(id)) return undefined
        const remoteAddress = links.get(id)
        return { upMs: 0, initiator: true, ...(remoteAddress && { remoteAddress }) }
      },
    },
  })
  stuns.use({
    at,
    send: (datagram, to) => {
      sent.push({ to, datagram })
      const answer = answerStun(datagram, { address: '192.0.2.1', port: 3478 })
      if (answer && answering.has(`${to.address}:${to.port}`)) stuns.receive(answer, to)
    },
  })
  return {
    clock,
    stuns,
    sent,
    answering,
    add: (node, remoteAddress, stunAt) => {
      links.set(node, remoteAddress)
      const contact = { dhtKey: undefined, urls: [], vias: [], ...(stunAt && { stunAt }) }
      homes.set(node, { contact })
    },
    remove: (node) => {
      links.delete(node)
    },
    urls: () => stuns.offer().servers.map(({ url }) => url),
  }
}
