/** The media of an RTC connection: streams that are sent, on as few media sections as will do, and received. */

import { SignalMeshError } from '../errors.ts'

export interface MediaOptions {
  readonly connection: RTCPeerConnection
  /** The other side has to be told of what has changed. */
  negotiate(): void
  /** The other side sends a stream that it did not send before. */
  onStream(stream: MediaStream): void
}

export interface Media {
  /**
   * Sends the stream's tracks; those that are sent already stay as they are. True if any is new.
   * @throws SignalMeshError `BAD_ARGUMENT` for a track that is sent in another stream
   */
  add(stream: MediaStream): boolean
  /** Sends the stream no more. */
  remove(stream: MediaStream): void
}

export function createMedia({ connection, negotiate, onStream }: MediaOptions): Media {
  /** What is sent: the sender of each track, by its stream. */
  const sent = new Map<MediaStream, Map<MediaStreamTrack, RTCRtpSender>>()
  const received = new Set<MediaStream>()

  const isBusy = (sender: RTCRtpSender): boolean =>
    [...sent.values()].some((senders) => [...senders.values()].includes(sender))

  /**
   * A section that has ended stays in every later description, so who turns a camera on and off would
   * come to the bound of a signal. `addTrack` takes up none that was in use before.
   */
  const idleFor = (kind: string): RTCRtpTransceiver | undefined =>
    connection.getTransceivers?.().find(
      ({ direction, receiver, sender }) =>
        direction !== 'stopped' &&
        receiver.track.kind === kind &&
        !sender.track &&
        !isBusy(sender) &&
        // Not in every implementation of Node's.
        'setStreams' in sender,
    )

  const send = (track: MediaStreamTrack, stream: MediaStream): RTCRtpSender => {
    const idle = idleFor(track.kind)
    if (!idle) return connection.addTrack(track, stream)
    const { sender } = idle
    sender
      .replaceTrack(track)
      // It may have been removed meanwhile.
      .then(() => (isBusy(sender) ? undefined : sender.replaceTrack(null)))
      // It fails only where the connection has ended.
      .catch(() => undefined)
    sender.setStreams(stream)
    idle.direction = 'sendrecv'
    return sender
  }

  const checkFree = (stream: MediaStream): void => {
    for (const [other, senders] of sent) {
      if (other === stream || !stream.getTracks().some((track) => senders.has(track))) continue
      throw new SignalMeshError('BAD_ARGUMENT', 'A track of this stream is sent in another one')
    }
  }

  connection.ontrack = ({ streams }) => {
    for (const stream of streams) {
      if (received.has(stream)) continue
      received.add(stream)
      stream.addEventListener('removetrack', () => {
        // Should it come again, that is news.
        if (stream.getTracks().length === 0) received.delete(stream)
      })
      // Once all of its tracks are in it.
      queueMicrotask(() => onStream(stream))
    }
  }

  return {
    add: (stream) => {
      checkFree(stream)
      const senders = sent.get(stream) ?? new Map<MediaStreamTrack, RTCRtpSender>()
      sent.set(stream, senders)
      const before = senders.size
      for (const track of stream.getTracks()) {
        if (!senders.has(track)) senders.set(track, send(track, stream))
      }
      return senders.size > before
    },
    remove: (stream) => {
      const senders = sent.get(stream)
      if (!senders) return
      sent.delete(stream)
      for (const sender of senders.values()) connection.removeTrack(sender)
      negotiate()
    },
  }
}
