/** All cases, by the table that their rows stand in. */

import { answering, newsOfMesh } from './answers.ts'
import { apps } from './apps.ts'
import { asking } from './asking.ts'
import { atHome } from './at-home.ts'
import { carry } from './carry.ts'
import type { Cases } from './case.ts'
import { conduct } from './conduct.ts'
import { dials } from './dials.ts'
import { edgeSide } from './edge-side.ts'
import { edgeTimes } from './edge-times.ts'
import { heard } from './heard.ts'
import { ice } from './ice.ts'
import { links } from './links.ts'
import { logs } from './logs.ts'
import { managing } from './managing.ts'
import { native } from './native.ts'
import { nodeTimes } from './node-times.ts'
import { onTheWay } from './on-the-way.ts'
import { rates } from './opens.ts'
import { pace } from './pace.ts'
import { places } from './places.ts'
import { pulls } from './pulls.ts'
import { reconnecting } from './reconnecting.ts'
import { relay } from './relay.ts'
import { runtimeTimes } from './runtime-times.ts'
import { runtimeWaits } from './runtime-waits.ts'
import { said } from './said.ts'
import { shared } from './shared.ts'
import { sizes } from './sizes.ts'
import { sockets } from './sockets.ts'
import { sources, sourceTimes } from './sources.ts'
import { space } from './space.ts'
import { stun } from './stun.ts'
import { tree } from './tree.ts'
import { urls } from './urls.ts'
import { witness } from './witness.ts'

/** Cases of `src/limits.ts`; one for a new row is added to any of these files. */
export const coreCases: readonly Cases[] = [
  sizes,
  atHome,
  asking,
  edgeSide,
  pace,
  space,
  said,
  links,
  logs,
  native,
  onTheWay,
  rates,
  nodeTimes,
  edgeTimes,
  witness,
  places,
  pulls,
  conduct,
  heard,
  tree,
  dials,
  reconnecting,
  urls,
  shared,
  stun,
  ice,
  sources,
  carry,
  apps,
  managing,
  newsOfMesh,
]

/** Cases of `runtimes/limits.ts`. */
export const runtimeCases: readonly Cases[] = [
  sockets,
  runtimeTimes,
  runtimeWaits,
  relay,
  sourceTimes,
  answering,
]
