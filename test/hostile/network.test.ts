/** A man in the middle of an edge and its home: every kind of frame, and all that can be done to it. */

import { assert, suite } from '../harness/suite.ts'
import { lieInWait, type Meddle, TAMPERINGS, type Tampering, type Way } from './support/meddle.ts'
import { KINDS, meet, reported, stage } from './support/story.ts'

const test = suite('hostile network', { timeoutMs: 20_000 })

interface Attack {
  readonly kind: string
  readonly tampering: Tampering
  readonly always?: boolean
  readonly elsewhere?: (frame: Uint8Array, way: Way) => void
}

/** Tells the story under attack; the mesh has to be sound after it, and nothing unexpected thrown. */
async function attacked(attack: Attack): Promise<string> {
  let outcome = ''
  const errors = await reported(async () => {
    const told = await stage()
    const into = (frame: Uint8Array, way: Way): void => {
      for (const line of told.others) line.put(way, frame)
    }
    const meddle = lieInWait({
      elsewhere: into,
      ...attack,
      clock: told.mesh.clock,
      fits: KINDS[attack.kind] as (typeof KINDS)[string],
    })
    outcome = await told.tell(meddle)
    assert.ok(meddle.hits() > 0, 'the attack took place')
    await told.isSound()
    await told.close()
  })
  assert.equal(errors, [])
  return outcome
}

// Who alters one frame stops nobody: it is refused or passed over, and what it was for comes about all
// the same. Only a request ends with it, of which the page is told.
for (const kind of Object.keys(KINDS)) {
  const allowed = kind.includes('request') ? ['told', 'BAD_FRAME', 'TIMEOUT'] : ['told']
  for (const [what, tampering] of Object.entries(TAMPERINGS)) {
    test(`${kind} ${what} brings nobody anything but what is true`, async () => {
      const outcome = await attacked({ kind, tampering })
      assert.ok(allowed.includes(outcome), outcome)
    })
  }
}

/** Who does it to every frame of a kind can stop the one edge, which is told why by one of these. */
const STOPPED = ['NO_HOME', 'CLOSED', 'TIMEOUT', 'PEER_UNKNOWN', 'BAD_FRAME', 'BAD_SIGNATURE']
/** Who alters a list can hide who stands in it, as who withholds it can, but not how many do. */
const HIDDEN: Readonly<Record<string, string>> = { 'answer to a request': 'LEFT_OUT' }
const WITH_ALL = [
  'with a bit in its midst changed',
  'cut short',
  'withheld',
  'reflected to its sender',
]

for (const kind of Object.keys(KINDS)) {
  for (const what of WITH_ALL) {
    test(`every ${kind} ${what} stops at most the edge on that line, by name and in time`, async () => {
      const tampering = TAMPERINGS[what] as Tampering
      const outcome = await attacked({ kind, tampering, always: true })
      assert.ok(['told', HIDDEN[kind], ...STOPPED].includes(outcome), outcome)
    })
  }
}

for (const kind of Object.keys(KINDS)) {
  test(`${kind} played into another network is nothing there`, async () => {
    const there = await stage('another')
    const [one, two] = await there.open()
    const tampering: Tampering = ({ frame, way, put, elsewhere }) => {
      elsewhere(frame)
      put(way, frame)
    }
    const elsewhere = (frame: Uint8Array, way: Way): void => {
      for (const line of there.others) line.put(way, frame)
    }
    assert.is(await attacked({ kind, tampering, elsewhere }), 'told')
    await there.mesh.clock.advance(20_000)
    await meet(there.mesh, one, two)
    assert.is(there.mesh.nodes[0]?.health().edges, 1, 'nobody came in by it')
    await there.close()
  })
}

const passOn: Meddle = (frame, way, put) => put(way, frame)

test('the story is told where nobody meddles', async () => {
  const told = await stage()
  assert.is(await told.tell(passOn), 'told')
  await told.isSound()
  await told.close()
})

test.run()
