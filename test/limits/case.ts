/** A case: what comes of one row of the table of bounds at its number, and one beyond it. */

import type { ErrorCode } from '../../src/errors.ts'

/** Tries the amount on the code itself, and says in a word or a code what came of it. */
export type Run = (amount: number) => string | Promise<string>

/** One generated test. */
export interface Trial {
  readonly title: string
  readonly amount: number
  readonly outcome: string
}

export interface Case {
  readonly run: Run
  trials(limit: number): readonly Trial[]
}

/** Cases by the names of their rows. */
export type Cases = Readonly<Record<string, Case>>

/**
 * A bound that refuses. `run` gives `taken`, or the code with which the amount was refused; it throws
 * if anybody beside was harmed.
 */
export function refuses(code: ErrorCode, run: Run): Case {
  return {
    run,
    trials: (limit) => [
      { title: `takes ${limit}`, amount: limit, outcome: TAKEN },
      {
        title: `refuses ${limit + 1} with ${code}, and the rest goes on`,
        amount: limit + 1,
        outcome: code,
      },
    ],
  }
}

/** A cache that drops its oldest. `run` gives `kept` or `forgot`, and checks what is promised anyway. */
export function forgets(run: Run): Case {
  return {
    run,
    trials: (limit) => [
      { title: `keeps ${limit}`, amount: limit, outcome: KEPT },
      { title: `forgets the oldest of ${limit + 1}`, amount: limit + 1, outcome: FORGOT },
    ],
  }
}

/** A rate that drops what is over it. `run` gives `taken` or `dropped`, and checks who is beside. */
export function drops(run: Run): Case {
  return {
    run,
    trials: (limit) => [
      { title: `takes ${limit}`, amount: limit, outcome: TAKEN },
      { title: `drops ${limit + 1}, and the rest goes on`, amount: limit + 1, outcome: DROPPED },
    ],
  }
}

/** A number that says itself what comes of it, such as a share. */
export function holds(title: string, outcome: string, run: Run): Case {
  return { run, trials: (limit) => [{ title, amount: limit, outcome }] }
}

/** A bound of what is given or done. `run` offers the amount and gives how much came of it. */
export function caps(run: Run): Case {
  return {
    run,
    trials: (limit) => [
      { title: `gives ${limit} of ${limit}`, amount: limit, outcome: `${limit}` },
      { title: `gives ${limit} of ${limit + 1}`, amount: limit + 1, outcome: `${limit}` },
    ],
  }
}

/** A time at which something changes. `run` lets so many ms pass and says how things are then. */
export function changesAt(before: string, after: string, run: Run, unit = 'ms'): Case {
  return {
    run,
    trials: (limit) => [
      { title: `is ${before} at ${limit - 1} ${unit}`, amount: limit - 1, outcome: before },
      { title: `is ${after} at ${limit} ${unit}`, amount: limit, outcome: after },
    ],
  }
}

/** The same where the bound itself still belongs to the time before. */
export function changesAfter(before: string, after: string, run: Run, unit = 'ms'): Case {
  return {
    run,
    trials: (limit) => [
      { title: `is ${before} at ${limit} ${unit}`, amount: limit, outcome: before },
      { title: `is ${after} at ${limit + 1} ${unit}`, amount: limit + 1, outcome: after },
    ],
  }
}

export const TAKEN = 'taken'
export const KEPT = 'kept'
export const FORGOT = 'forgot'
export const DROPPED = 'dropped'

/** What a call comes to: `taken`, or the code of what it throws. */
export async function outcomeOf(fn: () => unknown): Promise<string> {
  try {
    await fn()
    return TAKEN
  } catch (error) {
    const code = (error as { code?: unknown }).code
    if (typeof code === 'string') return code
    throw error
  }
}
