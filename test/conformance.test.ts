/** The runtime that runs this file does what a runtime must: node test/harness/run.ts --runtime deno|bun|node. */

import { conformance } from './conformance/suite.ts'

const { runtime } =
  'Deno' in globalThis
    ? await import('../runtimes/deno.ts')
    : 'Bun' in globalThis
      ? await import('../runtimes/bun.ts')
      : await import('../runtimes/node.ts')

conformance(runtime)
