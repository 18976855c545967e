/** Cases of what is asked of WebCrypto ahead: answers and key pairs that nobody comes for, frames that wait. */

import { createInTurn } from '../../src/edge/inturn.ts'
import { createNative, type Want } from '../../src/edge/native.ts'
import { type Cases, FORGOT, forgets, KEPT } from './case.ts'

export const native: Cases = {
  MAX_NATIVE_ANSWERS: forgets(async (count) => {
    const { prepare, take } = createNative(crypto.subtle)
    const secretKey = new Uint8Array(64).fill(1)
    const want = (i: number): Want => ['sign', Uint8Array.of(i >> 8, i), secretKey]
    await prepare([want(0)])
    await prepare(Array.from({ length: count - 1 }, (_, i) => want(1 + i)))
    if (!take(want(count - 1))) throw new Error('The newest is not there')
    return take(want(0)) ? KEPT : FORGOT
  }),
  MAX_NATIVE_PAIRS: forgets(async (count) => {
    const { pairFor, knownPair } = createNative(crypto.subtle)
    for (let i = 0; i < count; i++) {
      while (!pairFor(`${i}`)) await new Promise((resolve) => setTimeout(resolve, 1))
    }
    if (!knownPair(`${count - 1}`)) throw new Error('The newest is not there')
    return knownPair('0') ? KEPT : FORGOT
  }),
  MAX_NATIVE_FRAMES: forgets(async (count) => {
    const inTurn = createInTurn()
    let ran = 0
    for (let i = 0; i < count; i++) {
      inTurn.add(
        () => new Promise(() => {}),
        () => void ran++,
      )
    }
    if (ran !== 0 && ran !== count) throw new Error(`${ran} ran`)
    // Those are not lost: they run without what they waited for.
    return ran === 0 ? KEPT : FORGOT
  }),
}
