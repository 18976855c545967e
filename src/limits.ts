/** Every bound of the system in one table: its number, its unit, its reason. */

const KIB = 1024
const SECOND_MS = 1000
const MINUTE_MS = 60 * SECOND_MS
const HOUR_MS = 60 * MINUTE_MS

// --- sizes ---

/** Largest frame on any link; twice the largest signal, so that headers never decide. */
export const MAX_FRAME_BYTES: number = 64 * KIB
/** Largest signal payload; a description with 20 media sections takes about 20 KiB. */
export const MAX_SIGNAL_BYTES: number = 32 * KIB
/** Largest Noise message (Noise specification, section 3); noise-protocol does not check it. */
export const MAX_NOISE_BYTES: number = 65_535
/** Largest signed record; a presence takes about 250 bytes, an advert about 500 with `info`. */
export const MAX_RECORD_BYTES: number = 4 * KIB
/** Largest signed batch of a home's log: about 60 adverts, and half a frame. */
export const MAX_BATCH_BYTES: number = 32 * KIB
/** Largest signed head; each node multicasts one every heartbeat. */
export const MAX_HEAD_BYTES: number = 2 * KIB
/** Largest extension area of a signed structure. */
export const MAX_EXTENSION_BYTES: number = 256
/** Largest sealed `info` of an advert: 256 bytes of the application and its seal. */
export const MAX_INFO_BYTES: number = 256 + 16
/** Largest page of a snapshot, so that it fits a frame with its header. */
export const MAX_PAGE_BYTES: number = 48 * KIB
/** Largest message on a connection; what Chromium and Firefox take in one piece. */
export const MAX_MESSAGE_BYTES: number = 256 * KIB
/** Longest topic or network name; room for any path or sentence. */
export const MAX_NAME_BYTES: number = 1 * KIB
/** Longest reason given when a link is closed: a WebSocket close frame holds 123 bytes. */
export const MAX_REASON_BYTES: number = 120
/** Most public URLs that a node names in its contact block. */
export const MAX_CONTACT_URLS: number = 4
/** Longest URL in a contact block. */
export const MAX_URL_BYTES: number = 256

// --- counts ---

/** Frames that wait for a link's first subscriber. */
export const MAX_EARLY_FRAMES: number = 64
/** Messages that wait on a connection for the first to listen. */
export const MAX_EARLY_MESSAGES: number = 1_024
/** Topics that one edge may advertise. */
export const MAX_TOPICS_PER_EDGE: number = 64
/** Topics that one edge may watch. */
export const MAX_WATCHES_PER_EDGE: number = 64
/** Edges at home with one node; 25,000 idle edges take about 300 MB. */
export const MAX_EDGES: number = 25_000
/** Edges from one address (IPv6: one /64); a school or an office behind one NAT. */
export const MAX_EDGES_PER_ADDRESS: number = 512
/** Records of one home: every edge's presence and a few adverts each. */
export const MAX_RECORDS_PER_HOME: number = 100_000
/** Records of all homes in one directory; about 600 bytes each. */
export const MAX_RECORDS: number = 1_000_000
/** Homes in one directory. */
export const MAX_HOMES: number = 4_096
/** Links to other nodes; Hyperswarm's own default for peers. */
export const MAX_NEIGHBOURS: number = 64
/** Links that have not proved a NodeId yet. */
export const MAX_LINK_HANDSHAKES: number = 64
/** Changes in one batch of a log. */
export const MAX_OPS_PER_BATCH: number = 256
/** Batches that a home keeps for those who missed some; older needs are met by a snapshot. */
export const MAX_KEPT_BATCHES: number = 256
/** And how many bytes of them, about 2,000 changes: 4,096 hostile homes cost 2 GiB at most. */
export const MAX_KEPT_BATCHES_BYTES: number = 512 * KIB
/** Peers in one discover answer. */
export const MAX_DISCOVER: number = 50
/** Peers in the sample of a node's first answer. */
export const MAX_SAMPLE: number = 8
/** Nodes named to an edge as other homes. */
export const MAX_OTHER_HOMES: number = 8
/** Requests that one link has open in each direction. */
export const MAX_REQUESTS_IN_FLIGHT: number = 256
/** Broadcast packets remembered as seen, and for how long: more than can be under way at once. */
export const MAX_SEEN_PACKETS: number = 20_000
export const SEEN_PACKETS_MS: number = 60_000
/** Snapshots kept while somebody pulls them page by page. */
export const MAX_KEPT_SNAPSHOTS: number = 4
/** Signals that wait for one link to be dialled. */
export const MAX_SIGNALS_PER_DIAL: number = 256
/** Callers remembered by the presence that they showed, until gossip has brought it. */
export const MAX_CALLERS: number = 4_096
/** Times that a node goes above a later life of its own; more, and somebody else lives it now. */
export const MAX_RISES: number = 3
/** Homes that are being dialled at once. */
export const MAX_DIALS: number = 32
/** Connection attempts that an edge has open at once. */
export const MAX_ATTEMPTS: number = 256
/** Calls remembered as over, so that a replayed opening signal asks nobody again. */
export const MAX_ENDED_CALLS: number = 4_096
/** How far behind the newest counter a sealed signal may come (RFC 6479 uses the same idea). */
export const SIGNAL_WINDOW: number = 1_024
/** Sealed signals that wait for their keys. */
export const MAX_WAITING_SIGNALS: number = 64
/** Forged second messages that an attempt ignores before it gives up. */
export const MAX_BAD_SIGNALS: number = 16
/** Nodes that a signal may pass after the sender's home: the target's home, and one spare. */
export const MAX_HOPS: number = 2

// --- rates ---

/** Signals per second that one edge may send, and the burst: 20 connects with 20 candidates. */
export const SIGNALS_PER_SECOND: number = 100
export const SIGNALS_BURST: number = 400
/** Opening signals per second from one edge to one home's edges, and the burst. */
export const OPENS_PER_SECOND: number = 10
export const OPENS_BURST: number = 50
/** Requests per second that one edge may make, and the burst. */
export const REQUESTS_PER_SECOND: number = 20
export const REQUESTS_BURST: number = 200

// --- buffers ---

/** A slow reader is closed above this many queued bytes: 16 of the largest frames. */
export const MAX_BUFFERED_BYTES: number = 1024 * KIB

// --- times ---

/** An edge's proof, or a node's handshake, must be complete by then. */
export const EDGE_PROOF_MS: number = 10 * SECOND_MS
export const LINK_HANDSHAKE_MS: number = 5 * SECOND_MS
/** A link that was silent for this long is asked for a sign of life; NATs forget after 30 s. */
export const PING_AFTER_MS: number = 20 * SECOND_MS
/** A link that stayed silent for this long is closed: two pings went unanswered. */
export const SILENT_AFTER_MS: number = 3 * PING_AFTER_MS
/** How often a node multicasts its signed head when nothing changes. */
export const HEARTBEAT_MS: number = 10 * SECOND_MS
/** A home not heard of for this long has left, with its edges: three heartbeats and a half. */
export const HOME_EXPIRES_MS: number = 35 * SECOND_MS
/** Changes are gathered for this long before a batch is signed. */
export const BATCH_AFTER_MS: number = 20
/** An edge's records live for this long unless signed again. */
export const RECORD_TTL_MS: number = 2 * HOUR_MS
/** An edge signs its records again after about this long. */
export const RECORD_RENEW_MS: number = 1 * HOUR_MS
/** Longest life that a record may claim. */
export const MAX_RECORD_TTL_MS: number = 24 * HOUR_MS
/** How far ahead of this node's clock a record's `seq` may be. */
export const MAX_SKEW_MS: number = 10 * MINUTE_MS
/** A request between nodes, or of an edge to its home, is answered by then. */
export const REQUEST_TIMEOUT_MS: number = 10 * SECOND_MS
/** A pull of one home ends by then, so that a slow neighbour keeps no other from serving it. */
export const PULL_TIMEOUT_MS: number = 2 * MINUTE_MS
/** A node that is pulling a home itself lets a neighbour's pull wait for at most this long. */
export const PULL_WAIT_MS: number = 2 * SECOND_MS
/** A link to a target's home is dialled for at most this long. */
export const DIAL_TIMEOUT_MS: number = 8 * SECOND_MS
/** A node that could not be dialled is not tried again for this long. */
export const DIAL_RETRY_MS: number = 5 * SECOND_MS
/** An edge that found no home by then gives up joining. */
export const JOIN_TIMEOUT_MS: number = 30 * SECOND_MS
/** A connection attempt ends by then, unless the caller says otherwise. */
export const CONNECT_TIMEOUT_MS: number = 30 * SECOND_MS
/** A signal not acknowledged by then is sent again, the same bytes. */
export const RESEND_AFTER_MS: number = 2 * SECOND_MS
/** A refused call is kept for this long, so that a lost refusal can be said again. */
export const LINGER_MS: number = 6 * SECOND_MS
/** How often it is sent again. */
export const MAX_RESENDS: number = 4
/** First and last step of an edge's back-off between homes. */
export const BACKOFF_FIRST_MS: number = 250
export const BACKOFF_MAX_MS: number = 15 * SECOND_MS
/** A stopping node waits for its goodbyes for at most this long. */
export const SHUTDOWN_MS: number = 1_500
