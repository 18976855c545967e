/** Application frames on the wire: messages that programs beside two linked nodes send each other, cut into parts. */

import { badFrame, type Reader, reader, utf8, writer } from './bytes.ts'
import { MAX_APP_FRAME_BYTES, MAX_APP_NAME_BYTES } from './limits.ts'
import { FRAME } from './messages.ts'

const FLAG_LAST = 1
/** Kind, flags, message, part and the length of the name. */
const FIXED_BYTES = 12

/** One part of a message. */
export interface AppPart {
  /** The application's name, which both sides know it by. */
  readonly app: string
  /** One more for each message that is sent over a link. */
  readonly message: number
  /** From 0. */
  readonly part: number
  readonly isLast: boolean
  readonly bytes: Uint8Array
}

export function encodeAppPart({ app, message, part, isLast, bytes }: AppPart): Uint8Array {
  const w = writer(FIXED_BYTES + app.length + bytes.length).u8(FRAME.app)
  w.u8(isLast ? FLAG_LAST : 0)
    .u32(message)
    .u32(part)
  return w.text(app).bytes(bytes).done()
}

/** @throws SignalMeshError `BAD_FRAME` */
export function decodeAppPart(frame: Uint8Array): AppPart {
  if (frame.length > MAX_APP_FRAME_BYTES) {
    throw badFrame(`an application's frame of ${frame.length} bytes`)
  }
  const r = reader(frame)
  if (r.u8() !== FRAME.app) throw badFrame('no frame of an application')
  const flags = r.u8()
  if (flags > FLAG_LAST) throw badFrame("an application's frame of a later version")
  const message = r.u32()
  const part = r.u32()
  return { app: nameOf(r), message, part, isLast: flags === FLAG_LAST, bytes: r.rest() }
}

function nameOf(r: Reader): string {
  const name = r.text(MAX_APP_NAME_BYTES)
  if (name === '') throw badFrame('an application without a name')
  return name
}

/** How much of a message a part takes at most. */
export function roomOf(app: string): number {
  return MAX_APP_FRAME_BYTES - FIXED_BYTES - utf8(app).length
}
