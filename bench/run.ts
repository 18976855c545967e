/** Runs a benchmark by name: `npm run bench -- forward`; `--write` keeps its figures as JSON. */

import { readdirSync } from 'node:fs'

const names = readdirSync(import.meta.dirname)
  .filter((file) => file.endsWith('.ts'))
  .map((file) => file.slice(0, -'.ts'.length))
  .filter((name) => name !== 'run' && !name.startsWith('raw-'))
const [name = ''] = process.argv.slice(2)
if (names.includes(name)) await import(`./${name}.ts`)
else {
  console.error(`There is no benchmark ${JSON.stringify(name)}; there are: ${names.join(', ')}`)
  process.exitCode = 2
}
