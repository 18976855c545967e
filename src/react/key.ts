/** A key of options: equal for options that say the same, though they were written anew at each render. */

const numbers = new WeakMap<object, number>()
let lastNumber = 0

/**
 * Plain values count by what is in them, other objects (a stream, a signal) by which one they are, and
 * functions only by being there: a hook calls the latest, whatever was there at first.
 */
export function keyOf(value: unknown): string {
  try {
    return String(JSON.stringify(value, keyPart))
  } catch {
    // In a circle; whoever takes the options says what is wrong with them.
    return `object ${numberOf(value as object)}`
  }
}

function keyPart(_name: string, part: unknown): unknown {
  if (typeof part === 'function') return '()'
  if (typeof part === 'bigint' || typeof part === 'symbol') return String(part)
  if (typeof part !== 'object' || part === null || isPlain(part)) return part
  return part instanceof Uint8Array ? `bytes ${part}` : `object ${numberOf(part)}`
}

function isPlain(value: object): boolean {
  return Array.isArray(value) || Object.getPrototypeOf(value) === Object.prototype
}

function numberOf(object: object): number {
  const number = numbers.get(object) ?? ++lastNumber
  numbers.set(object, number)
  return number
}
