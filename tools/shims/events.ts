/** A stand-in for events in pages: what the bundled packages ask of an emitter. */

type Listener = (...args: unknown[]) => void

export class EventEmitter {
  readonly #listeners = new Map<string, Listener[]>()

  on(name: string, listener: Listener): this {
    this.#listeners.set(name, [...this.#of(name), listener])
    return this
  }

  once(name: string, listener: Listener): this {
    const once = (...args: unknown[]): void => {
      this.removeListener(name, once)
      listener.apply(this, args)
    }
    return this.on(name, Object.assign(once, { listener }))
  }

  removeListener(name: string, listener: Listener): this {
    const left = [...this.#of(name)]
    const at = left.findLastIndex(
      (one: Listener & { listener?: Listener }) => one === listener || one.listener === listener,
    )
    if (at >= 0) left.splice(at, 1)
    this.#listeners.set(name, left)
    return this
  }

  removeAllListeners(name: string): this {
    this.#listeners.delete(name)
    return this
  }

  /** Tells those who listen now; an error that nobody listens to is thrown. */
  emit(name: string, ...args: unknown[]): boolean {
    const listeners = this.#of(name)
    if (name === 'error' && listeners.length === 0) throw args[0]
    for (const listener of listeners) listener.apply(this, args)
    return listeners.length > 0
  }

  #of(name: string): readonly Listener[] {
    return this.#listeners.get(name) ?? []
  }
}
