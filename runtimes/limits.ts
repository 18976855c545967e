/** Bounds of the adapters: what a socket may take before any of our protocol is spoken on it. */

const KIB = 1024
const SECOND_MS = 1000

/** All headers of one request; cookies of other programs on the same host come along. */
export const MAX_HEADER_BYTES: number = 16 * KIB
/** Headers of one request. */
export const MAX_HEADERS = 100
/** Body of a request, which nothing here reads; who sends more is told so. */
export const MAX_BODY_BYTES: number = 1024 * KIB
/** Answers that wait for who reads them, in all; an address has a fourth. The whole mesh at its bounds is 45 MiB. */
export const MAX_ANSWERS_BYTES: number = 128 * 1024 * KIB
/** Answers up to here are not counted, the bundles among them: a socket's own buffer takes them. */
export const MAX_FREE_ANSWER_BYTES: number = 256 * KIB
/** An answer has been read by then: the largest page of these takes 20 kbit/s. */
export const ANSWER_TIMEOUT_MS: number = 120 * SECOND_MS
/** What a node tells of the whole mesh to a command: thousands of nodes, each with all its links. */
export const MAX_VIEW_BYTES: number = 32 * 1024 * KIB
/** What Bun queues on one socket before it drops frames: far above where a node closes it. */
export const MAX_BACKLOG_BYTES: number = 64 * 1024 * KIB
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
/** How often the files of certificate and key are read again: renewed ones are there long before they are needed. */
export const TLS_CHECK_MS: number = 10 * SECOND_MS
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
/** How long a node that is told to stop waits for its edges to move, unless told otherwise; a standby takes one on in less. */
export const DRAIN_MS: number = 1 * SECOND_MS
/** From the first signal to the exit, at most, unless edges are given longer to move; the promise is two seconds. */
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
/** Names of others that are looked up at once: half of the threads that Node has for this and for files. */
export const MAX_LOOKUPS = 2
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

/** Sockets of DHT relaying in all: each costs its relay a place on the DHT and up to 2 MiB that wait. */
export const MAX_RELAY_CONNECTIONS = 64
/** And from one address: the nodes of a small office, and an eighth of all. */
export const MAX_RELAY_CONNECTIONS_PER_ADDRESS = 8
/** Connections to other nodes through one such socket: as many as a node has neighbours. */
export const MAX_RELAY_STREAMS = 64
/** Looks on the DHT under way for one client; a node has one at a time, and one that it gave up. */
export const MAX_RELAY_QUERIES = 4
/** Dials and looks that a client begins per second, in the mean; each costs the DHT some 20 packets. */
export const RELAY_DIALS_PER_SECOND = 4
/** And at once: a node that starts dials half of its neighbours, and looks now and then. */
export const RELAY_DIALS_BURST = 64
/** Bytes per second, each way: what a mesh of a million edges says. */
export const RELAY_BYTES_PER_SECOND: number = 1024 * KIB
/** And at once: the directory of some ten thousand edges. */
export const RELAY_BYTES_BURST: number = 4 * 1024 * KIB
/** Bytes above the rate that wait for it, each way; a client that has more is closed. */
export const MAX_RELAY_WAITING_BYTES: number = 1024 * KIB
/** Largest frame of DHT relaying: one of a link at its largest, with what encloses it. */
export const MAX_RELAY_FRAME_BYTES: number = 128 * KIB
/** Bytes on their way to the relay's process; above this it is stuck, and ended. */
export const MAX_RELAY_BACKLOG_BYTES: number = 32 * 1024 * KIB
/** A client that says nothing for so long is gone: it answers the relay's pings, one every 15 s. */
export const RELAY_IDLE_MS: number = 60 * SECOND_MS
/** An address whose frame has ended the relay's process is kept out for this long. */
export const RELAY_BAN_MS: number = 600 * SECOND_MS
/** Addresses that are kept out; the longest banned is let in again for one more. */
export const MAX_RELAY_BANS = 1_024
/** Heap of the relay's process: twice what it takes at its bounds. */
export const RELAY_HEAP_MIB = 256
/** The first wait before the relay's process is started again. */
export const RELAY_RESTART_FIRST_MS = 250
/** And the longest. */
export const RELAY_RESTART_MAX_MS: number = 30 * SECOND_MS
/** A relay that has lived for so long is well: the waits begin anew, at either end. */
export const RELAY_STEADY_MS: number = 60 * SECOND_MS
/** A relay has made its client known on the DHT by then, or another one is tried. */
export const RELAY_ANSWERS_MS: number = 8 * SECOND_MS
/** The first wait before the next relay is tried. */
export const RELAY_RETRY_FIRST_MS = 500
/** The longest wait, once none has answered often. */
export const RELAY_RETRY_MAX_MS: number = 60 * SECOND_MS
/** Relays that a node may be given. */
export const MAX_RELAYS = 16
/** Registries, domains and name servers that a node may be given, of each. */
export const MAX_SOURCES = 8
/** A registry or name server has answered whole by then, a slow one included. */
export const SOURCE_TIMEOUT_MS: number = 10 * SECOND_MS
/** How often a source is asked again: a mesh of thousands asks a registry a few times a second. */
export const SOURCE_REFRESH_MS: number = 600 * SECOND_MS
/** The first wait after a source gave no list; it doubles up to the above. */
export const SOURCE_RETRY_MS: number = 2 * SECOND_MS
/** How soon names of DHT nodes are looked up again that led nowhere, or where this node may not go. */
export const NAMES_AGAIN_MS: number = 60 * SECOND_MS
/** How often a node notes who its neighbours are, for its next start. */
export const REMEMBER_MS: number = 10 * SECOND_MS
/** How often a node asks for others in its local network, after three times at the start. */
export const LAN_ASK_MS: number = 20 * SECOND_MS
/** Answers to the local network: one in a second, as RFC 6762, section 6, has it. */
export const LAN_ANSWER_MS: number = 1 * SECOND_MS
/** Who has not answered for so long, three questions, is not there any more. */
export const LAN_GONE_MS: number = 3 * LAN_ASK_MS
/** Nodes of the local network that are remembered. */
export const MAX_LAN_NODES = 64
