/** Test files that only Node runs, each with its reason; all others run on Deno and Bun unchanged. */

export const NODE_ALONE: Readonly<Record<string, string>> = {
  'test/swarm.test.ts': 'constructs a HyperDHT, which ends any other process',
  'test/bootstraphost.test.ts': 'starts DHT nodes, which end any other process',
  'test/relaying.test.ts': 'starts a DHT and relays on it, which are for Node',
  'test/runtime-node.test.ts': 'the adapter of Node; test/conformance.test.ts is for all',
  'test/limits.test.ts': 'tries the time-outs of node:http, and hurries the clocks of a process',
  'test/cli.test.ts': 'starts programs by the names and with the flags of Node',
  'test/bundle.test.ts': 'starts the build and a server of its own by Node',
  'test/harness.test.ts': 'tests the runner, which is a program of Node',
  'test/mutants.test.ts': 'tests a tool for Node',
  'test/fuzz.test.ts':
    'tests a tool for Node; what it counts of the heap is told in other ways elsewhere',
}
