/** All targets of the fuzzer. */

import { decoderTargets } from './decoders.ts'
import { homeTarget } from './home.ts'
import { linkTarget, neighbourTarget } from './link.ts'
import { sealedTarget } from './sealed.ts'
import { sessionTarget } from './session.ts'
import type { Target } from './target.ts'

export const targets: readonly Target[] = [
  ...decoderTargets,
  sealedTarget,
  sessionTarget,
  linkTarget,
  neighbourTarget,
  homeTarget,
]
