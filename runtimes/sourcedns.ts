/** A domain as a source: the TXT records at `_signal-mesh.<domain>`. */

import { Resolver } from 'node:dns/promises'
import { SignalMeshError } from '../src/errors.ts'
import { MAX_MEMBERS } from '../src/limits.ts'
import { readTxt, txtName } from '../src/registryrecord.ts'
import { SOURCE_TIMEOUT_MS } from './limits.ts'
import type { Source } from './source.ts'
import { whyOf } from './why.ts'

export interface DnsOptions {
  /** Servers to ask, as `address:port`; default: this machine's own. */
  readonly servers: readonly string[]
  readonly timeoutMs?: number
}

export function dnsSource(domain: string, options: DnsOptions): Source {
  const { servers, timeoutMs = SOURCE_TIMEOUT_MS } = options
  return {
    key: `dns ${domain}`,
    ask: async () => {
      const texts = await textsAt(txtName(domain), servers, timeoutMs)
      const records = texts.slice(0, MAX_MEMBERS).flatMap((text) => readTxt(text) ?? [])
      return { records, dropped: texts.length - records.length }
    },
  }
}

async function textsAt(
  name: string,
  servers: readonly string[],
  timeoutMs: number,
): Promise<readonly string[]> {
  const resolver = new Resolver({ timeout: timeoutMs / 2, tries: 2 })
  if (servers.length > 0) resolver.setServers(servers)
  let timer: ReturnType<typeof setTimeout> | undefined
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(reject, timeoutMs, new Error('no answer in time'))
  })
  try {
    const answer = await Promise.race([resolver.resolveTxt(name), late])
    return answer.map((parts) => parts.join(''))
  } catch (cause) {
    throw new SignalMeshError(
      'HOME_UNREACHABLE',
      `Cannot look up the TXT records of ${name}: ${whyOf(cause)}`,
      { cause },
    )
  } finally {
    clearTimeout(timer)
    resolver.cancel()
  }
}
