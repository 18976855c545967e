/** What flags take: the common kinds of values, each with the words that say what is allowed. */

import type { Flag } from './flags.ts'

/** The last text, if it is one of the words. */
export function oneOf<Word extends string>(
  words: readonly Word[],
): Pick<Flag<Word>, 'takes' | 'read'> {
  return {
    takes: words.join(', '),
    read: (texts) => words.find((word) => word === texts.at(-1)),
  }
}

/** The last text as a whole number within bounds. */
export function wholeNumber(from: number, to: number): Pick<Flag<number>, 'takes' | 'read'> {
  return {
    takes: `a whole number from ${from} to ${to}`,
    read: (texts) => {
      const text = texts.at(-1) ?? ''
      const number = /^\d{1,9}$/.test(text) ? Number(text) : Number.NaN
      return number >= from && number <= to ? number : undefined
    },
  }
}

/** The last text, if it passes. */
export function textThat(
  takes: string,
  passes: (text: string) => boolean,
): Pick<Flag<string>, 'takes' | 'read'> {
  return {
    takes,
    read: (texts) => texts.slice(-1).find(passes),
  }
}

/** All texts, split at commas, if there is one and all pass. */
export function listThat(
  takes: string,
  passes: (text: string) => boolean,
  atMost: number,
): Pick<Flag<readonly string[]>, 'takes' | 'read'> {
  return {
    takes,
    read: (texts) => {
      const items = texts.flatMap((text) => text.split(',')).map((item) => item.trim())
      return items.length <= atMost && items.every(passes) ? items : undefined
    },
  }
}

/** A switch, which the environment may also turn off. */
export const onOff: Pick<Flag<boolean>, 'takes' | 'read' | 'fallback'> = {
  fallback: false,
  takes: 'true or false',
  read: (texts) => {
    const text = texts.at(-1) ?? ''
    if (/^(true|1|yes|on)$/i.test(text)) return true
    return /^(false|0|no|off)$/i.test(text) ? false : undefined
  },
}

export function isIpv4(text: string): boolean {
  return /^\d{1,3}(\.\d{1,3}){3}$/.test(text) && text.split('.').every((part) => Number(part) < 256)
}
