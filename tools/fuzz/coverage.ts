/** Coverage: which characters of our own code V8 has run so far, read off its own block counts. */

import { readFileSync } from 'node:fs'
import { type Profiler, Session } from 'node:inspector'
import { fileURLToPath } from 'node:url'

// Why not jazzer.js: 4.0.0 did not load where it was tried, for its library wants glibc 2.38, and by its
// source its loader passes over modules whose types are stripped, so that nothing would guide it.

export interface Coverage {
  /** What ran since the last look: the ranges by file, of which `isNew` and `add` can tell. */
  look(): Reach
  /** Whether it reaches code that nothing added so far does. */
  isNew(reach: Reach): boolean
  add(reach: Reach): void
  /** Forgets all that was added. */
  clear(): void
  /** Lines reached by what was added. */
  readonly lines: number
  close(): void
}

/** For each file a byte per character: 1 where it ran. */
export type Reach = ReadonlyMap<string, Uint8Array>

export function startCoverage(under: readonly string[]): Coverage {
  const session = new Session()
  session.connect()
  session.post('Profiler.enable')
  session.post('Profiler.startPreciseCoverage', { callCount: true, detailed: true })
  const texts = new Map<string, string>()
  const reached = new Map<string, Uint8Array>()

  const textOf = (url: string): string => {
    const known = texts.get(url) ?? readFileSync(fileURLToPath(url), 'utf8')
    texts.set(url, known)
    return known
  }

  const look = (): Reach => {
    let scripts: readonly Profiler.ScriptCoverage[] = []
    // Called back before it returns, since the session is this thread's own.
    session.post('Profiler.takePreciseCoverage', (_error, taken) => {
      scripts = taken?.result ?? []
    })
    const own = scripts.filter(({ url }) => under.some((folder) => url.startsWith(folder)))
    return new Map(own.map((script) => [script.url, charsOf(script, textOf(script.url).length)]))
  }

  return {
    look,
    isNew: (reach) => {
      for (const [url, chars] of reach) if (hasMore(chars, reached.get(url))) return true
      return false
    },
    add: (reach) => {
      for (const [url, chars] of reach) {
        const before = reached.get(url)
        if (!before) reached.set(url, chars)
        else for (let i = 0; i < chars.length; i++) if (chars[i]) before[i] = 1
      }
    },
    clear: () => reached.clear(),
    get lines() {
      let lines = 0
      for (const [url, chars] of reached) lines += linesOf(textOf(url), chars)
      return lines
    },
    close: () => session.disconnect(),
  }
}

/** V8's ranges are nested, the outer ones first; an inner one says it better. */
function charsOf({ functions }: Profiler.ScriptCoverage, length: number): Uint8Array {
  const chars = new Uint8Array(length)
  for (const { ranges } of functions) {
    for (const { startOffset, endOffset, count } of ranges) {
      chars.fill(count > 0 ? 1 : 0, startOffset, endOffset)
    }
  }
  return chars
}

function hasMore(chars: Uint8Array, before: Uint8Array | undefined): boolean {
  if (!before) return chars.includes(1)
  for (let i = 0; i < chars.length; i++) if (chars[i] && !before[i]) return true
  return false
}

function linesOf(text: string, chars: Uint8Array): number {
  let lines = 0
  let at = 0
  for (const line of text.split('\n')) {
    if (line.trim() && chars.subarray(at, at + line.length).includes(1)) lines += 1
    at += line.length + 1
  }
  return lines
}
