/** QR codes: as text for a terminal, as an SVG path for a page. */

import { encode, renderUnicodeCompact } from 'uqr'

/** The quiet zone; scanners want a few modules of it. */
const BORDER_MODULES = 3

/** Two rows of modules to a line; white modules are drawn, for terminals with a dark background. */
export function qrText(text: string): string {
  return renderUnicodeCompact(text, { border: BORDER_MODULES })
}

export interface QrPath {
  /** Modules along each side. */
  readonly size: number
  /** The dark modules as an SVG path, one unit to a module. */
  readonly path: string
}

export function qrPath(text: string): QrPath {
  const { size, data } = encode(text, { border: BORDER_MODULES })
  const runs = data.flatMap((row, y) =>
    darkRuns(row).map(([x, width]) => `M${x} ${y}h${width}v1h-${width}z`),
  )
  return { size, path: runs.join('') }
}

/** Start and length of each run of dark modules; single squares would show seams. */
function darkRuns(row: readonly boolean[]): [number, number][] {
  const runs: [number, number][] = []
  for (const [x, isDark] of row.entries()) {
    if (!isDark) continue
    const last = runs.at(-1)
    if (last && last[0] + last[1] === x) last[1] += 1
    else runs.push([x, 1])
  }
  return runs
}
