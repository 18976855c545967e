/** Certificate and key in their files: read at the start, and again for when they are renewed. */

import { type Clock, repeat } from '../src/clock.ts'
import { asMeshError } from '../src/errors.ts'
import type { Log } from '../src/log.ts'
import type { Running, Tls } from '../src/runtime.ts'
import type { Config } from './config.ts'
import type { Host } from './host.ts'
import { TLS_CHECK_MS } from './limits.ts'

type Files = Pick<Config, 'tlsCert' | 'tlsKey'>
type Reader = Pick<Host, 'readText'>

/** @throws SignalMeshError `BAD_CONFIG` for a file that cannot be read */
export async function tlsTexts(
  { tlsCert, tlsKey }: Files,
  { readText }: Reader,
): Promise<Tls | undefined> {
  if (tlsCert === undefined || tlsKey === undefined) return undefined
  return { cert: await readText(tlsCert), key: await readText(tlsKey) }
}

export interface KeepOptions {
  readonly host: Reader
  readonly running: Pick<Running, 'useTls'>
  readonly log: Log
  readonly clock: Clock
}

/**
 * Looks at the files again and again, and hands on what is new in them; until the returned function is called.
 * They are read rather than watched: those who renew them write, move and link in ways of their own.
 */
export function keepTls(
  files: Files,
  { host, running, log, clock }: KeepOptions,
  first: Tls | undefined,
): () => void {
  if (!first || !running.useTls) return () => {}
  let used = first
  let refused = ''
  let isReading = false

  const look = async (): Promise<void> => {
    const next = await tlsTexts(files, host)
    if (!next || (next.cert === used.cert && next.key === used.key)) return
    running.useTls?.(next)
    used = next
    refused = ''
    log.info('Serves by a new certificate', { file: files.tlsCert })
  }

  return repeat(clock, TLS_CHECK_MS, () => {
    if (isReading) return
    isReading = true
    look()
      .catch((error: unknown) => {
        // As between the writing of one file and of the other: the next look finds both. Said once.
        const why = asMeshError(error).message
        if (why !== refused) log.warn('Goes on with the certificate before', { why })
        refused = why
      })
      .finally(() => {
        isReading = false
      })
  })
}
