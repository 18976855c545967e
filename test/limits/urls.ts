/** Cases of dials by URL: how many peers and dials there may be, and when nodes are dialled. */

import { parseConfig } from '../../runtimes/config.ts'
import { manualClock } from '../../src/clock.ts'
import type { Directory } from '../../src/directory.ts'
import { SignalMeshError } from '../../src/errors.ts'
import { silentLog } from '../../src/log.ts'
import { createOnDemand } from '../../src/ondemand.ts'
import { keepPeers } from '../../src/peers.ts'
import { createUrlDials, type UrlDials } from '../../src/urldials.ts'
import { type Cases, caps, changesAt, outcomeOf, refuses } from './case.ts'

export const urls: Cases = {
  MAX_PEERS: refuses('BAD_CONFIG', (count) => {
    const list = Array.from({ length: count }, (_, i) => `wss://n${i}.example`)
    return outcomeOf(() => parseConfig(['--peer', list.join()], {}))
  }),
  MAX_URL_DIALS: caps((count) => {
    let opened = 0
    const ids = Array.from({ length: count }, (_, i) => `home${i}`)
    const homes = new Map(ids.map((id) => [id, { contact: { urls: [`https://${id}.example`] } }]))
    const dials = createUrlDials({
      clock: manualClock(),
      log: silentLog,
      directory: { homes } as unknown as Directory,
      networkId: new Uint8Array(32),
      allowPrivate: false,
      open: () => {
        opened += 1
        return new Promise(() => undefined)
      },
      add: async () => '',
      isLinked: () => false,
    })
    for (const id of ids) void dials.dialHome(id)
    return `${opened}`
  }),
  MIN_DIALLED: caps(async (count) => {
    const dialled: string[] = []
    const homes = new Map(Array.from({ length: count }, (_, i) => [`home${i}`, {}]))
    const { clock, stop } = keeping(homes, [], {
      dialHome: (home) => {
        dialled.push(home)
        return Promise.resolve(true)
      },
      linked: dialled,
    })
    await clock.advance(60_000)
    stop()
    return `${dialled.length}`
  }),
  PEER_LOOK_MS: changesAt('lost', 'dialled', async (ms) => {
    const dialled: string[] = []
    const homes = new Map([['home', {}]])
    const dialHome = (home: string): undefined => void dialled.push(home)
    const { clock, stop } = keeping(homes, [], { dialHome, linked: [] })
    await clock.advance(0)
    dialled.splice(0)
    await clock.advance(ms)
    stop()
    return dialled.length > 0 ? 'dialled' : 'lost'
  }),
  PEER_RETRY_MS: changesAt('away', 'dialled again', async (ms) => {
    let dialled = 0
    const dial = async (): Promise<SignalMeshError> => {
      dialled += 1
      return new SignalMeshError('CLOSED', 'no')
    }
    const { clock, stop } = keeping(new Map(), ['wss://a.example'], { dial, linked: [] })
    await clock.advance(0)
    await clock.advance(ms)
    stop()
    return dialled > 1 ? 'dialled again' : 'away'
  }),
  DIAL_URL_AFTER_MS: changesAt('on the DHT alone', 'by URL too', async (ms) => {
    const clock = manualClock()
    let asked = false
    const dials = createOnDemand({
      clock,
      dial: () => true,
      dialUrl: () => {
        asked = true
        return undefined
      },
      giveUp: () => undefined,
      onFailed: () => undefined,
    })
    dials.begin('home', new Uint8Array(32), { edge: 'a', group: '' })
    await clock.advance(ms)
    dials.close()
    return asked ? 'by URL too' : 'on the DHT alone'
  }),
}

function keeping(
  homes: ReadonlyMap<string, object>,
  named: readonly string[],
  { linked, ...dials }: Partial<UrlDials> & { readonly linked: readonly string[] },
) {
  const clock = manualClock()
  const stop = keepPeers({
    self: 'self',
    clock,
    log: silentLog,
    directory: { homes } as unknown as Directory,
    neighbours: {
      get ids() {
        return linked
      },
      has: (id) => linked.includes(id),
      linkOf: (id) => (linked.includes(id) ? { upMs: 0, initiator: true } : undefined),
    },
    dials: { dial: async () => '', dialFound: async () => '', dialHome: () => undefined, ...dials },
    named,
    keepsMore: () => true,
    admits: () => true,
    random: () => 0,
  })
  return { clock, stop }
}
