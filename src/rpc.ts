/** Requests and answers over a link, by nanomessage with a binary codec. */

import { Nanomessage } from 'nanomessage'
import { badFrame, concat, reader, writer } from './bytes.ts'
import type { Clock } from './clock.ts'
import { asMeshError, SignalMeshError } from './errors.ts'
import { MAX_REQUESTS_IN_FLIGHT, REQUEST_TIMEOUT_MS } from './limits.ts'
import { encodeError, FRAME, readError } from './messages.ts'

/** What an edge asks of its home. */
export const EDGE_METHOD = {
  advertise: 1,
  unadvertise: 2,
  discover: 3,
  lookup: 4,
  watch: 5,
  unwatch: 6,
  renew: 7,
  ice: 8,
  carry: 9,
  uncarry: 10,
} as const

/** What a node asks of a neighbour. */
export const NODE_METHOD = { heads: 1, pull: 2, index: 3, records: 4 } as const

/** Answers a request; what it throws travels back as an error with its code. */
export type Serve = (method: number, body: Uint8Array) => Uint8Array | Promise<Uint8Array>

export interface Rpc {
  /**
   * Asks and waits for the answer.
   * @throws SignalMeshError the other side's, `TIMEOUT`, or `CLOSED`
   */
  request(method: number, body: Uint8Array): Promise<Uint8Array>
  /** Takes a whole rpc frame. */
  receive(frame: Uint8Array): void
  close(): void
}

interface Message {
  readonly id: number
  readonly response: boolean
  readonly data: Uint8Array
}

const STATUS_OK = 0
const STATUS_ERROR = 1

const codec = {
  encode: ({ id, response, data }: Message): Uint8Array =>
    writer(data.length + 5)
      .u8(FRAME.rpc)
      .u32(id * 2 + (response ? 1 : 0))
      .bytes(data)
      .done(),
  decode: (frame: Uint8Array): Message => {
    const r = reader(frame)
    if (r.u8() !== FRAME.rpc) throw badFrame('not a request')
    const header = r.u32()
    return { id: Math.floor(header / 2), response: header % 2 === 1, data: r.rest() }
  },
}

export interface RpcOptions {
  readonly clock: Clock
  send(frame: Uint8Array): void
  readonly serve?: Serve
  readonly timeoutMs?: number
}

export function createRpc(options: RpcOptions): Rpc {
  const { clock, timeoutMs = REQUEST_TIMEOUT_MS } = options
  let serving = 0
  const serve: Serve = options.serve ?? (() => Promise.reject(noSuchMethod()))
  const nanomessage = new Nanomessage({
    send: async (frame: Uint8Array) => options.send(frame),
    onMessage: (data: Uint8Array) => answer(serve, data),
    requestEncoding: () => codec,
    concurrency: MAX_REQUESTS_IN_FLIGHT,
  })
  void nanomessage.open()
  return {
    request: async (method, body) => {
      if (nanomessage.closed || nanomessage.closing) throw closedError()
      const request = nanomessage.request(concat(Uint8Array.of(method), body))
      const cancelTimer = clock.after(timeoutMs, () =>
        request.cancel(new SignalMeshError('TIMEOUT', `No answer came within ${timeoutMs} ms`)),
      )
      try {
        return readAnswer(await request)
      } catch (error) {
        throw error instanceof SignalMeshError ? error : closedError(error)
      } finally {
        cancelTimer()
      }
    },
    receive: (frame) => {
      const isRequest = !codec.decode(frame).response
      if (isRequest && serving >= MAX_REQUESTS_IN_FLIGHT) {
        throw new SignalMeshError(
          'RATE_LIMITED',
          `More than ${MAX_REQUESTS_IN_FLIGHT} open requests`,
        )
      }
      if (isRequest) serving += 1
      // Answers to nothing and a link that closes meanwhile are no news; `answer` told the other side.
      const done = (): void => {
        if (isRequest) serving -= 1
      }
      nanomessage.processIncomingMessage(frame).then(done, done)
    },
    close: () => void nanomessage.close().catch(() => undefined),
  }
}

/** Answers one request without keeping anything: a node has thousands of idle edges. */
export async function answerOnce(
  frame: Uint8Array,
  serve: Serve,
  send: (frame: Uint8Array) => void,
): Promise<void> {
  const { id, response, data } = codec.decode(frame)
  // Edges are asked nothing, so an answer from one is noise; id 0 wants no answer.
  if (response) throw badFrame('an answer to no request')
  const reply = await answer(serve, data)
  if (id !== 0) send(codec.encode({ id, response: true, data: reply }))
}

async function answer(serve: Serve, data: Uint8Array): Promise<Uint8Array> {
  try {
    if (data.length === 0) throw noSuchMethod()
    const body = await serve(data[0] as number, data.subarray(1))
    return concat(Uint8Array.of(STATUS_OK), body)
  } catch (error) {
    return concat(Uint8Array.of(STATUS_ERROR), encodeError(asMeshError(error)))
  }
}

function readAnswer(data: Uint8Array): Uint8Array {
  if (data[0] === STATUS_OK) return data.subarray(1)
  if (data[0] !== STATUS_ERROR) throw badFrame('an answer of unknown status')
  const r = reader(data.subarray(1))
  const error = readError(r)
  r.end()
  throw error
}

/** For methods that are not spoken here. */
export function noSuchMethod(): SignalMeshError {
  return new SignalMeshError('BAD_FRAME', 'No such method')
}

function closedError(cause?: unknown): SignalMeshError {
  return new SignalMeshError('CLOSED', 'The link closed before the answer came', { cause })
}
