/** Servers for ICE as a home names them to its edges: what may be named, and the bytes of it. */

import { badFrame, type Reader, reader, type Writer, writer } from './bytes.ts'
import { MAX_ICE_SERVERS, MAX_ICE_TEXT_BYTES, MAX_ICE_TTL_MS } from './limits.ts'

/** A STUN server, or a TURN server with what it takes to be let in. */
export interface IceServer {
  readonly url: string
  /** Of TURN alone. */
  readonly username?: string
  readonly credential?: string
}

export interface IceOffer {
  readonly servers: readonly IceServer[]
  /** For how long they are good. */
  readonly ttlMs: number
}

export const NO_ICE: IceOffer = { servers: [], ttlMs: 0 }

/** RFC 7064 and RFC 7065, without the parts that nobody needs here. */
const HOST = String.raw`([a-z\d_][a-z\d_.-]*|\[[\da-f:.]+\])`
const STUN_URL = new RegExp(String.raw`^stun:(${HOST}(:\d{1,5})?)$`, 'i')
const TURN_URL = new RegExp(String.raw`^turns?:(${HOST}(:\d{1,5})?)(\?transport=(udp|tcp))?$`, 'i')

/** Host and port of a server's URL; `undefined` if it is no URL of a STUN or TURN server. */
export function iceHost(url: string): string | undefined {
  return (STUN_URL.exec(url) ?? TURN_URL.exec(url))?.[1]
}

/** Whether a text is the host and port of a STUN server. */
export function isStunAt(text: string): boolean {
  return /:\d{1,5}$/.test(text) && portOf(text) <= 65_535 && iceHost(`stun:${text}`) === text
}

/** The port of a text that ends with one. */
export function portOf(text: string): number {
  return Number(text.slice(text.lastIndexOf(':') + 1))
}

export function isTurnUrl(url: string): boolean {
  return TURN_URL.test(url)
}

export function writeIce(w: Writer, { servers, ttlMs }: IceOffer): Writer {
  w.u32(ttlMs).u8(servers.length)
  for (const { url, username = '', credential = '' } of servers) {
    w.text(url).text(username).text(credential)
  }
  return w
}

export function iceFrom(r: Reader): IceOffer {
  const ttlMs = r.u32()
  if (ttlMs > MAX_ICE_TTL_MS) throw badFrame(`servers for ${ttlMs} ms`)
  const count = r.u8()
  if (count > MAX_ICE_SERVERS) throw badFrame(`${count} servers for ICE`)
  return { servers: Array.from({ length: count }, () => readServer(r)), ttlMs }
}

export function encodeIce(offer: IceOffer): Uint8Array {
  return writeIce(writer(), offer).done()
}

/** @throws SignalMeshError `BAD_FRAME` */
export function decodeIce(body: Uint8Array): IceOffer {
  const r = reader(body)
  const offer = iceFrom(r)
  r.end()
  return offer
}

function readServer(r: Reader): IceServer {
  const [url, username, credential] = [text(r), text(r), text(r)] as const
  const host = iceHost(url)
  if (host === undefined) throw badFrame(`a server for ICE ${JSON.stringify(url)}`)
  // What opens a TURN server is for that one alone; a STUN server asks for nothing.
  const isTurn = isTurnUrl(url)
  if (isTurn !== (username !== '') || isTurn !== (credential !== '')) {
    throw badFrame('a server for ICE with the credentials of another kind')
  }
  return isTurn ? { url, username, credential } : { url }
}

function text(r: Reader): string {
  return r.text(MAX_ICE_TEXT_BYTES)
}
