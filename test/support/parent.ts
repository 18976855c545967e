/** A program for tests: starts a node as a child and tells where it is, then waits to be killed. */

import { startChild } from '../../runtimes/children.ts'

const args = ['--port', '0', '--log-format', 'json']
const node = await startChild({ program: '../mod.ts', args })
console.log(node.ready.url)
