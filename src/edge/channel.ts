/** A channel: the pieces of one connection, carried by homes first where that must be, then over a path of its own. */

import { badFrame, reader, writer } from '../bytes.ts'
import { SignalMeshError } from '../errors.ts'
import type { Carried } from './carried.ts'
import type { Rtc, RtcPath } from './rtc.ts'

/** The first piece over a path of its own, where homes carried before: the number of the piece that follows. */
const MOVED = 19

export interface Channel {
  send(piece: Uint8Array): Promise<void>
  path(): Promise<RtcPath | 'mesh' | undefined>
  addStream(stream: MediaStream): void
  removeStream(stream: MediaStream): void
  readonly connection: RTCPeerConnection
}

export interface ChannelOptions {
  /** The RTC connection that there is, open or not. */
  rtc(): Rtc
  onPiece(piece: string | Uint8Array): void
  /** The other side has moved too: nothing more will be carried. */
  onMoved(): void
}

export interface ChannelSource {
  readonly channel: Channel
  /** Whether homes carry it for now. */
  readonly isCarried: boolean
  /** It begins with the homes. */
  carry(carried: Carried): void
  /** Takes a piece that homes have carried. */
  fromHomes(piece: Uint8Array): void
  /** The RTC connection is open: from here on, all goes there. */
  move(): void
  /** Takes a piece that came over the RTC connection. */
  fromRtc(piece: string | Uint8Array): void
}

export function createChannel(options: ChannelOptions): ChannelSource {
  let carried: Carried | undefined
  let rtc: Rtc | undefined
  /** Pieces taken in their order, while homes carried them. */
  let received = 0
  /** How many of those that come now have come before. */
  let skip = 0
  let hasPeerMoved = false

  const moved = (piece: Uint8Array): void => {
    const r = reader(piece)
    r.u8()
    const first = r.u64()
    r.end()
    if (first > received) throw badFrame('pieces were left out at the move')
    skip = received - first
  }

  const isMoved = (piece: string | Uint8Array): piece is Uint8Array =>
    typeof piece !== 'string' && piece[0] === MOVED

  return {
    channel: {
      send: (piece) => {
        if (rtc) return rtc.send(piece)
        if (carried) return carried.send(piece)
        return Promise.reject(new SignalMeshError('CLOSED', 'There is no path'))
      },
      path: async () => (rtc ? await rtc.path() : 'mesh'),
      addStream: (stream) => {
        if (rtc) rtc.addStream(stream)
        else throw needsRtc()
      },
      removeStream: (stream) => options.rtc().removeStream(stream),
      get connection() {
        return options.rtc().connection
      },
    },
    get isCarried() {
      return carried !== undefined && !rtc
    },
    carry: (by) => {
      carried = by
    },
    fromHomes: (piece) => {
      // It comes again over the other path, with all behind it.
      if (hasPeerMoved) return
      received += 1
      options.onPiece(piece)
    },
    move: () => {
      rtc = options.rtc()
      if (!carried) return
      const { first, pieces } = carried.leave()
      const failed = (): void => {
        // The end of the channel is told elsewhere.
      }
      rtc.send(writer(9).u8(MOVED).u64(first).done()).catch(failed)
      for (const { piece, done } of pieces) rtc.send(piece).then(done, failed)
    },
    fromRtc: (piece) => {
      if (!hasPeerMoved) {
        hasPeerMoved = true
        options.onMoved()
        if (isMoved(piece)) {
          moved(piece)
          return
        }
      }
      if (skip > 0) skip -= 1
      else options.onPiece(piece)
    },
  }
}

function needsRtc(): SignalMeshError {
  return new SignalMeshError(
    'MEDIA_NEEDS_RTC',
    'There is no direct path for media: the mesh carries this connection, and messages alone',
  )
}
