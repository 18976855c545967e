/** Fetching: where the client is in two parts, this brings the second; the build puts its own ways in this place. */

type Rest = typeof import('./rest.ts')

/** Whoever bundles the client makes a file of its own out of it. */
export const fetchRest = (): Promise<Rest> => import('./rest.ts')
