/** Ed25519's rule of libsodium, as far as it can be told by the bytes: who verifies may let more pass, and may not. */

import { fromHex, toHex } from '../bytes.ts'

/** The y of all points of small order, in hex digits: of order 1 and 2, of order 4, of order 8. */
const SMALL_ORDER_Y: readonly string[] = [
  `01${'00'.repeat(31)}`,
  `ec${'ff'.repeat(30)}7f`,
  '00'.repeat(32),
  '26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05',
  'c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a',
]
/** The prime of the field and the order of the base point, the last byte first. */
const P = `7f${'ff'.repeat(30)}ed`
const L = `10${'00'.repeat(15)}14def9dea2f79cd65812631a5cf5d3ed`

/**
 * Whether S < L, and key and R are canonical encodings of points that are not of small order. What is
 * left is decided by the equation, without the cofactor and with R compared byte for byte.
 */
export function isPlain(signature: Uint8Array, publicKey: Uint8Array): boolean {
  return (
    bigEndian(signature.subarray(32)) < L &&
    isPoint(publicKey) &&
    isPoint(signature.subarray(0, 32))
  )
}

function isPoint(encoded: Uint8Array): boolean {
  const y = encoded.slice()
  // The highest bit is the sign of x.
  y[31] = (y[31] ?? 0) & 0x7f
  return bigEndian(y) < P && !SMALL_ORDER_Y.includes(toHex(y))
}

/** Digits of one length compare as the numbers do. */
function bigEndian(bytes: Uint8Array): string {
  return toHex(bytes.toReversed())
}

/** A key and an R that have parts of small order, and an S with which they make a signature of one message and not of another. */
const MIXED_KEY = 'd63c01223147541df4e170763e9e2788a8bf5971f52a93c5829dbe6f5ff6bba9'
const MIXED_R = '5f594a7414d133f7fe042937d3925011d6d32d617499674446b3a994a6b27456'
const S_THAT_HOLDS = '4453470a55f69a76df26ba202e6b9da05b91e03151402e3f41bf8207ca78e701'
/** It would hold with the cofactor. */
const S_THAT_DOES_NOT = '2128d1c1912749794ce02a7c45fa495d38e199a55557e36b5519379a8792d902'

type Verify = (
  signature: Uint8Array<ArrayBuffer>,
  message: Uint8Array<ArrayBuffer>,
  publicKey: Uint8Array<ArrayBuffer>,
) => Promise<boolean>

/** Whether an implementation decides as libsodium where implementations differ. */
export async function keepsRule(verify: Verify): Promise<boolean> {
  const ask = (s: string, message: number): Promise<boolean> =>
    verify(bytesOf(MIXED_R + s), Uint8Array.of(message), bytesOf(MIXED_KEY))
  const [holds, alsoHolds] = await Promise.all([ask(S_THAT_HOLDS, 2), ask(S_THAT_DOES_NOT, 3)])
  return holds && !alsoHolds
}

function bytesOf(hex: string): Uint8Array<ArrayBuffer> {
  return Uint8Array.from(fromHex(hex))
}
