/** A link: one ordered, reliable channel of whole binary frames between two parties. */

import { MAX_EARLY_FRAMES } from './limits.ts'

export interface Link {
  /** Queues one frame. After `close` or once closed it does nothing. */
  send(frame: Uint8Array): void
  /**
   * Calls `onFrame` for each frame, in order, until the returned function is called. Frames that
   * came before the first subscriber wait for it, up to a bound.
   */
  subscribe(onFrame: (frame: Uint8Array) => void): () => void
  /** Bytes handed to `send` that have not left this process yet. */
  readonly bufferedBytes: number
  /** Closes after what was queued has left. The other end sees `reason`, at most 120 bytes of it. */
  close(reason?: string): void
  /** Resolves once, with the reason, when the link has ended for whatever cause. Never rejects. */
  readonly closed: Promise<string>
}

export interface LinkSource {
  readonly link: Link
  /** Hands a frame from outside to the subscriber. */
  receive(frame: Uint8Array): void
  /** Says that the channel beneath has ended. */
  end(reason: string): void
}

export interface LinkChannel {
  send(frame: Uint8Array): void
  bufferedBytes(): number
  close(reason: string): void
}

/** Makes a link out of the three functions that a channel of any kind can offer. */
export function makeLink(channel: LinkChannel): LinkSource {
  let subscriber: ((frame: Uint8Array) => void) | undefined
  let early: Uint8Array[] = []
  let ended = false
  let closing = false
  let resolveClosed: (reason: string) => void
  const closed = new Promise<string>((resolve) => (resolveClosed = resolve))
  const end = (reason: string): void => {
    if (ended) return
    ended = true
    early = []
    resolveClosed(reason)
  }
  const link: Link = {
    send: (frame) => {
      if (!ended && !closing) channel.send(frame)
    },
    subscribe: (onFrame) => {
      subscriber = onFrame
      const waiting = early
      early = []
      for (const frame of waiting) subscriber?.(frame)
      return () => {
        if (subscriber === onFrame) subscriber = undefined
      }
    },
    get bufferedBytes() {
      return ended ? 0 : channel.bufferedBytes()
    },
    close: (reason = 'closed') => {
      if (ended || closing) return
      closing = true
      channel.close(reason)
    },
    closed,
  }
  const receive = (frame: Uint8Array): void => {
    if (ended) return
    if (subscriber) subscriber(frame)
    else if (early.length < MAX_EARLY_FRAMES) early.push(frame)
    else link.close('TOO_MANY')
  }
  return { link, receive, end }
}

/**
 * Two links in memory, each the other's end. `schedule` decides when a frame arrives (default: in a
 * microtask), so that tests can delay, drop or reorder.
 */
export function linkPair(
  schedule: (deliver: () => void) => void = queueMicrotask,
): readonly [Link, Link] {
  const ends: [LinkSource, LinkSource] = [
    makeLink(
      channelTo(
        () => ends[1],
        () => ends[0],
        schedule,
      ),
    ),
    makeLink(
      channelTo(
        () => ends[0],
        () => ends[1],
        schedule,
      ),
    ),
  ]
  return [ends[0].link, ends[1].link]
}

function channelTo(
  other: () => LinkSource,
  self: () => LinkSource,
  schedule: (deliver: () => void) => void,
): LinkChannel {
  return {
    send: (frame) => {
      const copy = frame.slice()
      schedule(() => other().receive(copy))
    },
    bufferedBytes: () => 0,
    close: (reason) =>
      schedule(() => {
        other().end(reason)
        self().end(reason)
      }),
  }
}
