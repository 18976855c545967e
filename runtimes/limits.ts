/** Bounds of the adapters: what a socket may take before any of our protocol is spoken on it. */

const KIB = 1024
const SECOND_MS = 1000

/** All headers of one request; cookies of other programs on the same host come along. */
export const MAX_HEADER_BYTES: number = 16 * KIB
/** Headers of one request. */
export const MAX_HEADERS = 100
/** A request's headers must be there by then: slow senders do not hold sockets. */
export const HEADERS_TIMEOUT_MS: number = 10 * SECOND_MS
/** A whole request must be there by then; nothing that is served here reads a body. */
export const REQUEST_TIMEOUT_MS: number = 15 * SECOND_MS
/** An HTTP connection without a request is kept for this long, and a second more, which Node adds. */
export const KEEP_ALIVE_MS: number = 5 * SECOND_MS
/** How often the time-outs above are looked at. */
export const TIMEOUT_CHECK_MS: number = 2 * SECOND_MS
/** A TLS handshake must be done by then. */
export const TLS_HANDSHAKE_MS: number = 10 * SECOND_MS
/** Fragments of one WebSocket message; browsers send one. */
export const MAX_FRAGMENTS = 64
/** Pieces in which one message may arrive: 64 KiB in segments of 1,460 bytes is 45. */
export const MAX_CHUNKS = 1_024
/** The other end must have answered a close by then, or the socket is cut. */
export const CLOSE_TIMEOUT_MS: number = 2 * SECOND_MS
/** A listener that stops waits for its sockets for at most this long. */
export const STOP_MS = 300
/** A swarm that stops takes its announcement back for at most this long. */
export const LEAVE_MS = 400
/** From the first signal to the exit, at most; the promise is two seconds. */
export const EXIT_MS = 1_900
/** One Ctrl-C under npm arrives twice, from the terminal and from npm, which passes it on. */
export const SIGNAL_ECHO_MS = 150
/** How often a program that npm started looks whether its parent is still there. */
export const PARENT_CHECK_MS = 300

/** First step between looks for other nodes; nodes that start at once miss each other. */
export const LOOK_FIRST_MS = 250
/** The longest step: a node that is alone finds others within a minute. */
export const LOOK_MAX_MS: number = 60 * SECOND_MS
/** Looks after the first that are made even when links are there: 0.25 to 16 s. */
export const LOOKS_AT_START = 7
/** A DHT bootstrap that has not answered by then is reported. */
export const DHT_ANSWERS_MS: number = 3 * SECOND_MS
/** A dial between two nodes has come to its end by then; the other's would only cross it. */
export const DIAL_SETTLES_MS: number = 3 * SECOND_MS

/** A child process says that it is ready by then; a busy machine starts several at once. */
export const START_TIMEOUT_MS: number = 20 * SECOND_MS
/** A child process that was asked to end is killed after this long; it promised two seconds. */
export const STOP_TIMEOUT_MS: number = 3 * SECOND_MS
/** The nodes of a testnet have all found each other by then. */
export const LINKED_TIMEOUT_MS: number = 30 * SECOND_MS
/** How often a testnet asks its nodes for their neighbours. */
export const LINKED_CHECK_MS = 100
