/** The globals that the bundled packages expect of Node. */

export { Buffer } from './buffer.ts'

export const process: object = {
  env: {},
  nextTick: (fn: (...args: unknown[]) => void, ...args: unknown[]): void =>
    queueMicrotask(() => fn(...args)),
}
