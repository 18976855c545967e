/** Locks: by which a tab and its shared worker notice each other's end, of which a port tells in few browsers. */

import { toHex } from '../bytes.ts'

/** Takes a lock that nobody else asks for but who waits for this side's end; gives its release. */
export function holdLock(
  locks: LockManager | undefined,
  onHeld: (name: string) => void,
): () => void {
  const held = Promise.withResolvers<void>()
  const name = `signal-mesh/${toHex(crypto.getRandomValues(new Uint8Array(16)))}`
  const holding = locks?.request(name, () => {
    onHeld(name)
    return held.promise
  })
  // A page whose storage is blocked has none; then silence has to tell.
  holding?.catch(() => undefined)
  return held.resolve
}

/** Waits until whoever holds the lock has ended; the returned function stops waiting. */
export function awaitLock(
  locks: LockManager | undefined,
  name: string,
  onFree: () => void,
): () => void {
  const waiting = new AbortController()
  locks?.request(name, { signal: waiting.signal }, onFree).catch(() => undefined)
  return () => waiting.abort()
}
