/** Writes the protocol's byte vectors anew; run it only for a change of the protocol. */

import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { protocolVectors } from '../test/fixtures/vectors.ts'

const file = join(import.meta.dirname, '../test/vectors/protocol.json')
writeFileSync(file, `${JSON.stringify(protocolVectors(), null, 1)}\n`)
console.log(`wrote ${file}`)
