/** One question over HTTP: to an address that was checked, within a time and a size, following no redirect. */

import { request as plainRequest } from 'node:http'
import { request as tlsRequest } from 'node:https'
import type { LookupFunction } from 'node:net'
import { SignalMeshError } from '../src/errors.ts'
import type { DialOptions } from '../src/runtime.ts'
import { SOURCE_TIMEOUT_MS } from './limits.ts'
import { addressesOf, type LookUps } from './reach.ts'
import { whyOf } from './why.ts'

export interface Question extends DialOptions {
  /** JSON to post; without it the URL is read. */
  readonly body?: string
  readonly maxBytes: number
  readonly timeoutMs?: number
  /** Tests bring their own. */
  readonly lookUps?: LookUps
}

export interface Reply {
  readonly status: number
  readonly body: string
}

/** @throws SignalMeshError `HOME_UNREACHABLE`, `REFUSED`, `TIMEOUT`, `TOO_LARGE` */
export async function askHttp(url: string, question: Question): Promise<Reply> {
  const { timeoutMs = SOURCE_TIMEOUT_MS } = question
  const late = new AbortController()
  const tooLate = new SignalMeshError('TIMEOUT', `No whole answer of ${url} within ${timeoutMs} ms`)
  let timer: ReturnType<typeof setTimeout> | undefined
  const timeout = new Promise<never>((_, reject) => {
    timer = setTimeout(() => {
      reject(tooLate)
      late.abort()
    }, timeoutMs)
  })
  try {
    return await Promise.race([exchange(url, question, late.signal), timeout])
  } finally {
    clearTimeout(timer)
  }
}

async function exchange(url: string, question: Question, signal: AbortSignal): Promise<Reply> {
  const { body, maxBytes } = question
  const addresses = await addressesOf(url, question, question.lookUps)
  signal.throwIfAborted()
  // What was checked is what is asked, whatever the name leads to by now.
  const lookup: LookupFunction = (_, { all }, done) => {
    if (all) done(null, addresses)
    else done(null, addresses[0].address, addresses[0].family)
  }
  const send = url.startsWith('https:') ? tlsRequest : plainRequest
  return new Promise((resolve, reject) => {
    const request = send(url, {
      method: body === undefined ? 'GET' : 'POST',
      // Unpacked, a small answer could be a large one.
      headers: {
        accept: 'application/json',
        'accept-encoding': 'identity',
        ...(body !== undefined && { 'content-type': 'application/json' }),
      },
      agent: false,
      lookup,
    })
    const fail = (error: unknown): void => {
      request.destroy()
      reject(
        error instanceof SignalMeshError
          ? error
          : new SignalMeshError('HOME_UNREACHABLE', `Cannot ask ${url}: ${whyOf(error)}`, {
              cause: error,
            }),
      )
    }
    signal.addEventListener('abort', () => fail(new Error('no answer in time')))
    request.on('error', fail)
    request.on('response', (response) => {
      const status = response.statusCode ?? 0
      if (status >= 300 && status < 400) return fail(refusedTo(url, 'sends on to another URL'))
      if (response.headers['content-encoding']) return fail(refusedTo(url, 'packs its answer'))
      const chunks: Uint8Array[] = []
      let bytes = 0
      response.on('data', (chunk: Uint8Array) => {
        bytes += chunk.length
        if (bytes <= maxBytes) chunks.push(chunk)
        else {
          fail(new SignalMeshError('TOO_LARGE', `The answer of ${url} is over ${maxBytes} bytes`))
        }
      })
      response.on('error', fail)
      response.on('aborted', () => fail(new Error('the answer was cut off')))
      response.on('end', () =>
        resolve({ status, body: new TextDecoder().decode(join(chunks, bytes)) }),
      )
    })
    request.end(body)
  })
}

function refusedTo(url: string, what: string): SignalMeshError {
  return new SignalMeshError('REFUSED', `${url} ${what}, which is not followed`)
}

function join(chunks: readonly Uint8Array[], bytes: number): Uint8Array {
  const whole = new Uint8Array(bytes)
  let at = 0
  for (const chunk of chunks) {
    whole.set(chunk, at)
    at += chunk.length
  }
  return whole
}
