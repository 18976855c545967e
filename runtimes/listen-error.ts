/** What keeps a node from listening, in words that help. */

import { createPrivateKey, X509Certificate } from 'node:crypto'
import { SignalMeshError } from '../src/errors.ts'
import { whyOf } from './why.ts'

export function listenError(where: string, cause: unknown): SignalMeshError {
  const { code } = cause as NodeJS.ErrnoException
  if (code === 'EADDRINUSE') {
    const advice = 'stop what uses it, or choose another with --port (0: any free one)'
    return new SignalMeshError(
      'PORT_IN_USE',
      `Cannot listen on ${where}, it is in use: ${advice}`,
      { cause },
    )
  }
  return new SignalMeshError('BAD_CONFIG', `Cannot listen on ${where}: ${whyNot(cause, code)}`, {
    cause,
  })
}

function whyNot(cause: unknown, code: string | undefined): string {
  if (code === 'EACCES') return 'permission denied; choose a --port above 1023'
  // What Deno makes of EADDRNOTAVAIL.
  if (code === 'EINVAL') return whyOf({ code: 'EADDRNOTAVAIL' })
  return whyOf(cause)
}

/**
 * Looks at a certificate and its key before a server is made: Deno would take any text and then fail
 * at every handshake.
 * @throws SignalMeshError `BAD_CONFIG`
 */
export function checkTls({ cert, key }: { readonly cert: string; readonly key: string }): void {
  try {
    if (new X509Certificate(cert).checkPrivateKey(createPrivateKey(key))) return
  } catch (cause) {
    throw unusable(cause)
  }
  throw unusable('the key is not that of the certificate')
}

function unusable(cause: unknown): SignalMeshError {
  return new SignalMeshError('BAD_CONFIG', `Cannot use the TLS certificate and key: ${cause}`, {
    cause,
  })
}
