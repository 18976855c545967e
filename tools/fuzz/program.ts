/** Programs: what a hostile party does step by step, as bytes, of which any make a program. */

import { writer } from '../../src/bytes.ts'
import { applyEdits, EDIT_BYTES, type Edit, mutateBytes, randomEdit, whole } from './edits.ts'

/** One thing that is done: which, with what number, and how its frame differs from a valid one. */
export interface Step {
  readonly kind: number
  readonly arg: number
  /** Whether the edits are made before the frame is signed or sealed. */
  readonly inside: boolean
  readonly edits: readonly Edit[]
}

export const MAX_STEPS = 48
const MAX_EDITS = 3
const INSIDE = 0x80

export function readProgram(bytes: Uint8Array): Step[] {
  const steps: Step[] = []
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  for (let at = 0; at + 3 <= bytes.length && steps.length < MAX_STEPS; ) {
    const [kind = 0, arg = 0, how = 0] = bytes.subarray(at, at + 3)
    at += 3
    const edits: Edit[] = []
    for (let left = how & MAX_EDITS; left > 0 && at + EDIT_BYTES <= bytes.length; left--) {
      edits.push({
        op: view.getUint8(at),
        at: view.getUint16(at + 1),
        arg: view.getUint8(at + 3),
        value: view.getUint32(at + 4),
      })
      at += EDIT_BYTES
    }
    steps.push({ kind, arg, inside: (how & INSIDE) !== 0, edits })
  }
  return steps
}

export function writeProgram(steps: readonly Step[]): Uint8Array {
  const w = writer()
  for (const { kind, arg, inside, edits } of steps) {
    w.u8(kind)
      .u8(arg)
      .u8(edits.length | (inside ? INSIDE : 0))
    for (const edit of edits) w.u8(edit.op).u16(edit.at).u8(edit.arg).u32(edit.value)
  }
  return w.done()
}

/** A step as it is done by who keeps to the protocol. */
export function plainStep(kind: number, arg = 0): Step {
  return { kind, arg, inside: false, edits: [] }
}

export const editIf = (step: Step, inside: boolean, bytes: Uint8Array): Uint8Array =>
  step.inside === inside && step.edits.length ? applyEdits(bytes, step.edits) : bytes

export function mutateProgram(
  kinds: number,
): (input: Uint8Array, other: Uint8Array, random: () => number) => Uint8Array {
  return (input, other, random) => {
    if (random() < 0.05) return mutateBytes(input, other, random)
    let steps = readProgram(input)
    for (let count = 1 + whole(random, 3); count > 0; count--) {
      steps = changed(steps, readProgram(other), kinds, random)
    }
    return writeProgram(steps.slice(0, MAX_STEPS))
  }
}

function changed(steps: Step[], others: Step[], kinds: number, random: () => number): Step[] {
  const at = whole(random, steps.length + 1)
  const step = steps[at]
  const dice = random()
  if (!step || dice < 0.2) return steps.toSpliced(at, 0, randomStep(kinds, random))
  if (dice < 0.3) return steps.toSpliced(at, 1)
  if (dice < 0.4) return steps.toSpliced(whole(random, steps.length), 0, step)
  if (dice < 0.5) {
    const from = whole(random, others.length)
    return steps.toSpliced(at, 0, ...others.slice(from, from + 1 + whole(random, 4)))
  }
  if (dice < 0.6) return steps.with(at, { ...step, arg: whole(random, 0x100) })
  if (dice < 0.65) return steps.with(at, { ...step, inside: !step.inside })
  if (dice < 0.7) return steps.with(at, { ...step, edits: step.edits.slice(1) })
  const edits = [...step.edits, randomEdit(random, random() < 0.5 ? 300 : 0)].slice(-MAX_EDITS)
  return steps.with(at, { ...step, edits, inside: random() < 0.6 })
}

function randomStep(kinds: number, random: () => number): Step {
  const edits = random() < 0.5 ? [randomEdit(random, 300)] : []
  return { kind: whole(random, kinds), arg: whole(random, 0x100), inside: random() < 0.5, edits }
}
