/** What a node answers over HTTP: its health, and the static files of the demo. */

import { addressGroup, reachOf } from './authority.ts'

export function answerHttp(
  request: Request,
  health: () => object,
  assets: ((path: string) => Response | undefined) | undefined,
): Response {
  if (request.method !== 'GET' && request.method !== 'HEAD') {
    return text(405, 'Only GET and HEAD are answered here\n', { allow: 'GET, HEAD' })
  }
  const { pathname } = new URL(request.url)
  if (pathname === '/health') return healthResponse(health())
  const asset = assets?.(pathname)
  return (
    asset ??
    text(
      404,
      'Not found; there is /, /mesh, /edge.min.js, /health, /ready, /mesh.json, /metrics and /source\n',
    )
  )
}

/** Readable from any page: health and the mesh are public, and pages draw other nodes'. */
export function healthResponse(body: object | string, status = 200): Response {
  return new Response(typeof body === 'string' ? body : `${JSON.stringify(body)}\n`, {
    status,
    headers: {
      'content-type': 'application/json; charset=utf-8',
      'cache-control': 'no-store',
      'access-control-allow-origin': '*',
    },
  })
}

export function text(status: number, body: string, headers: Record<string, string> = {}): Response {
  return new Response(body, {
    status,
    headers: { 'content-type': 'text/plain; charset=utf-8', ...headers },
  })
}

/**
 * The address that limits count: the socket's, or the last one in X-Forwarded-For that no trusted
 * proxy wrote. Without a trusted proxy the header is anybody's and is not read.
 */
export function addressOf(request: Request, socket: string, trusted: readonly string[]): string {
  const isTrusted = (address: string): boolean =>
    trusted.includes(addressGroup(address)) ||
    trusted.includes(address) ||
    (trusted.includes('loopback') && reachOf(address) === 'loopback')
  let address = socket
  const forwarded = (request.headers.get('x-forwarded-for') ?? '')
    .split(',')
    .map((part) => part.trim())
  while (isTrusted(address)) {
    const before = forwarded.pop()
    if (!before) break
    address = before
  }
  return address
}
