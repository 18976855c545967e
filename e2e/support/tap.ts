/** Loaded before a node by `--import`: every frame of every link goes through `tapped-link.ts`. */

import { registerHooks } from 'node:module'

const TAPPED = new URL('tapped-link.ts', import.meta.url).href

registerHooks({
  resolve: (specifier, context, next) => {
    const found = next(specifier, context)
    const isLink = found.url.endsWith('/src/link.ts') && context.parentURL !== TAPPED
    return isLink ? { ...found, url: TAPPED } : found
  },
})
