/** A front for TLS: takes connections at `ADDRESS PORT` and hands what they bring to port 443 there, as a proxy does. */

import { connect } from 'node:net'
import { createServer } from 'node:tls'
import { cert, key } from '../../test/fixtures/tls.ts'

/** Where the front of a server is. */
export const FRONT_PORT = 8443

if (import.meta.main) {
  const [address = '', port = ''] = process.argv.slice(2)
  const server = createServer({ cert, key }, (outside) => {
    const inside = connect({ host: address, port: Number(port), noDelay: true })
    outside.setNoDelay(true)
    outside.pipe(inside).pipe(outside)
    for (const end of [outside, inside]) {
      end
        .on('error', () => undefined)
        .on('close', () => {
          outside.destroy()
          inside.destroy()
        })
    }
  })
  server.listen(FRONT_PORT, address, () => console.log('listening'))
}
