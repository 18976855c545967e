/** The API reference, made from the client's docstrings: `node tools/api.ts` writes API.md, `--check` compares it. */

import { execFileSync } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'

const ROOT = `${import.meta.dirname}/..`
const FILE = `${ROOT}/API.md`

/** What users import, by subpath of the package. */
const ENTRIES = [
  {
    subpath: 'signal-mesh/edge',
    file: 'src/edge/mod.ts',
    first: ['joinMesh', 'JoinOptions', 'Edge', 'EdgeEvents', 'Room', 'Connection', 'Incoming'],
  },
  {
    subpath: 'signal-mesh/react',
    file: 'src/react/mod.ts',
    first: ['useMesh', 'useRoom', 'MeshOptions', 'Mesh', 'UseRoomOptions', 'RoomView'],
  },
  {
    subpath: 'signal-mesh/tab',
    file: 'runtimes/tab.ts',
    first: ['startNode', 'TabNodeOptions', 'TabNode', 'TabJoinOptions'],
  },
  { subpath: 'signal-mesh/worker', file: 'src/edge/worker.ts', first: ['sharedSocket'] },
] as const

const HEAD = `# API reference

Made from the docstrings by \`node tools/api.ts\`; README.md is the way in. Failures are
\`SignalMeshError\`s, each with a \`code\` and a sentence that says what to do.
`

interface Tag {
  readonly kind: string
  readonly doc?: string
}

interface Declaration {
  readonly kind: string
  readonly location: { readonly filename: string; readonly byteIndex: number }
  readonly jsDoc?: { readonly doc?: string; readonly tags?: readonly Tag[] }
}

interface Documented {
  readonly name: string
  readonly declarations: readonly Declaration[]
}

/** What Deno's own documentation tool finds that a module exports. */
function exportsOf(file: string): readonly Documented[] {
  const json = execFileSync(`${ROOT}/node_modules/.bin/deno`, ['doc', '--json', file], {
    cwd: ROOT,
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'ignore'],
  })
  const { nodes } = JSON.parse(json) as { nodes: Record<string, { symbols: Documented[] }> }
  return Object.values(nodes).flatMap(({ symbols }) => symbols)
}

/** The declaration as it stands in the source, its members' docstrings included, without any code. */
function declarationText({ kind, location }: Declaration): string {
  const source = readFileSync(new URL(location.filename))
  const text = source.subarray(location.byteIndex).toString('utf8')
  if (kind === 'function') return text.slice(0, text.search(/ \{\n/))
  if (kind === 'class') return `${text.slice(0, text.indexOf('\n\n  constructor'))}\n}`
  const end = kind === 'interface' ? text.indexOf('\n}') + 2 : text.indexOf('\n\n')
  return text.slice(0, end)
}

/** The declaration as who imports it sees it. */
const shown = (text: string): string => text.replace(/^export (async )?/, '')

/** The docstring, unless it is the one of the file that the declaration happens to begin. */
function docOf({ jsDoc, location }: Declaration): string {
  const before = readFileSync(new URL(location.filename)).subarray(0, location.byteIndex)
  const isOwn = before.toString('utf8').endsWith('*/\n')
  const tags = jsDoc?.tags ?? []
  const throws = tags.filter(({ kind }) => kind === 'throws').map(({ doc }) => `Throws ${doc}.`)
  const examples = tags
    .filter(({ kind }) => kind === 'example')
    .map(({ doc }) => `\`\`\`ts\n${doc}\n\`\`\``)
  return [isOwn ? jsDoc?.doc : undefined, ...throws, ...examples].filter(Boolean).join('\n\n')
}

function section({ name, declarations }: Documented): string {
  const [declaration] = declarations
  if (!declaration) throw new Error(`${name} is declared nowhere`)
  const parts = [`### ${name}`, docOf(declaration), fenced(shown(declarationText(declaration)))]
  return parts.filter(Boolean).join('\n\n')
}

const fenced = (code: string): string => `\`\`\`ts\n${code}\n\`\`\``

function reference(): string {
  const parts = ENTRIES.map(({ subpath, file, first }) => {
    const placeOf = ({ name }: Documented): number => {
      const place = (first as readonly string[]).indexOf(name)
      return place < 0 ? first.length : place
    }
    const all = [...exportsOf(file)].sort((a, b) => placeOf(a) - placeOf(b))
    return [`## ${subpath}`, ...all.map(section)].join('\n\n')
  })
  return `${HEAD}\n${parts.join('\n\n')}\n`
}

const text = reference()
if (!process.argv.includes('--check')) writeFileSync(FILE, text)
else if (readFileSync(FILE, 'utf8') !== text) {
  console.error('API.md is not what the docstrings say. Run: node tools/api.ts')
  process.exitCode = 1
}
