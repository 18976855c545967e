/** The inbox of a connection: messages wait here for those who read them, at once or in their own time. */

export interface InboxOptions {
  /** How many listeners take each message at once. */
  listeners(): number
  emit(data: string | Uint8Array): void
}

export interface Inbox {
  /** Takes a message; `read` is called when everybody who was to read it has it. */
  take(data: string | Uint8Array, read: () => void): void
  /** Somebody listens now: hands over what has waited, in a moment. */
  listened(): void
  /** Reads messages one by one, until the inbox ends or `stop` is aborted. */
  messages(stop?: AbortSignal): AsyncGenerator<string | Uint8Array>
  /** No more will come; what is here can still be read. */
  end(): void
}

interface Message {
  readonly data: string | Uint8Array
  /** Called once. */
  read: () => void
  /** How many of those who read one by one have it before them. */
  left: number
  /** Whether anybody has had it. */
  isTaken: boolean
}

interface Reader {
  readonly queue: Message[]
  wake(): void
}

export function createInbox({ listeners, emit }: InboxOptions): Inbox {
  const readers = new Set<Reader>()
  /** What came while nobody read. */
  let early: Message[] = []
  let ended = false

  const isRead = (): boolean => readers.size > 0 || listeners() > 0

  const settle = (message: Message): void => {
    if (message.left > 0) return
    message.read()
    message.read = () => {}
  }

  const hand = (message: Message): void => {
    message.left = readers.size
    for (const reader of readers) {
      reader.queue.push(message)
      reader.wake()
    }
    if (listeners() > 0) {
      message.isTaken = true
      emit(message.data)
    }
    settle(message)
  }

  const handEarly = (): void => {
    const waiting = early
    early = []
    // Whoever takes one may be the last who reads.
    while (waiting.length > 0 && isRead()) hand(waiting.shift() as Message)
    early = [...waiting, ...early]
  }

  /** A reader goes: what nobody had waits for the next one, unless others read on meanwhile. */
  const giveBack = (reader: Reader): void => {
    readers.delete(reader)
    for (const message of reader.queue) message.left -= 1
    const waits = ({ isTaken, left }: Message): boolean => !isTaken && left === 0 && !isRead()
    for (const message of reader.queue) if (!waits(message)) settle(message)
    early = [...reader.queue.filter(waits), ...early]
  }

  return {
    take: (data, read) => {
      const message: Message = { data, read, left: 0, isTaken: false }
      if (isRead() && early.length === 0) hand(message)
      else early.push(message)
    },
    listened: () => {
      if (early.length > 0) queueMicrotask(handEarly)
    },
    async *messages(stop) {
      const reader: Reader = { queue: [], wake: () => {} }
      const onStop = (): void => reader.wake()
      readers.add(reader)
      stop?.addEventListener('abort', onStop)
      queueMicrotask(handEarly)
      try {
        // What waited is handed over before this goes on.
        await undefined
        while (!stop?.aborted) {
          const message = reader.queue.shift()
          if (message) {
            message.left -= 1
            message.isTaken = true
            settle(message)
            yield message.data
          } else if (ended) return
          else await new Promise<void>((resolve) => (reader.wake = resolve))
        }
      } finally {
        stop?.removeEventListener('abort', onStop)
        giveBack(reader)
      }
    },
    end: () => {
      ended = true
      for (const reader of readers) reader.wake()
    },
  }
}
