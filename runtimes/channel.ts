/** A Protomux channel as a link, beside whatever else the connection carries. */

import Protomux, { type Stream } from 'protomux'
import { MAX_FRAME_BYTES } from '../src/limits.ts'
import { type Link, makeLink } from '../src/link.ts'
import { CLOSE_TIMEOUT_MS } from './limits.ts'
import { LOST, plainBytes, reasonBytes, reasonText } from './reason.ts'

/**
 * Opens the channel named `protocol` on the connection: message 0 is a frame, message 1 says why
 * the sender is about to close. When the last channel of a connection closes, the connection ends.
 * Undefined where the connection has gone or carries such a channel already. `waitingBytes` is what
 * waits beneath the connection, where it cannot tell that itself.
 */
export function openChannel(
  stream: Stream,
  protocol: string,
  waitingBytes: () => number = () => 0,
): Link | undefined {
  const mux = Protomux.from(stream)
  let reason: string | undefined
  const channel = mux.createChannel({
    protocol,
    onclose: () => {
      source.end(reason ?? LOST)
      if (mux.isIdle()) endStream(stream)
    },
  })
  if (!channel) return undefined
  const closeWith = (text: string): void => {
    reason ??= text
    bye.send(reasonBytes(text))
    channel.close()
  }
  const source = makeLink({
    send: (frame) => void frames.send(frame),
    bufferedBytes: () =>
      stream._writableState.buffered + stream.rawStream._writableState.buffered + waitingBytes(),
    close: closeWith,
  })
  const frames = channel.addMessage({
    onmessage: (bytes) => {
      if (channel.closed) return
      if (bytes.byteLength > MAX_FRAME_BYTES) closeWith('TOO_LARGE')
      else source.receive(plainBytes(bytes))
    },
  })
  const bye = channel.addMessage({
    onmessage: (bytes) => {
      reason ??= reasonText(bytes)
    },
  })
  channel.open()
  return source.link
}

/** Ends the connection after what is queued has left, and cuts it if the other end stays. */
function endStream(stream: Stream): void {
  if (stream.destroyed) return
  const cut = setTimeout(() => stream.destroy(), CLOSE_TIMEOUT_MS)
  stream.once('close', () => clearTimeout(cut))
  stream.end()
}
