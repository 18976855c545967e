/** What a host is behind, by STUN: prints mapping and filtering (RFC 5780), and whether a hairpin works. */

import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import { isIPv6 } from 'node:net'
import { networkInterfaces } from 'node:os'
import { type Change, type Message, parse, request } from './stunbytes.ts'
import { STUN_PORTS } from './stund.ts'

const TRIES = 3
/** All is on one machine. */
const ANSWER_MS = 250

export interface Found {
  readonly family: 4 | 6
  /** As `ABOUT` of the kinds says it. */
  readonly text: string
  readonly hairpin: boolean
}

interface Asker {
  ask(address: string, port: number, change?: Change): Promise<Message | undefined>
  send(text: string, to: { address: string; port: number }): void
  readonly heard: string[]
  close(): void
}

if (import.meta.main) {
  const found = await Promise.all(process.argv.slice(2).map((pair) => check(pair.split(','))))
  console.log(JSON.stringify(found))
}

async function check([one = '', other = '']: string[]): Promise<Found> {
  const family = isIPv6(one) ? 6 : 4
  const [port, otherPort] = STUN_PORTS
  // On a socket of its own: once the other address is written to, it may answer.
  const first = await open(family)
  if (!(await first.ask(one, port))) {
    first.close()
    return { family, text: family === 4 ? 'no UDP' : 'no UDP6', hairpin: false }
  }
  const [anyHost, anyPort] = await Promise.all([
    first.ask(one, port, { address: true, port: true }),
    first.ask(one, port, { port: true }),
  ])
  first.close()
  const second = await open(family)
  const all: (string | undefined)[] = []
  for (const address of [one, other]) {
    for (const at of [port, otherPort]) all.push(placeOf(await second.ask(address, at)))
  }
  second.close()
  const nat = isOwn(all[0] as string) ? 'no NAT' : 'NAT'
  const mapping = new Set(all).size === 1 ? 'endpoint-independent' : 'address-and-port-dependent'
  const filtering = anyHost
    ? 'endpoint-independent'
    : anyPort
      ? 'address-dependent'
      : 'address-and-port-dependent'
  const text = `${nat}${family === 6 ? '6' : ''}, ${mapping} mapping, ${filtering} filtering`
  return { family, text, hairpin: await hairpins(family, one) }
}

/** Two sockets write to each other by their addresses outside. */
async function hairpins(family: 4 | 6, server: string): Promise<boolean> {
  const two = await Promise.all([open(family), open(family)])
  const at = await Promise.all(two.map((one) => one.ask(server, STUN_PORTS[0])))
  for (let i = 0; i < TRIES; i++) {
    for (const [k, one] of two.entries()) {
      const to = at[1 - k]?.mapped
      if (to) one.send('hairpin', to)
    }
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
  for (const one of two) one.close()
  return two.every(({ heard }) => heard.length > 0)
}

async function open(family: 4 | 6): Promise<Asker> {
  const socket = createSocket(family === 6 ? 'udp6' : 'udp4')
  socket.bind(0)
  await once(socket, 'listening')
  socket.on('error', () => {})
  const waiting = new Map<string, (answer: Message) => void>()
  const heard: string[] = []
  socket.on('message', (bytes) => {
    const message = parse(bytes)
    if (message) waiting.get(message.id)?.(message)
    else heard.push(String(bytes))
  })
  return {
    heard,
    close: () => socket.close(),
    send: (text, { address, port }) => socket.send(text, port, address, () => {}),
    ask: async (address, port, change) => {
      for (let i = 0; i < TRIES; i++) {
        const { id, bytes } = request(change)
        const answered = new Promise<Message>((resolve) => waiting.set(id, resolve))
        socket.send(bytes, port, address, () => {})
        const late = new Promise<undefined>((resolve) => setTimeout(resolve, ANSWER_MS))
        const answer = await Promise.race([answered, late])
        if (answer) return answer
      }
      return undefined
    },
  }
}

function placeOf(answer: Message | undefined): string {
  return `${answer?.mapped?.address} ${answer?.mapped?.port}`
}

function isOwn(place: string): boolean {
  const own = Object.values(networkInterfaces()).flatMap((all) => all ?? [])
  return own.some(({ address }) => place.startsWith(`${address} `))
}
