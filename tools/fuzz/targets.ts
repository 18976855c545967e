/** All targets of the fuzzer. */

import { callerTarget } from './caller.ts'
import { decoderTargets } from './decoders.ts'
import { forwardTarget } from './forward.ts'
import { homeTarget } from './home.ts'
import { keptTargets } from './kept.ts'
import { linkTarget, neighbourTarget } from './link.ts'
import { sealedTarget } from './sealed.ts'
import { sessionTarget } from './session.ts'
import { sourceTargets } from './sources.ts'
import type { Target } from './target.ts'
import { witnessTarget } from './witness.ts'

export const targets: readonly Target[] = [
  ...decoderTargets,
  ...keptTargets,
  ...sourceTargets,
  callerTarget,
  sealedTarget,
  forwardTarget,
  witnessTarget,
  sessionTarget,
  linkTarget,
  neighbourTarget,
  homeTarget,
]
