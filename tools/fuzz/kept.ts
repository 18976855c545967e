/** What a node reads that is no frame, as targets: its files, its command line, the URL of an upgrade. */

import type { IncomingMessage } from 'node:http'
import { parseConfig } from '../../runtimes/config.ts'
import { oneOf, wholeNumber } from '../../runtimes/flag-values.ts'
import { type Flags, parseFlags } from '../../runtimes/flags.ts'
import { requestOf } from '../../runtimes/http.ts'
import { readMembers } from '../../runtimes/members.ts'
import { reasonBytes, reasonText } from '../../runtimes/reason.ts'
import { decodeAnchors, encodeAnchors, loadAnchors } from '../../src/anchors.ts'
import { concat, equal, toHex, utf8, writer } from '../../src/bytes.ts'
import { hashNames } from '../../src/crypto.ts'
import { socketUrl } from '../../src/edge/dialling.ts'
import { loadEpoch } from '../../src/epoch.ts'
import { answerHttp } from '../../src/http.ts'
import { loadIdentity, makeIdentity } from '../../src/identity.ts'
import { MAX_ANCHORS, MAX_MEMBERS, MAX_NAMED_TOPICS, MAX_REASON_BYTES } from '../../src/limits.ts'
import type { Log } from '../../src/log.ts'
import type { Store } from '../../src/runtime.ts'
import { readNamed } from '../../src/samples.ts'
import { START_MS, tagOf } from '../../test/fixtures/samples.ts'
import { type Decoder, targetsOf } from './decoder.ts'
import { must, type Target } from './target.ts'

const SILENT: Log = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} }
const CHECK_BYTES = 8
/** A longer file has no check, and so no anchors. */
const MAX_CHECKED_BYTES = 0xffff
const id = toHex(tagOf(1))

const decoders: Readonly<Record<string, Decoder>> = {
  anchors: {
    seeds: [encodeAnchors([]), encodeAnchors([anchorOf(1), anchorOf(2)])].map((bytes) =>
      bytes.slice(0, -CHECK_BYTES),
    ),
    codes: ['BAD_FRAME', 'DATA_UNREADABLE'],
    decode: async (bytes) => {
      const { kept } = await loadAnchors(storeOf(bytes), SILENT)
      must(kept.length <= MAX_ANCHORS, 'More anchors than are kept')
      if (bytes.length > MAX_CHECKED_BYTES) return
      // Damage that the check does not show.
      const check = hashNames('anchors-check', [bytes]).subarray(0, CHECK_BYTES)
      const sealed = concat(bytes, check)
      must(equal(encodeAnchors(decodeAnchors(sealed)), sealed), 'Anchors are not kept as read')
    },
  },
  identity: {
    seeds: [keptIdentity()],
    codes: ['IDENTITY_CORRUPT'],
    decode: async (bytes) => {
      const { seed } = await loadIdentity(storeOf(bytes))
      must(equal(seed, bytes.subarray(0, seed.length)), 'Another identity')
    },
  },
  epoch: {
    seeds: [
      writer().u64(START_MS).done(),
      writer()
        .u64(START_MS + 9e9)
        .done(),
    ],
    codes: [],
    decode: async (bytes) => {
      const store = storeOf(bytes)
      const epoch = await loadEpoch(store, START_MS)
      must(Number.isSafeInteger(epoch) && epoch >= START_MS, `Epoch ${epoch}`)
      must((await loadEpoch(store, START_MS)) > epoch, 'The next epoch is no later one')
    },
  },
  members: {
    seeds: [`# ours\n${id}\n\n${id.toUpperCase()} # twice\r\n`, `\uFEFF${id}`].map(utf8),
    codes: ['BAD_CONFIG'],
    decode: async (bytes) => {
      const host = { readText: async () => new TextDecoder().decode(bytes) }
      const { listed } = await readMembers({ members: 'file', membersOnly: true }, host)
      must(listed.size <= MAX_MEMBERS, 'More members than may be listed')
      for (const member of listed) must(/^[0-9a-f]{64}$/.test(member), `Member ${member}`)
    },
  },
  // Arguments are parted by line breaks here.
  config: {
    seeds: [
      '--port\n0\n--host=0.0.0.0\n--bootstrap\na:1,b:2',
      '--network\nmain\n--trust-proxy\nloopback,::1\n--public-url=wss://a.example/x',
      '--members\nfile\n--members-only\n--dht-host\n127.0.0.1\n--log-level=debug',
      '-h\n--no-dht=off\n--tls-cert\na\n--tls-key\nb\n--data\nd',
    ].map(utf8),
    codes: ['BAD_CONFIG'],
    decode: (bytes) => {
      const argv = new TextDecoder().decode(bytes).split('\n')
      parseFlags(
        FLAGS,
        argv.slice(0, 4).filter((arg) => !arg.startsWith('--')),
      )
      parseConfig([], { SIGNAL_MESH_PORT: argv[1], SIGNAL_MESH_PUBLIC_URL: argv[3] })
      const { port, publicUrl } = parseConfig(argv, {})
      must(port >= 0 && port <= 65_535, `Port ${port}`)
      for (const url of publicUrl) must(URL.canParse(url), `A public URL ${url}`)
    },
  },
  upgrade: {
    seeds: [
      socketUrl('http://127.0.0.1', { tags: [tagOf(1), tagOf(2)], peer: id }),
      socketUrl('https://node.example/', { tags: [tagOf(1)] }),
    ].map((url) => utf8(new URL(url).search)),
    decode: (bytes) => {
      const url = `ws://127.0.0.1/edge${new TextDecoder().decode(bytes).replace(/^[^?]/, '?')}`
      if (!URL.canParse(url)) return
      const { tags, peer } = readNamed(url)
      must(tags.length <= MAX_NAMED_TOPICS, 'More topics than may be named')
      const again = readNamed(socketUrl('http://127.0.0.1', { tags, ...(peer && { peer }) }))
      must(again.peer === peer && `${again.tags}` === `${tags}`, 'What was named is read otherwise')
    },
  },
  // A host, a path and headers, parted by line breaks here.
  http: {
    seeds: [
      'node.example:4680\n/edge?t=1\nx-forwarded-for: 10.0.0.1',
      '[::1]:80\n/health\na: b\na: c',
      'a@b\n//c/d',
    ].map(utf8),
    decode: (bytes) => {
      const [host = '', url = '', ...lines] = new TextDecoder('latin1').decode(bytes).split('\n')
      const rawHeaders = lines.flatMap((line) => line.split(': ', 2))
      const message = { headers: { host }, url, rawHeaders, method: 'GET' }
      const request = requestOf(message as unknown as IncomingMessage, 'http')
      if (!request) return
      const { username, pathname } = new URL(request.url)
      must(username === '' && pathname.startsWith('/'), 'A host reaches into the path')
      must([200, 404].includes(answerHttp(request, () => ({}), undefined).status), 'Another answer')
    },
  },
  reason: {
    seeds: [utf8('GOING_AWAY'), utf8('für immer'.repeat(12))],
    decode: (bytes) => {
      const out = reasonBytes(reasonText(bytes))
      must(out.length <= MAX_REASON_BYTES, `A reason of ${out.length} bytes`)
    },
  },
}

const FLAGS: Flags<{ readonly size: number; readonly kind: string }> = {
  size: { ...wholeNumber(0, 9), value: 'N', about: 'A size', fallback: 1 },
  kind: { ...oneOf(['a', 'b']), value: 'KIND', about: 'A kind', fallback: 'a' },
}

export const keptTargets: readonly Target[] = targetsOf(decoders)

function anchorOf(number: number): { node: string; dhtKey: Uint8Array } {
  return { node: toHex(tagOf(number)), dhtKey: tagOf(number + 10) }
}

function keptIdentity(): Uint8Array {
  const { seed } = makeIdentity(tagOf(1))
  return concat(seed, hashNames('identity-check', [seed]).subarray(0, CHECK_BYTES))
}

/** A store whose one file holds these bytes, whatever its name. */
function storeOf(bytes: Uint8Array): Store {
  let kept = bytes
  return {
    kept: true,
    read: async () => kept,
    write: async (_name, value) => {
      kept = value
    },
  }
}
