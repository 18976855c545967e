/** Reads our own source files: what they import, and which names their code uses. */

import { globSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

const ROOT = join(import.meta.dirname, '../..')

export interface SourceFile {
  /** From the repository's root. */
  readonly path: string
  readonly text: string
  /** Module specifiers of static, dynamic and type imports and of re-exports. */
  readonly imports: readonly string[]
  /** The code without comments and string literals; of templates, what stands in `${…}`. */
  readonly code: string
}

/** Reads the files that the patterns match. */
export function readSources(...patterns: readonly string[]): SourceFile[] {
  return globSync(patterns, { cwd: ROOT })
    .sort()
    .map((path) => parseSource(path, readFileSync(join(ROOT, path), 'utf8')))
}

export function parseSource(path: string, text: string): SourceFile {
  const uncommented = text.replace(COMMENT_OR_LITERAL, (part) =>
    part.startsWith('/') ? ' ' : part.startsWith('`') ? expressionsIn(part) : part,
  )
  const imports = [...uncommented.matchAll(IMPORT)].map(([, specifier]) => specifier ?? '')
  const code = uncommented.replace(COMMENT_OR_LITERAL, "''")
  return { path, text, imports, code }
}

/** What a template computes, without its text. */
function expressionsIn(template: string): string {
  return [...template.matchAll(/\$\{([^}]*)\}/g)].map(([, expression]) => expression).join(';')
}

/** The package of a bare specifier; `undefined` for a path or a builtin of Node's. */
export function packageOf(specifier: string): string | undefined {
  if (/^[./]|^node:/.test(specifier)) return undefined
  return specifier.match(/^(?:@[^/]+\/)?[^/]+/)?.[0]
}

export function readJson(path: string): Record<string, unknown> {
  return JSON.parse(readFileSync(join(ROOT, path), 'utf8'))
}

const COMMENT_OR_LITERAL =
  /\/\*[\s\S]*?\*\/|\/\/[^\n]*|'(?:\\.|[^'\\\n])*'|"(?:\\.|[^"\\\n])*"|`(?:\\.|[^`\\])*`/g
const IMPORT = /(?<!')\b(?:from|import)\s*\(?\s*'([^'\n]+)'/g
