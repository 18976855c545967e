/**
 * A stand-in for readable-stream in pages: the duplex that simple-peer and simple-websocket are. What
 * comes waits for who listens to `data`; what is written goes to `_write` one after another.
 */

import { Buffer } from './buffer.ts'
import { EventEmitter } from './events.ts'

type Done = (error?: Error | null) => void

interface Written {
  readonly chunk: unknown
  readonly done: Done | undefined
}

export class Duplex extends EventEmitter {
  readable = true
  writable = true
  readonly _readableState = { ended: false }
  readonly _writableState = { finished: false }
  readonly #isOfObjects: boolean
  readonly #incoming: unknown[] = []
  readonly #outgoing: Written[] = []
  #isHeard = false
  #isTelling = false
  #isPumping = false
  #isWriting = false
  #isEnding = false

  constructor({ objectMode = false }: { objectMode?: boolean } = {}) {
    super()
    this.#isOfObjects = objectMode
  }

  override on(name: string, listener: (...args: unknown[]) => void): this {
    super.on(name, listener)
    if (name === 'data') {
      // Not in the turn of who begins to listen.
      queueMicrotask(() => {
        this.#isHeard = true
        this.#flow()
      })
    }
    return this
  }

  push(chunk: unknown): void {
    if (chunk === null) this._readableState.ended = true
    else this.#receive(this.#isOfObjects || typeof chunk !== 'string' ? chunk : Buffer.from(chunk))
  }

  write(chunk: unknown, done?: Done): void {
    this.#outgoing.push({ chunk, done })
    this.#pump()
  }

  /** What was written goes first; then it has finished. */
  end(): void {
    this.#isEnding = true
    this.#pump()
  }

  /** As each of the two has it. */
  _write(_chunk: unknown, _encoding: string, _done: Done): void {}

  #receive(chunk: unknown): void {
    // A stream of bytes tells of none but those that there are.
    if (!this.#isOfObjects && (chunk as Uint8Array).length === 0) return
    this.#incoming.push(chunk)
    if (this.#isHeard) this.#flow()
  }

  #flow(): void {
    // What comes while another is told is told after it, even if who is told throws.
    if (this.#isTelling) return
    this.#isTelling = true
    try {
      while (this.#incoming.length > 0) this.emit('data', this.#incoming.shift())
    } finally {
      this.#isTelling = false
    }
  }

  #pump(): void {
    if (this.#isPumping) return
    this.#isPumping = true
    while (!this.#isWriting && this.#outgoing.length > 0) this.#writeNext()
    this.#isPumping = false
    if (this.#isWriting || !this.#isEnding || this._writableState.finished) return
    this._writableState.finished = true
    this.emit('finish')
  }

  #writeNext(): void {
    const { chunk, done } = this.#outgoing.shift() as Written
    this.#isWriting = true
    this._write(chunk, 'utf8', (error) => {
      queueMicrotask(() => done?.(error))
      this.#isWriting = false
      if (error) this.emit('error', error)
      this.#pump()
    })
  }
}
