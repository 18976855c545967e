/** What an application does while its home is hostile. */

import type { Edge } from '../../src/edge/mod.ts'
import { type Play, peerOf } from './home-play.ts'
import type { Step } from './program.ts'
import { TOPIC } from './world.ts'

export function act(play: Play, { arg }: Step): void {
  const { edge } = play
  if (!edge || play.doings.size > 24) return
  const peer = arg & 0x40 ? play.world.there.id : peerOf(arg).id
  const topic = arg & 0x80 ? TOPIC : `room-${arg % 3}`
  const doings: (() => Promise<unknown>)[] = [
    () => edge.advertise(TOPIC),
    () => edge.discover(TOPIC, { limit: 1 + (arg % 50) }),
    () => edge.connect(peer, { topic: TOPIC }),
    () => edge.unadvertise(topic),
    () => edge.advertise(topic),
    () => edge.connect(peer, { topic, timeoutMs: 1 + arg * 20 }),
    () => firstChange(edge, arg),
  ]
  watchOver(play, (doings[arg % doings.length] as () => Promise<unknown>)())
}

/** Follows a topic for some changes and some time. */
export async function firstChange(edge: Edge, arg: number): Promise<void> {
  const stop = new AbortController()
  edge.on('home', ({ state }) => state === 'closed' && stop.abort())
  let left = arg % 5
  for await (const _change of edge.watch(TOPIC, { signal: stop.signal })) if (left-- <= 0) return
}

export function watchOver(play: Play, doing: Promise<unknown>): void {
  play.doings.add(doing)
  doing.then(
    () => play.doings.delete(doing),
    (error: unknown) => {
      play.doings.delete(doing)
      play.troubles.push(error)
    },
  )
}
