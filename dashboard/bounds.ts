/** Bounds of the page: what nodes say is drawn up to here, and what is more is counted. */

/** Letters of a name, a version or a runtime. */
export const TEXT_CHARS = 64
/** Letters of a URL. */
export const URL_CHARS = 128
/** Nodes that the page keeps; a node keeps no more homes (src/limits.ts, MAX_HOMES). */
export const KEPT_NODES = 4_096
/** Rows of a table: more than these take a browser longer than a blink. */
export const SHOWN_ROWS = 500
/** Nodes up to which each has its card in sight; of more, the chosen one has. */
export const SHOWN_CARDS = 12
/** Nodes and lines in the drawing. */
export const DRAWN_NODES = 1_000
export const DRAWN_LINKS = 6_000
/** Items of a list in a report; a node's own bounds are as large or smaller. */
export const LISTED = 64
export const KEPT_EVENTS = 128
/** Samples in a sparkline: five minutes, one each second. */
export const KEPT_SAMPLES = 300
/** Samples of one node: ten minutes, one each heartbeat. */
export const NODE_SAMPLES = 60
/** Ways there and back from which a link is called slow, and bad: what an ocean takes, and what people notice. */
export const SLOW_MS = 150
export const BAD_MS = 400
/** A clock this far off is shown as off. */
export const CLOCK_OFF_MS = 2_000
/** Bytes of a recording that the page reads. */
export const RECORDING_BYTES: number = 16 * 1024 * 1024
/** How often the page draws anew while news come. */
export const DRAW_EVERY_MS = 250
/** Waits before it connects again: each twice the one before. */
export const AGAIN_FIRST_MS = 1_000
export const AGAIN_MOST_MS = 30_000
/** How often the operator's part is asked for. */
export const ADMIN_EVERY_MS = 2_000
