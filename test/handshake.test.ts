/** The handshake of a link: it proves both NodeIds or ends, and what is sealed by it cannot be altered. */

import { fromUtf8, utf8 } from '../src/bytes.ts'
import { type ManualClock, manualClock, settle } from '../src/clock.ts'
import { boxKeyPair, type KeyPair } from '../src/crypto.ts'
import { type SecureLink, type SecureLinkOptions, secureLink } from '../src/handshake.ts'
import { LINK_HANDSHAKE_MS, MAX_EARLY_FRAMES, MAX_FRAME_BYTES } from '../src/limits.ts'
import { type Link, linkPair } from '../src/link.ts'
import { networkId } from '../src/topic.ts'
import { rejection } from './fixtures/errors.ts'
import { identityOf, NETWORK } from './fixtures/samples.ts'
import { assert, suite } from './harness/suite.ts'

const test = suite('handshake')

test('proves each side’s NodeId to the other and carries frames both ways', async () => {
  const clock = manualClock()
  const [a, b] = await secured(clock)
  assert.is(a.remote, identityOf(2).id)
  assert.is(b.remote, identityOf(1).id)
  assert.equal([a.initiator, b.initiator], [true, false])
  const [atA, atB] = [heard(a.link), heard(b.link)]
  for (const text of ['one', '', 'three']) a.link.send(utf8(text))
  b.link.send(utf8('back'))
  await settle()
  assert.equal([atA, atB], [['back'], ['one', '', 'three']])
  assert.is(clock.pending, 0, 'no timer is left')
})

test('shows nothing of a frame or a NodeId on the wire', async () => {
  const clock = manualClock()
  const wire: Uint8Array[] = []
  const [a, b] = await secured(clock, { wire })
  heard(b.link)
  a.link.send(utf8('a very secret frame'))
  await settle()
  const all = wire.map((frame) => Buffer.from(frame).toString('latin1')).join()
  assert.not(all.includes('secret'))
  for (const { keys } of [identityOf(1), identityOf(2)]) {
    assert.not(all.includes(Buffer.from(keys.publicKey).toString('latin1')))
  }
})

test('comes to nothing between two networks, and closes the link', async () => {
  const clock = manualClock()
  const [left, right] = linkPair()
  const codes = await outcomes([
    secureLink(left, options(1, true, clock)),
    secureLink(right, { ...options(2, false, clock), networkId: networkId('test') }),
  ])
  assert.ok(
    codes.every((code) => code === 'BAD_HANDSHAKE' || code === 'CLOSED'),
    `${codes}`,
  )
  assert.ok(codes.includes('BAD_HANDSHAKE'))
  await Promise.all([left.closed, right.closed])
  assert.is(clock.pending, 0)
})

test('refuses a node that shows a NodeId with a Noise key that it did not sign', async () => {
  for (const liarFirst of [true, false]) {
    const clock = manualClock()
    const [left, right] = linkPair()
    // The liar has the other's NodeId, but not the key to sign its own Noise key with.
    const stolen = {
      ...identityOf(2),
      keys: { ...identityOf(3).keys, publicKey: identityOf(2).keys.publicKey },
    }
    const codes = await outcomes([
      secureLink(left, { ...options(9, liarFirst, clock), identity: stolen }),
      secureLink(right, options(1, !liarFirst, clock)),
    ])
    assert.is(codes[1], 'BAD_SIGNATURE')
  }
})

test('refuses itself', async () => {
  const clock = manualClock()
  const [left, right] = linkPair()
  const codes = await outcomes([
    secureLink(left, options(1, true, clock)),
    secureLink(right, options(1, false, clock)),
  ])
  assert.ok(codes.includes('SELF_CONNECT'), `${codes}`)
  assert.ok(codes.every(Boolean))
})

test('refuses its own frames thrown back at it', async () => {
  for (const initiator of [true, false]) {
    const clock = manualClock()
    const [left, right] = linkPair()
    right.subscribe((frame) => right.send(frame))
    const result = rejection(secureLink(left, options(1, initiator, clock)))
    await clock.advance(LINK_HANDSHAKE_MS)
    assert.is(await result, initiator ? 'BAD_HANDSHAKE' : 'TIMEOUT')
  }
})

test('refuses every message of an earlier handshake that is played to it again', async () => {
  const clock = manualClock()
  const keys = [boxKeyPair(), boxKeyPair()] as const
  const recorded = { 1: [] as Uint8Array[], 2: [] as Uint8Array[] }
  const [left, right] = linkPair()
  await Promise.all([
    secureLink(tapped(left, recorded[1]), { ...options(1, true, clock), boxKeys: keys[0] }),
    secureLink(tapped(right, recorded[2]), { ...options(2, false, clock), boxKeys: keys[1] }),
  ])
  assert.equal([recorded[1].length, recorded[2].length], [2, 1])
  // To the responder, who answers the first with a new key: the third no longer fits.
  const [near, far] = linkPair()
  const again = rejection(secureLink(near, { ...options(2, false, clock), boxKeys: keys[1] }))
  for (const frame of recorded[1]) far.send(frame)
  assert.is(await again, 'BAD_HANDSHAKE')
  const [caller, mallory] = linkPair()
  const call = rejection(secureLink(caller, { ...options(1, true, clock), boxKeys: keys[0] }))
  mallory.send(recorded[2][0] as Uint8Array)
  assert.is(await call, 'BAD_HANDSHAKE')
})

test('refuses every message that is cut short, and any with one bit changed', async () => {
  for (const at of [0, 1, 2]) {
    for (const [name, spoil] of Object.entries(SPOIL)) {
      const clock = manualClock()
      const [left, right] = linkPair()
      let count = 0
      const spoiled = (link: Link): Link => ({
        ...link,
        closed: link.closed,
        send: (frame) => link.send(count++ === at ? spoil(frame) : frame),
      })
      const results = outcomes([
        secureLink(spoiled(left), options(1, true, clock)),
        secureLink(spoiled(right), options(2, false, clock)),
      ])
      await clock.advance(LINK_HANDSHAKE_MS)
      const codes = await results
      const reader = at === 1 ? 0 : 1
      // XX's first message is all in clear: a changed key in it shows when the next is read.
      const failed =
        at === 0 && name === 'one bit changed'
          ? codes.includes('BAD_HANDSHAKE')
          : codes[reader] === 'BAD_HANDSHAKE'
      assert.ok(failed, `message ${at}, ${name}: ${codes}`)
    }
  }
})

test('gives up on a silent other side in time, and not before', async () => {
  for (const initiator of [true, false]) {
    const clock = manualClock()
    const [left] = linkPair()
    const result = rejection(secureLink(left, options(1, initiator, clock)))
    await clock.advance(LINK_HANDSHAKE_MS - 1)
    assert.is(await Promise.race([result, 'waiting']), 'waiting')
    await clock.advance(1)
    assert.is(await result, 'TIMEOUT')
    assert.is(await left.closed, 'TIMEOUT')
    assert.is(clock.pending, 0)
  }
})

test('takes a link that closes half-way as closed', async () => {
  const clock = manualClock()
  const [left, right] = linkPair()
  const result = rejection(secureLink(left, options(1, false, clock)))
  right.close('changed my mind')
  assert.is(await result, 'CLOSED')
  assert.is(clock.pending, 0)
})

test('loses no frame that was sent right behind the handshake', async () => {
  const clock = manualClock()
  const waiting: (() => void)[] = []
  const [left, right] = linkPair((deliver) => waiting.push(deliver))
  const calling = secureLink(left, options(1, true, clock))
  const answering = secureLink(right, options(2, false, clock))
  const deliverAll = (): void => {
    for (const deliver of waiting.splice(0)) deliver()
  }
  await settle()
  deliverAll()
  await settle()
  deliverAll()
  const { link } = await calling
  for (let i = 0; i < 20; i++) link.send(utf8(`frame ${i}`))
  // The last message of the handshake and all frames arrive in one go.
  assert.is(waiting.length, 21)
  deliverAll()
  const atB = heard((await answering).link)
  await settle()
  assert.equal(
    atB,
    Array.from({ length: 20 }, (_, i) => `frame ${i}`),
  )
})

test('keeps no more frames for a handshake than its bound', async () => {
  for (const [frames, code] of [
    [MAX_EARLY_FRAMES + 1, 'BAD_HANDSHAKE'],
    [MAX_EARLY_FRAMES + 2, 'TOO_MANY'],
  ] as const) {
    const clock = manualClock()
    const waiting: (() => void)[] = []
    const [left, right] = linkPair((deliver) => waiting.push(deliver))
    const result = rejection(secureLink(left, options(1, false, clock)))
    // 32 bytes of anything are a good first message.
    for (let i = 0; i < frames; i++) right.send(new Uint8Array(32).fill(9))
    // All in one go, so that the handshake has no chance to look at the first in between.
    for (const deliver of waiting) deliver()
    assert.is(await result, code)
  }
})

for (const [name, spoil] of Object.entries({
  'one bit changed': (frame: Uint8Array) => changed(frame, frame.length - 1),
  'the first bit changed': (frame: Uint8Array) => changed(frame, 0),
  'cut short': (frame: Uint8Array) => frame.slice(0, -1),
  emptied: () => new Uint8Array(0),
  'one byte longer': (frame: Uint8Array) => Uint8Array.of(...frame, 0),
})) {
  test(`ends the link for a frame that is ${name}, and delivers nothing after it`, async () => {
    const clock = manualClock()
    let spoilNext = false
    const altering = (link: Link): Link => ({
      ...link,
      closed: link.closed,
      send: (frame) => {
        link.send(spoilNext ? spoil(frame) : frame)
        spoilNext = false
      },
    })
    const [a, b] = await secured(clock, { wrap: altering })
    const atB = heard(b.link)
    a.link.send(utf8('good'))
    spoilNext = true
    a.link.send(utf8('spoiled'))
    a.link.send(utf8('good again'))
    assert.is(await b.link.closed, 'BAD_FRAME')
    await a.link.closed
    assert.equal(atB, ['good'])
  })
}

test('ends the link for a frame that comes twice, is left out or overtakes another', async () => {
  for (const trouble of ['twice', 'left out', 'overtaken'] as const) {
    const clock = manualClock()
    let held: Uint8Array | undefined
    let frames = 0
    const meddling = (link: Link): Link => ({
      ...link,
      closed: link.closed,
      send: (frame) => {
        frames += 1
        if (frames === 3 && trouble === 'twice') link.send(frame)
        if (frames === 3 && trouble !== 'twice') held = frame
        else link.send(frame)
        if (held && frames === 4 && trouble === 'overtaken') link.send(held)
      },
    })
    // Two messages of the handshake go this way, so the third is the first frame.
    const [a, b] = await secured(clock, { wrap: meddling })
    const atB = heard(b.link)
    a.link.send(utf8('one'))
    a.link.send(utf8('two'))
    assert.is(await b.link.closed, 'BAD_FRAME', trouble)
    assert.equal(atB, trouble === 'twice' ? ['one'] : [], trouble)
  }
})

test('carries the largest frame and ends the link for a larger one', async () => {
  const clock = manualClock()
  const [a, b] = await secured(clock)
  const sizes: number[] = []
  b.link.subscribe((frame) => sizes.push(frame.length))
  a.link.send(new Uint8Array(MAX_FRAME_BYTES))
  await settle()
  assert.equal(sizes, [MAX_FRAME_BYTES])
  a.link.send(new Uint8Array(MAX_FRAME_BYTES + 1))
  assert.is(await b.link.closed, 'TOO_LARGE')
  assert.equal(sizes, [MAX_FRAME_BYTES])
})

test.run()

const SPOIL: Readonly<Record<string, (frame: Uint8Array) => Uint8Array>> = {
  'cut to nothing': () => new Uint8Array(0),
  'cut by more than the payload': (frame) => frame.slice(0, 31),
  'one bit changed': (frame) => changed(frame, 7),
  zeroed: (frame) => new Uint8Array(frame.length),
}

function changed(frame: Uint8Array, at: number): Uint8Array {
  const out = frame.slice()
  out[at]! ^= 1
  return out
}

function options(node: number, initiator: boolean, clock: ManualClock): SecureLinkOptions {
  const boxKeys: KeyPair = boxKeyPair()
  return { initiator, identity: identityOf(node), boxKeys, networkId: NETWORK, clock }
}

async function secured(
  clock: ManualClock,
  extra: { wire?: Uint8Array[]; wrap?: (link: Link) => Link } = {},
): Promise<readonly [SecureLink, SecureLink]> {
  const [left, right] = linkPair()
  const { wire = [], wrap = (link: Link) => link } = extra
  return Promise.all([
    secureLink(tapped(wrap(left), wire), options(1, true, clock)),
    secureLink(tapped(right, wire), options(2, false, clock)),
  ])
}

/** The link, with a copy of each frame that it sends. */
function tapped(link: Link, frames: Uint8Array[]): Link {
  return {
    ...link,
    closed: link.closed,
    send: (frame) => {
      frames.push(frame.slice())
      link.send(frame)
    },
  }
}

async function outcomes(promises: readonly Promise<unknown>[]): Promise<(string | undefined)[]> {
  return Promise.all(promises.map(rejection))
}

function heard(link: Link): string[] {
  const frames: string[] = []
  link.subscribe((frame) => frames.push(fromUtf8(frame)))
  return frames
}
