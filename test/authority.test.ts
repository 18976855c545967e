/** Addresses: how far they reach, which are one, which a node answers to, and whom a proxy speaks for. */

import {
  acceptsAuthority,
  addressGroup,
  authorityOf,
  mayDial,
  type Reach,
  reachOf,
} from '../src/authority.ts'
import { addressOf } from '../src/http.ts'
import { assert, suite } from './harness/suite.ts'

const REACHES: Readonly<Record<string, Reach>> = {
  'localhost:4680': 'loopback',
  'LOCALHOST:4680': 'loopback',
  'demo.localhost:80': 'loopback',
  '127.0.0.1:4680': 'loopback',
  '127.255.0.9': 'loopback',
  '[::1]:4680': 'loopback',
  '::1': 'loopback',
  '::ffff:127.0.0.1': 'loopback',
  '0.0.0.0:80': 'loopback',
  '10.0.0.1:80': 'private',
  '172.16.0.1': 'private',
  '172.31.255.255:1': 'private',
  '192.168.1.20:4680': 'private',
  '169.254.3.4': 'private',
  '[fd00::1]:80': 'private',
  'fe80::1': 'private',
  '::ffff:192.168.1.20': 'private',
  'printer.local:80': 'private',
  '0.1.2.3': 'loopback',
  'localhost.:80': 'loopback',
  'printer.local.': 'private',
  // Of providers and VPNs, for protocols, for benchmarks, to many at once.
  '100.64.0.1': 'private',
  '100.127.255.255:1': 'private',
  '192.0.0.170': 'private',
  '198.18.0.1': 'private',
  '198.19.255.255': 'private',
  '224.0.0.251': 'private',
  '255.255.255.255': 'private',
  'ff02::1': 'private',
  'fec0::1': 'private',
  '[::7f00:1]:80': 'private',
  '::a00:1': 'private',
  // Behind NAT64 and 6to4.
  '[64:ff9b::a00:1]:80': 'private',
  '64:ff9b::7f00:1': 'loopback',
  '64:ff9b:1::a00:1': 'private',
  '2002:c0a8:101::1': 'private',
  '64:ff9b::808:808': 'public',
  '2002:808:808::1': 'public',
  '100.63.255.255': 'public',
  '100.128.0.1': 'public',
  '192.0.1.1': 'public',
  '198.20.0.1': 'public',
  '223.255.255.255': 'public',
  '224.evil.example': 'public',
  '172.32.0.1': 'public',
  '192.169.0.1': 'public',
  '11.0.0.1:80': 'public',
  '[2001:db8::1]:443': 'public',
  '2001:db8::1': 'public',
  'example.org:443': 'public',
  'localhost.example.org:80': 'public',
  'fd.example.org:80': 'public',
  'notlocal:80': 'public',
}

const test = suite('authority')

test('knows how far an address reaches, with a port and without', () => {
  for (const [authority, reach] of Object.entries(REACHES)) {
    assert.is(reachOf(authority), reach, authority)
  }
})

test('takes no public name for a local address because it begins like one', () => {
  for (const name of ['127.evil.example', '127.0.0.1.evil.example', '10.0.evil.example:80']) {
    assert.is(reachOf(name), 'public', name)
  }
  assert.is(reachOf('192.168.1.evil.example'), 'public')
})

test('answers to literal local addresses where no public URL is set, and to no other name', () => {
  const accepts = (authority: string): boolean => acceptsAuthority([], authority)
  assert.ok(['localhost:4680', '127.0.0.1:4680', '192.168.1.20:80', '[::1]:1'].every(accepts))
  assert.not(accepts('example.org:443'))
  assert.not(accepts('127.evil.example:80'))
})

test('answers to exactly its public URLs where some are set', () => {
  const urls = ['https://node.example', 'http://node.example:8080/x', 'wss://B.example/']
  const accepts = (authority: string): boolean => acceptsAuthority(urls, authority)
  assert.ok(accepts('node.example:443'))
  assert.ok(accepts('NODE.example:443'))
  assert.ok(accepts('node.example:8080'))
  assert.ok(accepts('b.example:443'))
  for (const other of [
    'node.example',
    'node.example:80',
    'node.example:4680',
    'evil.node.example:443',
    'localhost:4680',
    '127.0.0.1:443',
    '',
  ]) {
    assert.not(accepts(other), other)
  }
})

test('names the port of a URL also where it is the scheme’s own', () => {
  assert.is(authorityOf('https://Node.example/path?x'), 'node.example:443')
  assert.is(authorityOf('ws://node.example'), 'node.example:80')
  assert.is(authorityOf('wss://node.example:8443'), 'node.example:8443')
  assert.is(authorityOf('http://[::1]:4680'), '[::1]:4680')
})

test('lets a page dial no address nearer than its own home’s', () => {
  const page = { here: 'http://localhost:1', lan: 'http://192.168.1.2:1', web: 'https://a.example' }
  assert.ok(mayDial(page.here, 'http://127.0.0.1:2'))
  assert.ok(mayDial(page.here, page.web))
  assert.ok(mayDial(page.lan, 'http://10.0.0.1:2'))
  assert.ok(mayDial(page.web, 'https://b.example'))
  assert.not(mayDial(page.lan, page.here))
  assert.not(mayDial(page.web, page.lan))
  assert.not(mayDial(page.web, 'http://[::1]:80'))
  assert.not(mayDial(page.web, 'http://[::ffff:127.0.0.1]:80'))
  assert.not(mayDial(page.web, 'no URL'))
})

test('counts an IPv4 address as one, however it is written, and an IPv6 network of 64 bits', () => {
  const same = (...addresses: string[]): boolean => new Set(addresses.map(addressGroup)).size === 1
  assert.ok(same('192.0.2.1', '::ffff:192.0.2.1', '::FFFF:192.0.2.1'))
  assert.ok(same('2001:db8:1:2::1', '2001:db8:1:2:3:4:5:6', '2001:DB8:1:2::', '2001:db8:1:2::9'))
  assert.ok(same('::1', '::2'))
  assert.not(same('2001:db8:1:2::1', '2001:db8:1:3::1'))
  assert.not(same('192.0.2.1', '192.0.2.2'))
  assert.is(addressGroup('2001:db8::1'), addressGroup('2001:db8:0:0:ffff::'))
})

test('reads X-Forwarded-For from trusted proxies alone, and the last that none of them wrote', () => {
  const address = (socket: string, header: string | undefined, ...trusted: string[]): string => {
    const headers = header === undefined ? {} : { 'x-forwarded-for': header }
    return addressOf(new Request('http://node.example/', { headers }), socket, trusted)
  }
  const forged = '198.51.100.1, 203.0.113.7'
  assert.is(address('192.0.2.9', forged), '192.0.2.9', 'nobody is trusted')
  assert.is(address('192.0.2.9', forged, '192.0.2.8'), '192.0.2.9', 'another is trusted')
  assert.is(address('192.0.2.9', forged, '192.0.2.9'), '203.0.113.7')
  assert.is(address('192.0.2.9', forged, '192.0.2.9', '203.0.113.7'), '198.51.100.1')
  assert.is(address('192.0.2.9', undefined, '192.0.2.9'), '192.0.2.9', 'the proxy itself asks')
  for (const socket of ['127.0.0.1', '::1', '::ffff:127.0.0.1']) {
    assert.is(address(socket, forged, 'loopback'), '203.0.113.7', socket)
  }
  assert.is(address('192.168.1.1', forged, 'loopback'), '192.168.1.1')
})

test.run()
