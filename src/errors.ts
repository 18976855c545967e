/** The one error class: a code for programs, a sentence for people. */

export type ErrorCode =
  // what the caller or operator did
  | 'BAD_ARGUMENT'
  | 'BAD_CONFIG'
  | 'PORT_IN_USE'
  | 'DATA_UNREADABLE'
  | 'IDENTITY_CORRUPT'
  | 'SELF_CONNECT'
  | 'NOT_ADVERTISED'
  | 'CLOSED'
  | 'ABORTED'
  | 'LOAD_FAILED'
  // what came from outside
  | 'BAD_FRAME'
  | 'BAD_SIGNATURE'
  | 'BAD_HANDSHAKE'
  | 'BAD_AUTHORITY'
  | 'VERSION_MISMATCH'
  | 'NETWORK_MISMATCH'
  | 'CLOCK_SKEW'
  | 'STALE_RECORD'
  | 'REPLACED'
  | 'DUPLICATE_NODE'
  | 'EQUIVOCATION'
  | 'FORGED_RECORD'
  // what a bound or a rule refused
  | 'TOO_LARGE'
  | 'TOO_MANY'
  | 'RATE_LIMITED'
  | 'MESH_FULL'
  | 'REFUSED'
  // what became of a signal or a connection
  | 'PEER_UNKNOWN'
  | 'MOVED'
  | 'HOME_UNREACHABLE'
  | 'NO_HOME'
  | 'TIMEOUT'
  | 'GLARE'
  | 'RTC_FAILED'
  | 'PEER_LEFT'
  | 'GOING_AWAY'
  | 'MEDIA_NEEDS_RTC'
  | 'INTERNAL'

/** Every code with its number on the wire; a number is never given to another code. */
export const CODE_NUMBERS: Readonly<Record<ErrorCode, number>> = {
  INTERNAL: 1,
  BAD_ARGUMENT: 2,
  BAD_CONFIG: 3,
  PORT_IN_USE: 4,
  DATA_UNREADABLE: 5,
  IDENTITY_CORRUPT: 6,
  SELF_CONNECT: 7,
  NOT_ADVERTISED: 8,
  CLOSED: 9,
  ABORTED: 10,
  LOAD_FAILED: 11,
  BAD_FRAME: 20,
  BAD_SIGNATURE: 21,
  BAD_HANDSHAKE: 22,
  BAD_AUTHORITY: 23,
  VERSION_MISMATCH: 24,
  NETWORK_MISMATCH: 25,
  CLOCK_SKEW: 26,
  STALE_RECORD: 27,
  REPLACED: 28,
  DUPLICATE_NODE: 29,
  EQUIVOCATION: 30,
  FORGED_RECORD: 31,
  TOO_LARGE: 40,
  TOO_MANY: 41,
  RATE_LIMITED: 42,
  MESH_FULL: 43,
  REFUSED: 44,
  PEER_UNKNOWN: 60,
  MOVED: 61,
  HOME_UNREACHABLE: 62,
  NO_HOME: 63,
  TIMEOUT: 64,
  GLARE: 65,
  RTC_FAILED: 66,
  PEER_LEFT: 67,
  GOING_AWAY: 68,
  MEDIA_NEEDS_RTC: 69,
}

const CODES = new Map(Object.entries(CODE_NUMBERS).map(([code, n]) => [n, code as ErrorCode]))

/** The code of a number from the wire; a number of a later version reads as `INTERNAL`. */
export function codeOfNumber(number: number): ErrorCode {
  return CODES.get(number) ?? 'INTERNAL'
}

/**
 * What every failure of this package is. `message` names the action and the value, and says what to
 * do where that is known; `code` is for programs.
 */
export class SignalMeshError extends Error {
  override readonly name: string = 'SignalMeshError'
  readonly code: ErrorCode
  /** How long to wait before trying again, where the other side said so. */
  readonly retryAfterMs: number | undefined
  /** What proves the point, such as the newer record that makes another stale. */
  readonly evidence: Uint8Array | undefined

  constructor(
    code: ErrorCode,
    message: string,
    options: { cause?: unknown; retryAfterMs?: number; evidence?: Uint8Array } = {},
  ) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause })
    this.code = code
    this.retryAfterMs = options.retryAfterMs
    this.evidence = options.evidence
  }
}

/** Whether a home itself is to blame, whoever passed its words on. */
export function isHomesFault({ code }: SignalMeshError): boolean {
  return code === 'EQUIVOCATION' || code === 'FORGED_RECORD'
}

/** The error itself if it is ours, else one of `code` with it as the cause. */
export function asMeshError(error: unknown, code: ErrorCode = 'INTERNAL'): SignalMeshError {
  if (error instanceof SignalMeshError) return error
  const text = error instanceof Error ? error.message : String(error)
  return new SignalMeshError(code, text, { cause: error })
}
