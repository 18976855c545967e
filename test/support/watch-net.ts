/** Preloaded into a program, writes down whatever it looks up, connects to or sends, one line of JSON each. */

import { Socket as UdpSocket } from 'node:dgram'
import dns from 'node:dns'
import { appendFileSync } from 'node:fs'
import { Socket } from 'node:net'

const file = process.env.WATCH_NET_FILE as string

function watch(owner: object, name: string, what: string): void {
  const methods = owner as Record<string, (...args: unknown[]) => unknown>
  const own = methods[name] as (...args: unknown[]) => unknown
  methods[name] = function (this: unknown, ...args) {
    const told = args.map((arg) => (typeof arg === 'function' ? 'function' : arg))
    appendFileSync(file, `${JSON.stringify({ what, told: String(JSON.stringify(told)) })}\n`)
    return own.apply(this, args)
  }
}

watch(Socket.prototype, 'connect', 'connect')
watch(UdpSocket.prototype, 'send', 'send')
watch(UdpSocket.prototype, 'connect', 'udp connect')
watch(dns, 'lookup', 'lookup')
watch(dns.promises, 'lookup', 'lookup')
for (const name of Object.getOwnPropertyNames(dns.promises.Resolver.prototype)) {
  if (/^resolve/.test(name)) watch(dns.promises.Resolver.prototype, name, name)
}
appendFileSync(file, `${JSON.stringify({ what: 'watching' })}\n`)
