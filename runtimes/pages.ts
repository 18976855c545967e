/** What a node's pages are: files of the build, the offer of the source, and the headers of both. */

export interface Package {
  readonly name: string
  readonly version: string
}

export type Pages = (path: string) => Response | undefined

const TYPES: Readonly<Record<string, string>> = {
  html: 'text/html; charset=utf-8',
  js: 'text/javascript; charset=utf-8',
  css: 'text/css; charset=utf-8',
  svg: 'image/svg+xml',
  png: 'image/png',
  ico: 'image/x-icon',
  json: 'application/json; charset=utf-8',
  map: 'application/json; charset=utf-8',
  tgz: 'application/gzip',
  txt: 'text/plain; charset=utf-8',
  webmanifest: 'application/manifest+json',
}

/** The client in one file and in two, and the script of its shared worker. */
const BUNDLE = /^edge(\.min|-worker|-rest-[0-9a-f]+)?\.js(\.map)?$/
const REST = /^\/edge-rest-/

/** Scripts come from the node alone; sockets may go to any node, since a page changes its home. */
const POLICY = [
  "default-src 'self'",
  "connect-src 'self' ws: wss:",
  "img-src 'self' data: blob:",
  "style-src 'self' 'unsafe-inline'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'self'",
].join('; ')

/**
 * Makes the pages out of the build's files, by their path in it: `demo/…` is served at the top,
 * the bundles and the source beside it, `/source` always.
 */
export async function makePages(
  files: ReadonlyMap<string, Uint8Array>,
  about: Package,
): Promise<Pages> {
  const makers = new Map<string, () => Response>()
  for (const [file, bytes] of files) {
    const path = pathOf(file)
    if (path) makers.set(path, await pageMaker(path, bytes))
  }
  const archive = files.get('source.tgz')
  const page = source(about, archive && (await sha256(archive)), archive?.length)
  makers.set('/source', await pageMaker('/source.html', new TextEncoder().encode(page)))
  if (!makers.has('/'))
    makers.set('/', () => plain(404, 'This page is not built. Run: npm run build'))
  return (path) => makers.get(path)?.()
}

function pathOf(file: string): string | undefined {
  if (file === 'demo/index.html') return '/'
  if (file === 'demo/mesh/index.html') return '/mesh'
  if (file.startsWith('demo/')) return file.slice('demo'.length)
  return BUNDLE.test(file) || file === 'source.tgz' ? `/${file}` : undefined
}

async function pageMaker(path: string, bytes: Uint8Array): Promise<() => Response> {
  const body = new Uint8Array(bytes)
  const ending = path.includes('.') ? path.slice(path.lastIndexOf('.') + 1) : 'html'
  const headers: Record<string, string> = {
    'content-type': TYPES[ending] ?? 'application/octet-stream',
    // A second part has the hash of its text in its name: what a page has of it stays right.
    'cache-control': REST.test(path) ? 'public, max-age=31536000, immutable' : 'no-cache',
    // Weak, for it stands for the text as it is and packed.
    etag: `W/"${(await sha256(body)).slice(0, 32)}"`,
    'referrer-policy': 'no-referrer',
  }
  if (ending === 'html') headers['content-security-policy'] = POLICY
  // The bundles may be imported by pages of other origins.
  if (BUNDLE.test(path.slice(1))) headers['access-control-allow-origin'] = '*'
  if (!PACKED.test(headers['content-type'] ?? '')) return () => new Response(body, { headers })
  headers['vary'] = 'accept-encoding'
  let packed: Promise<Uint8Array<ArrayBuffer>> | undefined
  return () => {
    const response = new Response(body, { headers })
    packings.set(response, () => (packed ??= pack(body)))
    return response
  }
}

/** What is text; archives and pictures are packed already. */
const PACKED = /^text|json|javascript|svg/
/** How to pack an answer; once for all who ask, and only if somebody does. */
const packings = new WeakMap<Response, () => Promise<Uint8Array<ArrayBuffer>>>()

async function pack(body: Uint8Array<ArrayBuffer>): Promise<Uint8Array<ArrayBuffer>> {
  const stream = new Blob([body]).stream().pipeThrough(new CompressionStream('gzip'))
  return new Uint8Array(await new Response(stream).arrayBuffer())
}

/** A short answer in plain text. */
export function plain(status: number, text: string): Response {
  return new Response(`${text}\n`, {
    status,
    headers: { 'content-type': 'text/plain; charset=utf-8', 'x-content-type-options': 'nosniff' },
  })
}

/** The answer as it leaves: without what the browser has already, packed, and taken as what it says it is. */
export async function finished(request: Request, response: Response): Promise<Response> {
  response.headers.set('x-content-type-options', 'nosniff')
  const etag = response.headers.get('etag')
  const known = request.headers.get('if-none-match')?.split(/\s*,\s*/) ?? []
  if (response.status === 200 && etag && known.includes(etag)) {
    return new Response(null, { status: 304, headers: response.headers })
  }
  const packing = packings.get(response)
  if (!packing || !accepts(request, 'gzip')) return response
  response.headers.set('content-encoding', 'gzip')
  return new Response(await packing(), { headers: response.headers })
}

function accepts(request: Request, encoding: string): boolean {
  const accepted = request.headers.get('accept-encoding')?.split(/\s*,\s*/) ?? []
  // Whoever weighs them weighs none at nothing, but for what it does not want at all.
  return accepted.some((one) => one.split(';')[0] === encoding && !/;\s*q=0(\.0*)?$/.test(one))
}

async function sha256(bytes: Uint8Array): Promise<string> {
  const digest = await crypto.subtle.digest('SHA-256', new Uint8Array(bytes))
  return Array.from(new Uint8Array(digest), (byte) => byte.toString(16).padStart(2, '0')).join('')
}

/** AGPL-3.0, section 13: who uses a node over the network is offered its source. */
function source({ name, version }: Package, hash = '', sizeBytes = 0): string {
  const offer = hash
    ? `<p><a class="get" href="/source.tgz" download="${name}-${version}.tgz">Download ${name} ${version}</a>
(${Math.ceil(sizeBytes / 1024)} KB)</p>
<p>This node was built from it. It is complete, with its tests; the exact version and hash of each
package that it needs stand in its <code>package-lock.json</code>. SHA-256 of the archive:</p>
<pre><code>${hash}</code></pre>
<p>To run it, with Node.js and npm:</p>
<pre><code>tar xzf ${name}-${version}.tgz
cd ${name}-${version}
npm ci
npm start</code></pre>`
    : '<p>This node has no archive of its source yet. Whoever runs it makes one by <code>npm run build</code>.</p>'
  return `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<link rel="icon" href="/icon.svg">
<title>Source of ${name} ${version}</title>
<style>
  :root { color-scheme: light dark }
  body { font: 1rem/1.6 system-ui, sans-serif; max-width: 40rem; margin: 2rem auto; padding: 0 1rem }
  pre { white-space: pre-wrap; overflow-wrap: anywhere }
  .get { font-weight: 600 }
</style>
<h1>Source</h1>
${offer}
<h2>Licences</h2>
<p>Our own code: MIT. A running node also links
<a href="https://www.npmjs.com/package/@dxos/broadcast">@dxos/broadcast</a>, which is AGPL-3.0, so
the node as a whole is offered to you under the terms of the AGPL-3.0. The bundle that browsers load
(<a href="/edge.min.js">/edge.min.js</a>) contains none of it.</p>
</html>
`
}
