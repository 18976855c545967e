/** Seats: a browser at each site, and in it a page that belongs to one of the meshes. */

import { type Browser, launchBrowser, type Page } from '../browser.ts'
import type { LabMesh, MeshNode } from './mesh.ts'
import { join } from './page.ts'
import type { Site } from './sites.ts'

/** WebRTC names real addresses, so that what the browser says can be held against what the routers do. */
const FLAGS = [
  '--disable-gpu',
  '--disable-dev-shm-usage',
  '--no-proxy-server',
  '--disable-features=WebRtcHideLocalIpsWithMdns,MediaRouter,OptimizationHints',
]
/** Nothing that is asked of a page takes longer; a page that hangs must not hold up all. */
const ASK_TIMEOUT_MS = 150_000

export interface Seat {
  readonly site: Site
  readonly id: string
  readonly home: MeshNode
  run<Argument, Result>(
    fn: (argument: Argument) => Result | Promise<Result>,
    argument: Argument,
  ): Promise<Result>
}

/** How a page is to be: in more topics, see `join`; over TLS, and so with all that a browser has for it. */
export interface How {
  readonly odd?: boolean
  readonly secure?: boolean
}

export interface SiteBrowser {
  readonly site: Site
  /** Opens a page that joins the mesh at this node. */
  sit(mesh: LabMesh, home: MeshNode, how?: How): Promise<Seat>
  /** The page of this origin, with nothing in it yet. */
  open(url: string): Promise<Page>
  close(): Promise<void>
}

export async function openBrowser(site: Site): Promise<SiteBrowser> {
  const path = `${import.meta.dirname}/in-namespace.sh`
  const browser: Browser = await launchBrowser(FLAGS, { path, env: { NAMESPACE: site.host } })
  const open = async (url: string): Promise<Page> => {
    const page = await (await browser.newContext({ ignoreHTTPSErrors: true })).newPage()
    await page.goto(url)
    return page
  }
  return {
    site,
    open,
    sit: async (mesh, home, { odd = false, secure = false } = {}) => {
      const page = await open(`${secure ? home.front : originFor(site, home)}/health`)
      const run: Seat['run'] = (fn, argument) =>
        within(`${site.name}: ${fn.name}`, page.evaluate(fn as never, argument as never))
      const id = await run(join, {
        network: mesh.mode,
        name: site.name,
        meshRelay: mesh.mode === 'mesh',
        odd,
      })
      return { site, id, home, run }
    },
    close: () => browser.close(),
  }
}

/** The origin by which a site reaches a node. */
export function originFor({ kind }: Site, home: MeshNode): string {
  return home.origin(kind === 'ipv6' ? 6 : 4)
}

export async function within<T>(what: string, promise: Promise<T>): Promise<T> {
  let timer: ReturnType<typeof setTimeout> | undefined
  const late = new Promise<never>((_, reject) => {
    const error = new Error(`Not within ${ASK_TIMEOUT_MS} ms: ${what}`)
    timer = setTimeout(() => reject(error), ASK_TIMEOUT_MS)
  })
  return Promise.race([promise, late]).finally(() => clearTimeout(timer))
}
