/** The address of a demo page: its room and, on the launcher's own links, where the nodes are controlled. */

export interface PageAddress {
  readonly room: string
  /** `127.0.0.1:port/token` of the launcher's control socket. */
  readonly control?: string | undefined
}

/** Where a page is that names no room; two tabs of one node then meet without further ado. */
export const DEFAULT_ROOM = 'lobby'

/** Long enough for any name that people give a room. */
const MAX_ROOM_CHARS = 64

/** Only a launcher on this machine is believed: a link must not send a page to other hosts. */
const CONTROL = /^127\.0\.0\.1:\d{1,5}\/[0-9a-f]{32}$/

/** Reads what stands after the `#`, which no server gets to see. */
export function readAddress(hash: string): PageAddress {
  const fields = new URLSearchParams(hash.replace(/^#/, ''))
  const room = (fields.get('room') ?? '').toWellFormed().trim().slice(0, MAX_ROOM_CHARS)
  const control = fields.get('control') ?? ''
  return {
    room: room.toWellFormed() || DEFAULT_ROOM,
    control: CONTROL.test(control) ? control : undefined,
  }
}

/** The link to a page at the node with this URL. */
export function pageLink(url: string, { room, control }: PageAddress): string {
  const { origin } = new URL(url.replace(/^ws/, 'http'))
  const extra = control ? `&control=${control}` : ''
  return `${origin}/#room=${encodeURIComponent(room)}${extra}`
}
