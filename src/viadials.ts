/** Via dials: links to a via node of a home that nobody can dial, such as a browser's tab. */

import type { Directory } from './directory.ts'
import type { NodeId } from './identity.ts'
import type { UrlDials } from './urldials.ts'

export interface ViaDialsOptions {
  readonly self: NodeId
  readonly directory: Pick<Directory, 'homes'>
  readonly dialHome: UrlDials['dialHome']
  isLinked(node: NodeId): boolean
}

/**
 * Makes what dials the home's via nodes, one after the other, until there is a link to one; undefined if
 * there is one already, or none to dial. It never gives true, for the home itself has no link then.
 */
export function createViaDials(options: ViaDialsOptions): UrlDials['dialHome'] {
  const { self, directory, dialHome, isLinked } = options

  const go = async (dialling: Promise<boolean>, others: readonly NodeId[]): Promise<false> => {
    if (await dialling) return false
    for (const via of others) if (await dialHome(via)) break
    return false
  }

  return (home) => {
    const contact = directory.homes.get(home)?.contact
    if (!contact || contact.dhtKey !== undefined || contact.urls.length > 0) return undefined
    const vias = contact.vias.filter((via) => via !== self && via !== home)
    if (vias.some(isLinked)) return undefined
    for (const [i, via] of vias.entries()) {
      const dialling = dialHome(via)
      if (dialling) return go(dialling, vias.slice(i + 1))
    }
    return undefined
  }
}
