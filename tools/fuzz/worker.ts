/** The worker: fuzzes one target in a process of its own, which may die of it. */

import { startCoverage } from './coverage.ts'

// First of all, for V8 counts the blocks only of what it compiles after this.
const coverage = startCoverage(
  ['../../src/', '../../runtimes/'].map((folder) => new URL(folder, import.meta.url).href),
)
const { work } = await import('./work.ts')
await work(coverage)
coverage.close()
process.disconnect?.()
