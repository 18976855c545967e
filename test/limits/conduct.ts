/** Cases of who is refused or lied: for how long it is kept out, and what is told and remembered of it. */

import { createAdmission, NO_MEMBERS } from '../../src/admission.ts'
import { loadAnchors } from '../../src/anchors.ts'
import { manualClock, settle } from '../../src/clock.ts'
import { createDirectory } from '../../src/directory.ts'
import { encodeContradiction } from '../../src/equivocation.ts'
import { SignalMeshError } from '../../src/errors.ts'
import { REFUSAL_LINES_BURST } from '../../src/limits.ts'
import { silentLog } from '../../src/log.ts'
import { createQuarantine } from '../../src/quarantine.ts'
import { createSuppliers } from '../../src/suppliers.ts'
import { forgedPresence, identityOf, NETWORK, sampleParts } from '../fixtures/samples.ts'
import { assert } from '../harness/suite.ts'
import { memoryStore } from '../support/mesh.ts'
import { type Case, type Cases, caps, changesAt, FORGOT, forgets, holds, KEPT } from './case.ts'

const LIE = new SignalMeshError('BAD_SIGNATURE', 'It is not signed')
const evidence = encodeContradiction(sampleParts.batch, sampleParts.batch)
const NO_ROOM = new SignalMeshError('MESH_FULL', 'No room')

export const conduct: Cases = {
  REFUSED_FOR_MS: changesAt('left alone', 'asked', async (ms) => {
    const { admission, clock } = admissionOf()
    admission.noteRefusal('home', 'home', NO_ROOM)
    await clock.advance(ms)
    return admission.mayPull('home') ? 'asked' : 'left alone'
  }),
  REFUSAL_LINES_BURST: caps((count) => {
    const { admission, lines } = admissionOf()
    for (let i = 0; i < count; i++) admission.noteRefusal('home', `home ${i}`, NO_ROOM)
    return `${lines.length}`
  }),
  REFUSAL_LINES_PER_SECOND: holds('is one line in 10 s', '0, 1', async (perSecond) => {
    const { admission, lines, clock } = admissionOf()
    const refuse = (name: string): boolean => admission.noteRefusal('home', name, NO_ROOM)
    for (let i = 0; i < REFUSAL_LINES_BURST; i++) refuse(`home ${i}`)
    const counts = []
    for (const ms of [1000 / perSecond - 1, 1]) {
      const before = lines.length
      await clock.advance(ms)
      refuse(`home after ${ms}`)
      counts.push(lines.length - before)
    }
    return counts.join(', ')
  }),
  MAX_ANCHORS: caps(async (count) => {
    const store = memoryStore()
    const best = Array.from({ length: count }, (_, i) => {
      return { node: identityOf(i).id, dhtKey: new Uint8Array(32) }
    })
    const anchors = await loadAnchors(store, silentLog)
    anchors.keep(best)
    await settle()
    return `${(await loadAnchors(store, silentLog)).kept.length}`
  }),
  MAX_QUARANTINED: forgets((count) => {
    const directory = createDirectory(NETWORK)
    for (let i = 0; i < count; i++) directory.banish(`home ${i}`, 1)
    assert.ok(directory.banned.has(`home ${count - 1}`))
    return directory.banned.has('home 0') ? KEPT : FORGOT
  }),
  QUARANTINE_MS: keptOut(new SignalMeshError('EQUIVOCATION', 'It lied', { evidence })),
  DOUBT_MS: keptOut(new SignalMeshError('EQUIVOCATION', 'It lied')),
  AUDIT_ONE_IN: holds('is the draw that finds a forged record', '1', (oneIn) => {
    let draw = 0
    const directory = createDirectory(NETWORK, { random: () => draw / oneIn })
    const forged = forgedPresence(identityOf(1), identityOf(2).id)
    let found = 0
    for (; draw < oneIn; draw++) found += directory.audit(forged) ? 0 : 1
    return `${found}`
  }),
  MAX_SPOILED_PULLS: changesAt(
    'asked',
    'left alone',
    (count) => {
      const suppliers = createSuppliers(manualClock(), silentLog)
      for (let i = 0; i < count; i++) suppliers.blame('neighbour', LIE)
      assert.ok(suppliers.isTrusted('another'))
      return suppliers.isTrusted('neighbour') ? 'asked' : 'left alone'
    },
    'spoiled pulls',
  ),
  SPOILED_PAUSE_MS: changesAt('left alone', 'asked', async (ms) => {
    const clock = manualClock()
    const suppliers = createSuppliers(clock, silentLog)
    for (let i = 0; i < 100; i++) suppliers.blame('neighbour', LIE)
    await clock.advance(ms)
    return suppliers.isTrusted('neighbour') ? 'asked' : 'left alone'
  }),
}

function admissionOf() {
  const clock = manualClock()
  const lines: string[] = []
  const log = { ...silentLog, warn: (line: string) => void lines.push(line) }
  return { admission: createAdmission({ self: '', members: NO_MEMBERS, clock, log }), clock, lines }
}

function keptOut(error: SignalMeshError): Case {
  return changesAt('kept out', 'back', async (ms) => {
    const clock = manualClock()
    const directory = createDirectory(NETWORK)
    const about = { networkId: NETWORK, directory, clock, log: silentLog, self: '' }
    const quarantine = createQuarantine({ ...about, publish: () => undefined })
    quarantine.accuse('home', error)
    await clock.advance(ms)
    quarantine.sweep()
    return directory.banned.has('home') ? 'kept out' : 'back'
  })
}
