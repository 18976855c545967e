/** Keeping a tab's identity: by name, and for one tab at a time, since two of one identity end each other. */

export interface Kept {
  readonly name: string
  /** Another tab may have it. */
  release(): void
}

/** Takes the name, if no other tab has it and the page has locks at all. */
export function keepIn(
  name: string,
  locks: Pick<LockManager, 'request'> | undefined,
): Promise<Kept | undefined> {
  if (!locks) return Promise.resolve(undefined)
  return new Promise((resolve, reject) => {
    locks
      .request(`signal-mesh/${name}`, { ifAvailable: true }, (lock) => {
        if (!lock) return resolve(undefined)
        return new Promise<void>((release) => resolve({ name, release }))
      })
      .catch(reject)
  })
}
