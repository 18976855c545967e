/** Asking over UDP whether somebody is there, and from where the question seemed to come: DHT nodes and STUN. */

import { lookup } from 'node:dns/promises'
import { concat, reader, toHex } from '../src/bytes.ts'
import { randomBytes } from '../src/crypto.ts'
import { MAX_STUN_BYTES } from '../src/limits.ts'
import type { Runtime, UdpAddress } from '../src/runtime.ts'
import { stunAnswerId, stunRequest } from '../src/stun.ts'
import { DHT_ANSWERS_MS } from './limits.ts'

export interface Place {
  readonly kind: 'dht' | 'stun'
  /** `host:port` */
  readonly at: string
}

export interface Heard extends Place {
  /** `address:port` as the other end saw this one; undefined if it was silent. */
  readonly seen: string | undefined
}

/** A lost datagram is sent again after these times. */
const RESENDS_MS = [0, 300, 900]
const COOKIE_BYTES = 4
const STUN_ID_BYTES = 12
const XOR_MAPPED_ADDRESS = 0x0020

/** First bytes of what dht-rpc 6 sends: requests, and answers to them. */
const DHT_REQUEST = 0x03
const DHT_ANSWER = 0x13
/** Of a command of the DHT's own. */
const DHT_INTERNAL = 0x04
const DHT_PING = 0x00

interface Question extends Place {
  readonly to: UdpAddress
  readonly request: Uint8Array
  /** The address in an answer to this very request. */
  read(datagram: Uint8Array): string | undefined
}

/**
 * Asks all of them through one port, so that what they saw can be compared.
 * @throws SignalMeshError where this machine gives no UDP port
 */
export async function askOverUdp(
  openUdp: NonNullable<Runtime['openUdp']>,
  places: readonly Place[],
): Promise<readonly Heard[]> {
  const questions = (await Promise.all(places.map(questionOf))).flatMap((one) => one ?? [])
  const seen = new Map<string, string>()
  let done = (): void => {}
  const all = new Promise<void>((resolve) => {
    done = resolve
  })
  const onDatagram = (datagram: Uint8Array): void => {
    for (const { at, read } of questions) {
      const address = read(datagram)
      if (address !== undefined) seen.set(at, address)
    }
    if (seen.size >= questions.length) done()
  }
  const port = await openUdp({ host: '0.0.0.0', port: 0, onDatagram })
  const send = (): void => {
    for (const { at, to, request } of questions) if (!seen.has(at)) port.send(request, to)
  }
  const timers = RESENDS_MS.map((ms) => setTimeout(send, ms))
  timers.push(setTimeout(done, questions.length > 0 ? DHT_ANSWERS_MS : 0))
  await all
  for (const timer of timers) clearTimeout(timer)
  await port.close()
  return places.map((place) => ({ ...place, seen: seen.get(place.at) }))
}

/** Nothing where its name leads nowhere. */
async function questionOf(place: Place): Promise<Question | undefined> {
  const [, host = '', port] = /^(.*):(\d+)$/.exec(place.at) ?? []
  const name = host.replace(/^\[(.*)\]$/, '$1')
  // DHT nodes are at IPv4 addresses alone.
  const family = place.kind === 'dht' ? 4 : 0
  const found = await lookup(name, { family }).catch(() => undefined)
  if (!found) return undefined
  const to = { address: found.address, port: Number(port) }
  return { ...place, to, ...(place.kind === 'dht' ? dhtPing(to) : stunBinding()) }
}

function dhtPing({ address, port }: UdpAddress): Pick<Question, 'request' | 'read'> {
  const id = randomBytes(2)
  const ip = Uint8Array.from(address.split('.').map(Number))
  const littlePort = [port & 0xff, port >>> 8]
  const head = Uint8Array.from([DHT_REQUEST, DHT_INTERNAL])
  const request = concat(head, id, ip, Uint8Array.from([...littlePort, DHT_PING]))
  const read = (datagram: Uint8Array): string | undefined => {
    if (datagram.length < 10 || datagram[0] !== DHT_ANSWER) return undefined
    if (toHex(datagram.subarray(2, 4)) !== toHex(id)) return undefined
    const [low = 0, high = 0] = datagram.subarray(8, 10)
    return `${[...datagram.subarray(4, 8)].join('.')}:${low + 256 * high}`
  }
  return { request, read }
}

function stunBinding(): Pick<Question, 'request' | 'read'> {
  const id = randomBytes(STUN_ID_BYTES)
  const read = (datagram: Uint8Array): string | undefined => {
    const answered = stunAnswerId(datagram)
    return answered && toHex(answered) === toHex(id) ? mappedAddress(datagram) : undefined
  }
  return { request: stunRequest(id), read }
}

/** XOR-MAPPED-ADDRESS of an answer (RFC 8489, section 14.2); undefined without one that makes sense. */
export function mappedAddress(datagram: Uint8Array): string | undefined {
  if (datagram.length > MAX_STUN_BYTES) return undefined
  try {
    const r = reader(datagram)
    r.bytes(4)
    const mask = r.bytes(COOKIE_BYTES + STUN_ID_BYTES)
    while (r.left > 0) {
      const type = r.u16()
      const bytes = r.u16()
      const value = reader(r.bytes((bytes + 3) & ~3).subarray(0, bytes))
      if (type !== XOR_MAPPED_ADDRESS) continue
      const family = value.u16()
      const port = value.u16() ^ (((mask[0] as number) << 8) | (mask[1] as number))
      const address = value.bytes(value.left).map((byte, i) => byte ^ (mask[i] as number))
      if (family === 1 && address.length === 4) return `${address.join('.')}:${port}`
      if (family === 2 && address.length === 16) return `${ipv6Text(address)}:${port}`
      return undefined
    }
  } catch {
    return undefined
  }
  return undefined
}

function ipv6Text(address: Uint8Array): string {
  const groups = Array.from({ length: 8 }, (_, i) => toHex(address.subarray(2 * i, 2 * i + 2)))
  return new URL(`http://[${groups.join(':')}]`).hostname
}
