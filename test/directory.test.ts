/** The directory: who may say what of an edge, which home wins, and what is handed out. */

import { fromHex, toHex } from '../src/bytes.ts'
import type { HomeState } from '../src/claims.ts'
import { createDirectory, type Directory } from '../src/directory.ts'
import { MAX_SKEW_MS, MAX_TOPICS_PER_EDGE } from '../src/limits.ts'
import { networkId } from '../src/topic.ts'
import type { TopicChange } from '../src/topics.ts'
import { pick, seededRandom, shuffled } from './fixtures/random.ts'
import {
  advertOf,
  forgedPresence,
  HOUR_MS,
  identityOf,
  NETWORK,
  presenceOf,
  put,
  START_MS,
  tagOf,
} from './fixtures/samples.ts'
import { assert, suite } from './harness/suite.ts'

const NOW = START_MS + 1_000
const [A, B] = [identityOf(10).id, identityOf(11).id]
const CHAT = tagOf(1)
const chat = toHex(CHAT)
const ann = identityOf(1)

const test = suite('directory')

test('keeps the record with the higher seq, and ignores an equal or lower one', () => {
  const { directory, homeA } = world()
  const seqOf = () => directory.locate(ann.id, NOW)?.presence?.seq
  const take = (seq: number): void => directory.apply(homeA, put(presenceOf(ann, A, { seq })), NOW)
  take(START_MS + 5)
  assert.is(seqOf(), START_MS + 5)
  take(START_MS + 4)
  assert.is(seqOf(), START_MS + 5)
  take(START_MS + 6)
  assert.is(seqOf(), START_MS + 6)
  const held = directory.locate(ann.id, NOW)?.presence
  directory.apply(homeA, put(presenceOf(ann, A, { seq: START_MS + 6, ttlMs: 5 })), NOW)
  assert.is(directory.locate(ann.id, NOW)?.presence, held)
  assert.is(directory.records, 1)
})

test('orders adverts by seq too, each topic by itself', () => {
  const { directory, homeA } = world()
  join(directory, homeA, 1, [CHAT, tagOf(2)])
  const info = (): number | undefined => {
    const [claim] = directory.discover(chat, 9, NOW).claims
    return claim?.adverts.get(chat)?.info[0]
  }
  const take = (seq: number, byte: number): void => {
    const advert = advertOf(ann, CHAT, { seq, info: Uint8Array.of(byte) })
    directory.apply(homeA, put(advert), NOW)
  }
  take(START_MS + 9, 1)
  take(START_MS + 9, 2)
  take(START_MS + 8, 3)
  assert.is(info(), 1)
  assert.is(directory.records, 3)
})

test('moves an edge to another home for a higher seq that it signed itself', () => {
  const { directory, homeA, homeB } = world()
  directory.apply(homeA, put(presenceOf(ann, A, { seq: START_MS })), NOW)
  directory.apply(homeB, put(presenceOf(ann, B, { seq: START_MS - 1 })), NOW)
  assert.is(directory.locate(ann.id, NOW)?.home.id, A, 'an older presence does not')
  directory.apply(homeB, put(presenceOf(ann, B, { seq: START_MS + 1 })), NOW)
  assert.is(directory.locate(ann.id, NOW)?.home.id, B)
})

test('lets nobody take an edge from another home with a presence that it did not sign', () => {
  const { directory, homeA, homeB } = world()
  const joined = listen(directory)
  join(directory, homeA, 1, [CHAT])
  const later = { seq: START_MS + 100 }
  directory.apply(homeB, put(forgedPresence(ann, B, later)), NOW)
  const ofOtherNetwork = presenceOf(ann, B, { seq: START_MS + 200, network: networkId('test') })
  directory.apply(homeB, put(ofOtherNetwork), NOW)
  assert.is(directory.locate(ann.id, NOW)?.home.id, A)
  assert.is(directory.discover(chat, 9, NOW).claims.length, 1)
  assert.equal(joined, [`join ${ann.id}`], 'and nobody saw it leave or join again')
})

test('takes no presence from a home that it does not name', () => {
  const { directory, homeA, homeB } = world()
  directory.apply(homeB, put(presenceOf(ann, A, { seq: START_MS + 9 })), NOW)
  assert.is(directory.locate(ann.id, NOW), undefined)
  directory.apply(homeA, put(presenceOf(ann, A)), NOW)
  assert.is(directory.locate(ann.id, NOW)?.home.id, A)
})

test('hands out nobody whose record turns out forged, and says that it left', () => {
  const { directory, homeA } = world()
  const told = listen(directory)
  directory.apply(homeA, put(forgedPresence(ann, A)), NOW)
  directory.apply(homeA, put(advertOf(ann, CHAT)), NOW)
  assert.is(directory.discover(chat, 9, NOW).claims.length, 0)
  assert.is(directory.locate(ann.id, NOW), undefined)
  assert.is(directory.discover(chat, 9, NOW).total, 0, 'nor counts it again')
  assert.equal(told, [`join ${ann.id}`, `leave ${ann.id}`])
})

test('hands out no advert that the edge did not sign, beside a presence that it did', () => {
  const { directory, homeA } = world()
  directory.apply(homeA, put(presenceOf(ann, A)), NOW)
  const forger = { ...ann, keys: { ...identityOf(5).keys, publicKey: ann.keys.publicKey } }
  directory.apply(homeA, put(advertOf(forger, CHAT)), NOW)
  assert.is(directory.discover(chat, 9, NOW).claims.length, 0)
  assert.is(directory.discover(chat, 9, NOW).total, 0)
  assert.is(directory.locate(ann.id, NOW)?.peer, ann.id)
})

test('falls back to the genuine home when a forged presence came first', () => {
  const { directory, homeA, homeB } = world()
  directory.apply(homeB, put(forgedPresence(ann, B, { seq: START_MS + 50 })), NOW)
  join(directory, homeA, 1, [CHAT])
  assert.is(directory.locate(ann.id, NOW)?.home.id, A)
  assert.is(directory.discover(chat, 9, NOW).claims[0]?.home.id, A)
})

test('lets no forged presence that came first hide the genuine edge, and knows its forger', () => {
  // Not drawn for an audit.
  const { directory, homeA, homeB } = world(() => 0.5)
  const told = listen(directory)
  const forge = (ahead: number): void =>
    directory.apply(homeB, put(forgedPresence(ann, B, { seq: START_MS + ahead })), NOW)
  forge(500)
  join(directory, homeA, 1, [CHAT])
  forge(501)
  assert.equal(told, [`join ${ann.id}`])
  assert.is(directory.discover(chat, 9, NOW).total, 1)
  assert.equal([...directory.forgers], [B])
})

test('turns only the topic that a change is about, with as many as an edge may have', () => {
  const { directory, homeA, homeB } = world()
  const tags = Array.from({ length: MAX_TOPICS_PER_EDGE }, (_, i) => tagOf(i))
  const told: string[] = []
  directory.onChange(({ tag, kind }) => told.push(`${kind} ${tag}`))
  directory.apply(homeB, put(advertOf(ann, CHAT)), NOW)
  join(directory, homeA, 1, tags)
  assert.is(told.splice(0).length, tags.length)
  const remove = { kind: 'remove-advert', peer: ann.id, tag: chat, seq: START_MS } as const
  directory.apply(homeB, remove, NOW)
  assert.equal(told, [], 'another home’s word about its own')
  directory.apply(homeA, remove, NOW)
  assert.equal(told.splice(0), [`leave ${chat}`])
  assert.is(directory.discover(chat, 9, NOW).total, 0)
  assert.is(directory.topics, tags.length - 1)
  directory.apply(homeA, put(advertOf(ann, CHAT)), NOW)
  assert.equal(told.splice(0), [`join ${chat}`])
  directory.drop(A)
  assert.is(told.length, tags.length)
  assert.is(directory.topics, 0)
})

test('finds all genuine edges of a topic in one sample, however many forged ones stand between', () => {
  const { directory, homeA } = world()
  for (let i = 0; i < 60; i++) {
    const edge = identityOf(1_000 + i)
    const presence = i % 2 ? presenceOf(edge, A) : forgedPresence(edge, A)
    directory.apply(homeA, put(presence), NOW)
    directory.apply(homeA, put(advertOf(edge, CHAT)), NOW)
  }
  const { claims, total } = directory.discover(chat, 100, NOW)
  assert.is(new Set(claims.map(({ peer }) => peer)).size, 30)
  assert.is(total, 30)
})

test('removes an edge for its own home alone, and only up to the seq named', () => {
  const { directory, homeA, homeB } = world()
  join(directory, homeA, 1, [CHAT])
  const remove = (home: HomeState, seq: number): void =>
    directory.apply(home, { kind: 'remove-peer', peer: ann.id, seq }, NOW)
  remove(homeB, START_MS + 9)
  remove(homeA, START_MS - 1)
  assert.is(directory.locate(ann.id, NOW)?.home.id, A)
  assert.is(directory.records, 2)
  remove(homeA, START_MS)
  assert.is(directory.locate(ann.id, NOW), undefined)
  assert.is(directory.records, 0)
  assert.is(directory.size, 0)
})

test('removes one advert and leaves the others, up to the seq named', () => {
  const { directory, homeA, homeB } = world()
  join(directory, homeA, 1, [CHAT, tagOf(2)])
  const remove = (home: HomeState, seq: number): void =>
    directory.apply(home, { kind: 'remove-advert', peer: ann.id, tag: chat, seq }, NOW)
  remove(homeB, START_MS + 9)
  remove(homeA, START_MS - 1)
  assert.is(directory.discover(chat, 9, NOW).total, 1)
  remove(homeA, START_MS)
  assert.is(directory.discover(chat, 9, NOW).total, 0)
  assert.is(directory.discover(toHex(tagOf(2)), 9, NOW).total, 1)
})

test('keeps nothing of an edge whose only advert was put and removed', () => {
  const { directory, homeA } = world()
  for (let i = 0; i < 50; i++) {
    const edge = identityOf(100 + i)
    directory.apply(homeA, put(advertOf(edge, CHAT)), NOW)
    const op = { kind: 'remove-advert', peer: edge.id, tag: chat, seq: START_MS } as const
    directory.apply(homeA, op, NOW)
  }
  assert.is(homeA.claims.size, 0)
  assert.is(directory.size, 0)
})

test('counts as edges only those that have a home', () => {
  const { directory, homeA } = world()
  directory.apply(homeA, put(advertOf(ann, CHAT)), NOW)
  assert.is(directory.size, 0)
  directory.apply(homeA, put(presenceOf(ann, A)), NOW)
  assert.is(directory.size, 1)
  directory.apply(homeA, put(presenceOf(identityOf(2), B)), NOW)
  assert.is(directory.size, 1, 'a presence that names another home is none')
})

test('refuses a seq from further in the future than clocks may be apart', () => {
  const { directory, homeA } = world()
  const at = (seq: number, edge: number): boolean => {
    directory.apply(homeA, put(presenceOf(identityOf(edge), A, { seq })), NOW)
    return directory.locate(identityOf(edge).id, NOW) !== undefined
  }
  assert.ok(at(NOW + MAX_SKEW_MS, 1))
  assert.not(at(NOW + MAX_SKEW_MS + 1, 2))
})

test('lets no presence from the future take an edge from its home', () => {
  const { directory, homeA, homeB } = world()
  join(directory, homeA, 1, [CHAT])
  const future = presenceOf(ann, B, { seq: NOW + MAX_SKEW_MS + 1 })
  directory.apply(homeB, put(future), NOW)
  assert.is(directory.locate(ann.id, NOW)?.home.id, A)
})

test('hands out a record for its life counted from its receipt, and no longer', () => {
  const { directory, homeA } = world()
  const presence = presenceOf(ann, A, { ttlMs: HOUR_MS })
  directory.apply(homeA, put(presence), NOW)
  directory.apply(homeA, put(advertOf(ann, CHAT)), NOW)
  assert.ok(directory.locate(ann.id, NOW + HOUR_MS))
  assert.is(directory.locate(ann.id, NOW + HOUR_MS + 1), undefined)
  assert.is(directory.discover(chat, 9, NOW + HOUR_MS + 1).claims.length, 0)
})

test('an advert counts while its edge’s presence lives, and not with one signed after its own end', () => {
  const { directory, homeA } = world()
  const kinds: string[] = []
  directory.onChange(({ kind }) => kinds.push(kind))
  const day = 24 * HOUR_MS
  directory.apply(homeA, put(presenceOf(ann, A)), NOW)
  directory.apply(homeA, put(advertOf(ann, CHAT, { ttlMs: day })), NOW)
  const totalAt = (ms: number): number => directory.discover(chat, 9, ms).total
  const renewAt = (ms: number): void => {
    directory.apply(homeA, put(presenceOf(ann, A, { seq: ms })), ms)
  }
  assert.is(directory.discover(chat, 9, NOW + 2 * HOUR_MS + 1).claims.length, 0)
  for (let ms = START_MS; ms <= START_MS + day; ms += HOUR_MS) renewAt(ms)
  assert.is(totalAt(START_MS + day), 1)
  // The edge renews itself and not the advert, which its home has kept.
  renewAt(START_MS + day + 1)
  assert.is(totalAt(START_MS + day + 1), 0)
  assert.is(kinds.at(-1), 'leave')
  directory.apply(homeA, put(advertOf(ann, CHAT, { seq: START_MS + day + 2 })), START_MS + day + 2)
  assert.is(totalAt(START_MS + day + 2), 1)
})

test('falls back to the next claim when a home is dropped, and emits no leave for it', () => {
  const { directory, homeA, homeB } = world()
  join(directory, homeA, 1, [CHAT])
  join(directory, homeB, 1, [CHAT], START_MS + 1)
  const told = listen(directory)
  assert.is(directory.locate(ann.id, NOW)?.home.id, B)
  directory.drop(B)
  assert.is(directory.locate(ann.id, NOW)?.home.id, A)
  assert.equal(told, [])
  directory.drop(A)
  assert.is(directory.locate(ann.id, NOW), undefined)
  assert.equal(told, [`leave ${ann.id}`])
  assert.is(directory.records, 0)
  assert.is(directory.size, 0)
})

test('emits each join and leave once, whatever else changes', () => {
  const { directory, homeA, homeB } = world()
  const told = listen(directory)
  directory.apply(homeA, put(advertOf(ann, CHAT)), NOW)
  assert.equal(told, [], 'an advert without a presence is in no topic')
  directory.apply(homeA, put(presenceOf(ann, A)), NOW)
  assert.equal(told.splice(0), [`join ${ann.id}`])
  directory.apply(homeA, put(presenceOf(ann, A, { seq: START_MS + 1 })), NOW)
  directory.apply(homeA, put(advertOf(ann, CHAT, { seq: START_MS + 1 })), NOW)
  join(directory, homeB, 1, [CHAT], START_MS - 9)
  directory.locate(ann.id, NOW)
  directory.discover(chat, 9, NOW)
  assert.equal(told, [], 'renewals and losing claims change nothing')
  directory.apply(homeA, { kind: 'remove-peer', peer: ann.id, seq: START_MS + 1 }, NOW)
  assert.equal(told, [], 'there is still the other home')
  directory.drop(B)
  assert.equal(told, [`leave ${ann.id}`])
})

test('settles on one home for two presences of equal seq, in whatever order they come', () => {
  const winners = [true, false].map((aFirst) => {
    const { directory, homeA, homeB } = world()
    const both = [
      [homeA, A],
      [homeB, B],
    ] as const
    for (const [home, id] of aFirst ? both : [...both].reverse()) {
      directory.apply(home, put(presenceOf(ann, id)), NOW)
    }
    return directory.locate(ann.id, NOW)?.home.id
  })
  assert.is(winners[0], winners[1])
})

test('samples uniformly and completely, with the total beside it', () => {
  const { directory, homeA, homeB } = world(seededRandom(3))
  const size = 10
  for (let i = 0; i < size; i++) join(directory, i % 2 ? homeA : homeB, i, [CHAT])
  const all = directory.discover(chat, 100, NOW)
  assert.is(all.total, size)
  assert.is(new Set(all.claims.map(({ peer }) => peer)).size, size)
  const counts = new Map<string, number>()
  const draws = 3_000
  for (let i = 0; i < draws; i++) {
    const { claims, total } = directory.discover(chat, 3, NOW)
    assert.is(total, size)
    assert.is(new Set(claims).size, 3)
    for (const { peer } of claims) counts.set(peer, (counts.get(peer) ?? 0) + 1)
  }
  const expected = (draws * 3) / size
  const chiSquare = [...counts.values()].reduce((sum, n) => sum + (n - expected) ** 2 / expected, 0)
  assert.is(counts.size, size)
  // Nine degrees of freedom; fair draws stay below in all but one of 10,000 cases.
  assert.ok(chiSquare < 33.7, `${chiSquare}`)
})

test('comes to the same state and digest for the same records in any order', () => {
  const records = Array.from({ length: 40 }, (_, i) => {
    const edge = identityOf(i % 12)
    const seq = START_MS + Math.floor(i / 12)
    return i % 3 ? advertOf(edge, tagOf(i % 4), { seq }) : presenceOf(edge, A, { seq })
  })
  const random = seededRandom(5)
  const outcomes = Array.from({ length: 8 }, () => {
    const { directory, homeA } = world()
    for (const record of shuffled(records, random)) directory.apply(homeA, put(record), NOW)
    return [toHex(homeA.digest.hash()), directory.records, directory.size].join()
  })
  assert.is(new Set(outcomes).size, 1)
})

test('agrees with a directory made of what is left, after any history of two homes', () => {
  const random = seededRandom(9)
  const { directory, homeA, homeB } = world()
  const live = new Map<string, Set<string>>()
  directory.onChange(({ tag, peer, kind }) => {
    const members = live.get(tag) ?? new Set()
    live.set(tag, members)
    assert.is(members.has(peer), kind === 'leave')
    if (kind === 'join') members.add(peer)
    else members.delete(peer)
  })
  for (let i = 0; i < 1_500; i++) {
    const [home, id] = pick([[homeA, A] as const, [homeB, B] as const], random)
    const number = Math.floor(random() * 15)
    const edge = identityOf(number)
    const seq = START_MS + i
    const tag = tagOf(Math.floor(random() * 3))
    const choice = random()
    if (choice < 0.4) directory.apply(home, put(presenceOf(edge, id, { seq })), NOW)
    else if (choice < 0.7) directory.apply(home, put(advertOf(edge, tag, { seq })), NOW)
    else if (choice < 0.85) {
      directory.apply(home, { kind: 'remove-peer', peer: edge.id, seq }, NOW)
    } else {
      const op = { kind: 'remove-advert', peer: edge.id, tag: toHex(tag), seq } as const
      directory.apply(home, op, NOW)
    }
  }
  const again = world()
  for (const [from, to] of [
    [homeA, again.homeA],
    [homeB, again.homeB],
  ] as const) {
    for (const { presence, adverts } of from.claims.values()) {
      for (const record of [...(presence ? [presence] : []), ...adverts.values()]) {
        again.directory.apply(to, put(record), NOW)
      }
    }
    assert.equal(from.digest.hash(), to.digest.hash())
  }
  assert.is(directory.records, again.directory.records)
  assert.is(directory.size, again.directory.size)
  for (let i = 0; i < 3; i++) {
    const found = (of: Directory): string[] =>
      of.discover(toHex(tagOf(i)), 100, NOW).claims.map(({ peer, home }) => peer + home.id)
    assert.equal(found(directory).sort(), found(again.directory).sort())
    assert.is(live.get(toHex(tagOf(i)))?.size ?? 0, found(directory).length)
  }
})

test.run()

function world(random?: () => number): {
  directory: Directory
  homeA: HomeState
  homeB: HomeState
} {
  const directory = createDirectory(NETWORK, { random })
  return {
    directory,
    homeA: directory.open(A, START_MS, NOW),
    homeB: directory.open(B, START_MS, NOW),
  }
}

function join(
  directory: Directory,
  home: HomeState,
  edge: number,
  tags: readonly Uint8Array[],
  seq = START_MS,
): void {
  const identity = identityOf(edge)
  directory.apply(home, put(presenceOf(identity, home.id, { seq })), NOW)
  for (const tag of tags) directory.apply(home, put(advertOf(identity, tag, { seq })), NOW)
}

/** What is told of the topic `chat`. */
function listen(directory: Directory): string[] {
  const told: string[] = []
  directory.onChange(({ tag, peer, kind }: TopicChange) => {
    assert.is(fromHex(tag).length, 32)
    if (tag === chat) told.push(`${kind} ${peer}`)
  })
  return told
}
