/** What commands say alike: failures for people or for programs, and tables that nothing in them can break. */

import type { Host } from './host.ts'

/** What kept a program from doing what was asked; with `--json` an object on one line. */
export function errorText(
  { argv }: Pick<Host, 'argv'>,
  program: string,
  code: string,
  message: string,
): string {
  if (argv.includes('--json')) return `${JSON.stringify({ error: { code, message } })}\n`
  return `${program}: ${message} (${code})\n`
}

/** Columns as wide as what is in them; the last one is not padded. */
export function table(rows: readonly (readonly string[])[]): string {
  const clean = rows.map((row) => row.map(shown))
  const widths = (clean[0] ?? []).map((_, i) =>
    Math.max(...clean.map((row) => [...(row[i] ?? '')].length)),
  )
  const lines = clean.map((row) =>
    row
      .map((cell, i) => cell + ' '.repeat((widths[i] ?? 0) - [...cell].length))
      .join('  ')
      .trimEnd(),
  )
  return lines.map((line) => `${line}\n`).join('')
}

/** Text of others on a terminal: nothing in it moves the cursor, changes colours or hides what is beside it. */
export function shown(text: string): string {
  return text.replace(/[\p{C}\p{Zl}\p{Zp}]/gu, '\uFFFD')
}
