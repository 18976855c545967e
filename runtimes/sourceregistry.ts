/** A registry as a source: asks it in its dialect, which is found out at the first answer. */

import { authorityOf, reachOf } from '../src/authority.ts'
import type { Clock } from '../src/clock.ts'
import { SignalMeshError } from '../src/errors.ts'
import { MAX_REGISTRY_BYTES } from '../src/limits.ts'
import { type Dialect, type RegistryAnswer, readRegistry, registryQuery } from '../src/registry.ts'
import type { Source } from './source.ts'
import { askHttp } from './sourcehttp.ts'

export interface RegistryOptions {
  readonly allowPrivate: boolean
  readonly clock: Pick<Clock, 'nowMs'>
  readonly timeoutMs?: number
}

/** laconicd lives, so its dialect comes first. */
const DIALECTS: readonly Dialect[] = ['union', 'struct']

export function registrySource(url: string, options: RegistryOptions): Source {
  const { clock, timeoutMs } = options
  // The operator has named it, so it may be local by its name, but no public name may lead there.
  const allowPrivate = options.allowPrivate || reachOf(authorityOf(url)) !== 'public'
  let first = DIALECTS[0] as Dialect

  const askIn = async (dialect: Dialect): Promise<RegistryAnswer | undefined> => {
    const reply = await askHttp(url, {
      body: JSON.stringify({ query: registryQuery(dialect) }),
      maxBytes: MAX_REGISTRY_BYTES,
      allowPrivate,
      isNamed: true,
      ...(timeoutMs !== undefined && { timeoutMs }),
    })
    // Who cannot make sense of a question says so with 400 or 422, some with 200.
    if (![200, 400, 422].includes(reply.status)) {
      throw new SignalMeshError('BAD_FRAME', `${url} answers with status ${reply.status}`)
    }
    return readRegistry(reply.body, clock.nowMs())
  }

  return {
    key: `registry ${url}`,
    listsMembers: true,
    ask: async () => {
      for (const dialect of [first, ...DIALECTS.filter((other) => other !== first)]) {
        const answer = await askIn(dialect)
        if (answer) {
          first = dialect
          return answer
        }
      }
      throw new SignalMeshError('BAD_FRAME', `${url} is no registry of DXNS or laconicd`)
    },
  }
}
