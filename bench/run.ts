/** Runs a benchmark by name: `npm run bench -- forward`; `--write` keeps its figures as JSON. */

import { readdirSync } from 'node:fs'

const REFERENCES = ['raw-ws', 'run']
const names = readdirSync(import.meta.dirname)
  .filter((file) => file.endsWith('.ts'))
  .map((file) => file.slice(0, -'.ts'.length))
  .filter((name) => !REFERENCES.includes(name))
const [name = ''] = process.argv.slice(2)
if (names.includes(name)) await import(`./${name}.ts`)
else {
  console.error(`There is no benchmark ${JSON.stringify(name)}; there are: ${names.join(', ')}`)
  process.exitCode = 2
}
