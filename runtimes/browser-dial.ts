/** Dials other nodes by the browser's own WebSocket, which follows no redirect. */

import { reachOf } from '../src/authority.ts'
import { SignalMeshError } from '../src/errors.ts'
import { DIAL_TIMEOUT_MS, MAX_FRAME_BYTES } from '../src/limits.ts'
import { type Link, makeLink } from '../src/link.ts'
import type { Runtime } from '../src/runtime.ts'
import { LOST, reasonBytes } from './reason.ts'

const NORMAL = 1000
/** A page may close with no code of the standard's but that one. */
const REFUSED = 4000
const ABNORMAL = 1006

/** `onFrame` is told of each frame that comes, before anybody reads it. */
export function makeDial(onFrame: () => void = () => {}): Runtime['dial'] {
  return async (url) => {
    const ws = open(url)
    const link = linkOf(ws, onFrame)
    const late = setTimeout(() => ws.close(), DIAL_TIMEOUT_MS)
    try {
      await new Promise<void>((resolve, reject) => {
        ws.onopen = () => resolve()
        // Why, a page is not told.
        ws.onclose = ({ reason }) => reject(unreachable(url, reason || 'no answer'))
      })
    } finally {
      clearTimeout(late)
    }
    return { link, remoteAddress: addressIn(url) }
  }
}

function open(url: string): WebSocket {
  try {
    const ws = new WebSocket(url)
    ws.binaryType = 'arraybuffer'
    return ws
  } catch (cause) {
    throw unreachable(url, 'a page over https reaches nodes by wss: alone', cause)
  }
}

function linkOf(ws: WebSocket, onFrame: () => void): Link {
  let ownReason: string | undefined
  const end = (code: number, reason: string): void => {
    ownReason ??= reason
    ws.close(code, new TextDecoder().decode(reasonBytes(reason)))
  }
  const source = makeLink({
    send: (frame) => {
      if (ws.readyState === ws.OPEN) ws.send(frame as Uint8Array<ArrayBuffer>)
    },
    bufferedBytes: () => ws.bufferedAmount,
    close: (reason) => end(NORMAL, reason),
  })
  ws.addEventListener('message', ({ data }: MessageEvent<string | ArrayBuffer>) => {
    if (ownReason !== undefined) return
    onFrame()
    if (typeof data === 'string') end(REFUSED, 'TEXT_FRAME')
    else if (data.byteLength > MAX_FRAME_BYTES) end(REFUSED, 'TOO_LARGE')
    else source.receive(new Uint8Array(data))
  })
  ws.addEventListener('close', ({ code, reason }) =>
    source.end(ownReason ?? (reason || (code === ABNORMAL ? LOST : 'closed'))),
  )
  return source.link
}

/**
 * The address, if the URL says it: what a name has led to, a page is not told. Names are anybody's to
 * make up, so all of them count as one neighbourhood.
 */
function addressIn(url: string): string {
  const host = new URL(url).hostname.replace(/^\[|\]$/g, '')
  const isLiteral = host.includes(':') || /^\d+(\.\d+){3}$/.test(host)
  return isLiteral || reachOf(host) !== 'public' ? host : ''
}

function unreachable(url: string, why: string, cause?: unknown): SignalMeshError {
  return new SignalMeshError('HOME_UNREACHABLE', `Cannot dial ${url}: ${why}`, { cause })
}
