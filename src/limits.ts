/** Every bound of the system in one table: its number, its unit, its reason. */

const KIB = 1024
const SECOND_MS = 1000
const MINUTE_MS = 60 * SECOND_MS
const HOUR_MS = 60 * MINUTE_MS

// --- sizes ---

/** A node's first frame: samples of 8 edges with all that their records may hold take 9 KiB. */
export const MAX_HELLO_BYTES: number = 16 * KIB
/** Largest frame on any link; twice the largest signal, so that headers never decide. */
export const MAX_FRAME_BYTES: number = 64 * KIB
/** Largest frame of a session in a shared socket, whose own frames hold its number beside it. */
export const MAX_SESSION_FRAME_BYTES: number = MAX_FRAME_BYTES - 5
/** Longest query that opens a session in a shared socket: four topics, an edge and a flag take 345. */
export const MAX_QUERY_BYTES = 512
/** Largest signal payload; a description with 20 media sections takes about 20 KiB. */
export const MAX_SIGNAL_BYTES: number = 32 * KIB
/** Largest Noise message (Noise specification, section 3); noise-protocol does not check it. */
export const MAX_NOISE_BYTES: number = 65_535
/** Largest signed batch of a home's log: about 60 adverts, and so that two fit a frame as a proof. */
export const MAX_BATCH_BYTES: number = 31 * KIB
/** Largest proof that a home lies: two of its batches, each behind its kind and its length. */
export const MAX_PROOF_BYTES: number = 2 * MAX_BATCH_BYTES + 7
/** Largest signed head, one of each node in every heartbeat; with a full contact block it takes 1,741 bytes. */
export const MAX_HEAD_BYTES: number = 2 * KIB
/** Largest extension area of a signed structure. */
export const MAX_EXTENSION_BYTES: number = 256
/** Largest sealed `info` of an advert: 256 bytes of the application and its seal. */
export const MAX_INFO_BYTES: number = 256 + 16
/** Largest signed record: what an advert takes whose `info` and extensions are full; a presence takes less. */
export const MAX_RECORD_BYTES: number = 145 + MAX_INFO_BYTES + MAX_EXTENSION_BYTES
/** Largest page of a snapshot, so that it fits a frame with its header. */
export const MAX_PAGE_BYTES: number = 48 * KIB
/** Largest message on a connection, which is put together in memory; larger things are streams. */
export const MAX_MESSAGE_BYTES: number = 16 * KIB * KIB
/** Largest part of a message in a data channel, as RFC 8831, section 6.6 advises; a larger one holds up others. */
export const CHANNEL_PART_BYTES: number = 16 * KIB
/** Largest frame that homes carry between two edges: a part of a message, sealed, behind its header. */
export const MAX_CARRIED_BYTES: number = CHANNEL_PART_BYTES + KIB
/** Largest frame of an application between nodes: a part of a message behind its header, as of one that is carried. */
export const MAX_APP_FRAME_BYTES: number = CHANNEL_PART_BYTES + KIB
/** Largest message of an application between nodes: 256 KiB of a stream take up to 1 MiB as Moleculer's JSON. */
export const MAX_APP_MESSAGE_BYTES: number = 2 * KIB * KIB
/** Longest name of an application between nodes: `MOL-` and a namespace of Moleculer's. */
export const MAX_APP_NAME_BYTES = 64
/** Longest topic or network name; room for any path or sentence. */
export const MAX_NAME_BYTES: number = 1 * KIB
/** Most bytes that an application says along with a call: a name, a picture's address, a token. */
export const MAX_METADATA_BYTES: number = 4 * KIB
/** Most bytes of what two edges say about a relay: its node's key, a URL and a ticket. */
export const MAX_RELAY_BYTES: number = 1 * KIB
/** What an edge tells a peer of its own network: it has some 30 bytes, and there is room for later fields. */
export const MAX_FACTS_BYTES = 128
/** Error codes of TURN servers that it names: a server refuses for one reason, and there are two or three. */
export const MAX_FACTS_CODES = 4
/** Longest name of a media section, and four times the letters of a reason that one edge gives another. */
export const MAX_TEXT_BYTES: number = 512
/** Longest sentence of an error, and four times the letters that are sent of one: a letter takes up to four bytes. */
export const MAX_ERROR_TEXT_BYTES: number = 1 * KIB
/** Longest reason given when a link is closed: a WebSocket close frame holds 123 bytes. */
export const MAX_REASON_BYTES: number = 120
/** Most public URLs that a node names in its contact block. */
export const MAX_CONTACT_URLS: number = 4
/** Most neighbours that a node names as ways to it: enough to lose two. */
export const MAX_VIAS: number = 3
/** Longest URL in a contact block. */
export const MAX_URL_BYTES: number = 256
/** Longest name of a runtime in a head; the names that there are have four letters. */
export const MAX_RUNTIME_BYTES = 16
/** Largest report of a node on itself, with each heartbeat; with 64 neighbours and every text full it takes 1,918 bytes. */
export const MAX_REPORT_BYTES: number = 2 * KIB + 512
/** Longest name that an operator gives a node; it stands on a card of a page. */
export const MAX_NODE_NAME_BYTES = 64
/** Longest version of a program or runtime in a report. */
export const MAX_VERSION_BYTES = 32
/** Homes that a report names as those that its node is behind: more than a few means that all are. */
export const MAX_REPORTED_BEHIND = 16
/** Homes whose runtime is shown at `/health`, which is asked for every few seconds: 5 KB of it. */
export const MAX_RUNTIMES_SHOWN = 64

/** Largest STUN request that is read: a binding request takes 20 bytes, one with all that RFC 8489 knows some 300. */
export const MAX_STUN_BYTES = 548
/** Longest `host:port` of a STUN server in a contact block: real names are far shorter. */
export const MAX_STUN_AT_BYTES = 128
/** Longest URL, user name or credential of a server for ICE. */
export const MAX_ICE_TEXT_BYTES = 160

// --- counts ---

/** Frames that wait for a link's first subscriber, who comes within a turn or two. */
export const MAX_EARLY_FRAMES: number = 64
/** Topics that one edge may advertise: an advert is about 300 bytes on every node of the mesh. */
export const MAX_TOPICS_PER_EDGE: number = 64
/** Topics that one edge may watch: each change of one is a frame to every watcher. */
export const MAX_WATCHES_PER_EDGE: number = 64
/** Versions of the protocol in a hello: a node speaks two while others change over. */
export const MAX_VERSIONS: number = 16
/** Networks in a hello, which names one today; and those that one process serves side by side. */
export const MAX_NETWORKS: number = 16
/** Homes in a presence: one today, and room for two more, so that an edge may have spare ones. */
export const MAX_HOMES_NAMED: number = 3
/** Edges at home with one node; 25,000 idle edges take about 300 MB. */
export const MAX_EDGES: number = 25_000
/** Sockets at one node that are ready for edges at home elsewhere, about 16 KiB each: 200 MB. */
export const MAX_STANDBYS: number = MAX_EDGES / 2
/** Edges from one address (IPv6: one /64), as many standbys and shared sockets; a school or an office behind one NAT. */
export const MAX_EDGES_PER_ADDRESS: number = 512
/** Sessions in one shared socket: one for each tab that somebody has open of an origin; a browser with more opens another. */
export const MAX_SESSIONS_PER_SOCKET = 64
/** Records of one home: every edge's presence and a few adverts each. */
export const MAX_RECORDS_PER_HOME: number = 100_000
/** Records of one home in one of its 256 buckets, each hashed anew for a change: five times the mean of a full home. */
export const MAX_RECORDS_PER_BUCKET: number = 2 * KIB
/** Records of all homes in one directory; about 600 bytes each. */
export const MAX_RECORDS: number = 1_000_000
/** Bytes of all records in one directory: as many records at the 540 bytes that they usually take. */
export const MAX_DIRECTORY_BYTES: number = 512 * KIB * KIB
/** Bytes of one home's records: as many records at 670 bytes each. */
export const MAX_BYTES_PER_HOME: number = 64 * KIB * KIB
/** Different topics in one directory; each costs some 300 bytes beside its records. */
export const MAX_TOPICS: number = 500_000
/** Records that a home unknown to the list may have at first, where room is scarce: 1,000 edges. */
export const FIRST_RECORDS_PER_HOME: number = 4 * KIB
/** The part of every total that only listed homes may fill. */
export const RESERVED_SHARE: number = 1 / 4
/** Homes in one directory: a head of each in ten seconds is 400 a second to take in and pass on. */
export const MAX_HOMES: number = 4_096
/** Nodes in an allow-list. */
export const MAX_MEMBERS: number = MAX_HOMES
/** A registry's whole answer: as many records as an allow-list has nodes, of a KiB each. */
export const MAX_REGISTRY_BYTES: number = 4 * KIB * KIB
/** Attributes of one record of a registry; ours have six, and others share the type. */
export const MAX_RECORD_ATTRIBUTES = 64
/** One text of such a record: a URL is the longest, or all of it as one text of JSON. */
export const MAX_RECORD_TEXT_BYTES: number = 4 * KIB
/** The text of one TXT record: four fields at their longest take 700 bytes. */
export const MAX_TXT_BYTES: number = 1 * KIB
/** Records taken of one source, as one of them will do. */
export const MAX_TAKEN = 5
/** The kept lists of all sources: what they have answered, in short. */
export const MAX_KEPT_BYTES: number = 16 * KIB * KIB
/** Neighbours remembered by their URLs over a restart. */
export const MAX_REMEMBERED_URLS = 8
/** Links to other nodes; Hyperswarm's own default for peers. */
export const MAX_NEIGHBOURS: number = 64
/** Of these, links that unlisted nodes dialled: half, so that strangers can never take all. */
export const MAX_INCOMING: number = MAX_NEIGHBOURS / 2
/** Links to unlisted nodes of one address group: a provider's rack, and an eighth of all. */
export const MAX_LINKS_PER_GROUP: number = 8
/** Neighbours whose rates and conduct are remembered: who comes back finds what it left, unless so many came meanwhile. */
export const MAX_REMEMBERED: number = 16 * MAX_NEIGHBOURS
/** Links that have not proved a NodeId yet. */
export const MAX_LINK_HANDSHAKES: number = 64
/** Of these, incoming ones, so that strangers who say nothing leave room for own dials. */
export const MAX_INCOMING_HANDSHAKES: number = MAX_LINK_HANDSHAKES / 2
/** Neighbours remembered over a restart; two, as Bitcoin Core does. */
export const MAX_ANCHORS: number = 2
/** Pages and programs that watch the mesh at one node: each is told of every report, some 200 KB in 10 s for 300 nodes. */
export const MAX_WATCHERS = 64
/** Of one address (IPv6: one /64): an operator's screens. */
export const MAX_WATCHERS_PER_ADDRESS = 8
/** Edges that the operator of a node is shown at once; there may be 25,000. */
export const MAX_EDGES_SHOWN = 500
/** What has happened in the mesh lately, for who begins to watch: a screen or two. */
export const MAX_EVENTS = 128
/** Homes kept out because they lied; beyond that the longest kept out comes back early. */
export const MAX_QUARANTINED: number = 1_024
/** Of so many edges' signatures that a home brings, one is checked at once, drawn at random. */
export const AUDIT_ONE_IN: number = 64
/** Pulls that one neighbour may spoil before it is asked for no more for a while. */
export const MAX_SPOILED_PULLS: number = 3
/** What an edge may count up from its last presence if clocks say otherwise: all adverts, 16 times. */
export const MAX_SEQ_STEP: number = 16 * MAX_TOPICS_PER_EDGE
/** Changes in one batch of a log: more than 20 ms bring, and checked in some 20 ms. */
export const MAX_OPS_PER_BATCH: number = 256
/** Batches that a home keeps for those who missed some; older needs are met by a snapshot. */
export const MAX_KEPT_BATCHES: number = 256
/** And how many bytes of them, about 2,000 changes: 4,096 hostile homes cost 2 GiB at most. */
export const MAX_KEPT_BATCHES_BYTES: number = 512 * KIB
/** Peers in one discover answer: more than a page calls, and two thirds of a frame. */
export const MAX_DISCOVER: number = 50
/** Peers in the samples of a node's first frame, of all topics named together. */
export const MAX_SAMPLE: number = 8
/** Topics that an edge names when it dials; each takes 67 characters of the URL. */
export const MAX_NAMED_TOPICS: number = 4
/** Nodes named to an edge as other homes: one of eight is up when most have gone. */
export const MAX_OTHER_HOMES: number = 8
/** Requests that one link has open in each direction: pulls of as many homes at once. */
export const MAX_REQUESTS_IN_FLIGHT: number = 256
/** Broadcast packets remembered as seen: more than can be under way at once. */
export const MAX_SEEN_PACKETS: number = 20_000
/** Milliseconds for which they are remembered; no packet is on its way through a mesh for longer. */
export const SEEN_PACKETS_MS: number = 60_000
/** Hashes in one word of the tree; more packets than a mesh of the most homes makes while they are gathered. */
export const MAX_HASHES_PER_WORD: number = 128
/** Packets that one neighbour has and this node has not, waited for at once: one word's. */
export const MAX_MISSING_PER_NEIGHBOUR: number = MAX_HASHES_PER_WORD
/** Pulls of homes that go on over several pages, at once; others wait for their second page. */
export const MAX_LONG_PULLS: number = 8
/** Of these, from one neighbour, so that slow ones do not hold up what others serve. */
export const MAX_LONG_PULLS_PER_NEIGHBOUR: number = MAX_LONG_PULLS / 4
/** Snapshots kept while somebody pulls them page by page; each may be a home's 64 MiB. */
export const MAX_KEPT_SNAPSHOTS: number = 4
/** Signals that wait for one link to be dialled: a dozen connects with 20 candidates each. */
export const MAX_SIGNALS_PER_DIAL: number = 256
/** Links that a node keeps up because signals asked for them, besides those of its swarm's choice. */
export const MAX_ON_DEMAND_LINKS: number = 32
/** Signals to other homes held until a word about them may have come. */
export const MAX_HELD_SIGNALS: number = 4_096
/** Edges remembered by a presence that was shown before gossip has brought it. */
export const MAX_CALLERS: number = 4_096
/** Senders, targets, nodes and addresses remembered for their rates: twice this, of each. */
export const MAX_COUNTED: number = 10_000
/** Times that a node goes above a later life of its own; more, and somebody else lives it now. */
export const MAX_RISES: number = 3
/** Nodes named by flag: three would do, and a bootstrap list has no more than this. */
export const MAX_PEERS: number = 32
/** Links that a node dials by URL of its own accord: enough to lose most of them, and few for a small mesh. */
export const MIN_DIALLED: number = 8
/** Homes that are being dialled by URL at once, each of them at one URL. */
export const MAX_URL_DIALS: number = 16
/** Homes that are being dialled at once; each is a DHT look-up with its packets. */
export const MAX_DIALS: number = 32
/** Of these, dials that one edge's signals began: it can name homes that nobody can reach. */
export const MAX_DIALS_PER_EDGE: number = 4
/** And those of one address (IPv6: one /64), which has as many PeerIds as it likes: a quarter. */
export const MAX_DIALS_PER_ADDRESS: number = MAX_DIALS / 4
/** Connection attempts that an edge has open at once; browsers allow about 500 RTC connections. */
export const MAX_ATTEMPTS: number = 256
/** Presences that an edge keeps so that it calls without asking: as many as it may have calls, 0.3 KiB each. */
export const MAX_KNOWN_PRESENCES = 512
/** Answers of WebCrypto that nobody has asked for yet: what is beyond is computed again. */
export const MAX_NATIVE_ANSWERS = 256
/** Key pairs that are set aside for handshakes under way: twice the calls that an edge may have. */
export const MAX_NATIVE_PAIRS = 128
/** Frames that wait for WebCrypto: with more of them, none waits. */
export const MAX_NATIVE_FRAMES = 64
/** Calls at one edge, its own and those of others, open ones too; who calls then is told `TOO_MANY`. */
export const MAX_CALLS: number = 2 * MAX_ATTEMPTS
/** What a caller says while the application decides: an offer, and more candidates than any has. */
export const MAX_EARLY_ITEMS: number = 256
/** Homes that one request of an edge is put to before its caller hears of a failure: two may be stopping. */
export const MAX_REQUEST_TRIES: number = 3
/** Calls remembered as over, 32 bytes each, so that a replayed opening signal asks nobody again. */
export const MAX_ENDED_CALLS: number = 4_096
/** Sealed signals that wait for one before them: two full answers with their candidates. */
export const MAX_WAITING_SIGNALS: number = 64
/** Sealed signals of one connection that the other side has yet to acknowledge; an offer has 20 or so. */
export const MAX_UNACKED_SIGNALS: number = 256
/** Second messages that an attempt looks at, forged or not, each a key exchange of 1 ms. */
export const MAX_BAD_SIGNALS: number = 16
/** Pairs for which one node carries at once, 128 KiB each at most: 64 MiB. */
export const MAX_CARRIES = 512
/** Of these, for edges of one address (IPv6: one /64): four rooms of 16 whose network lets out nothing else. */
export const MAX_CARRIES_PER_ADDRESS = 64
/** And for one edge: a room of 16 of which none reaches another. */
export const MAX_CARRIES_PER_EDGE = 16
/** Carried frames that do not open before an edge gives the connection up: an honest home brings none. */
export const MAX_BAD_CARRIED = 16
/** Links that a signal may pass between nodes: to a via node, and from there to the target's home. */
export const MAX_HOPS: number = 2

// --- rates ---

/** Signals per second that one edge may send: five connects with 20 candidates each. */
export const SIGNALS_PER_SECOND: number = 100
/** Signals that it may send at once: 20 such connects, a page that comes into a full room. */
export const SIGNALS_BURST: number = 400
/** Opening signals per second from one edge to one home's edges: faster than anybody calls by hand. */
export const OPENS_PER_SECOND: number = 10
/** And at once: as many as one discover answer names. */
export const OPENS_BURST: number = 50
/** Opening signals per second to one edge, each about 1 ms of its work. */
export const TARGET_OPENS_PER_SECOND: number = 50
/** And at once: a full room that calls a newcomer. */
export const TARGET_OPENS_BURST: number = 200
/** Opening signals per second from one address (IPv6: one /64): 20 edges at their own rate. */
export const ADDRESS_OPENS_PER_SECOND: number = 200
/** And at once: a school whose pages all open with the bell. */
export const ADDRESS_OPENS_BURST: number = 2_000
/** Opening signals per second over one node's link, each perhaps a signature to check: 3 % of a core. */
export const NODE_OPENS_PER_SECOND: number = 500
/** And at once: four seconds of that. */
export const NODE_OPENS_BURST: number = 2_000
/** The same of those that it brings for other homes, which it could have made up. */
export const VIA_OPENS_PER_SECOND: number = 20
/** And at once: five seconds of that. */
export const VIA_OPENS_BURST: number = 100
/** Signals per second that a node passes on for one other, unpaid: two and a half connects. */
export const VIA_SIGNALS_PER_SECOND: number = 200
/** And at once: ten connects. */
export const VIA_SIGNALS_BURST: number = 800
/** First frames with samples per second to one address: each up to 9 KiB for who has proved nothing. */
export const SAMPLES_PER_SECOND: number = 10
/** And at once: to all edges that one address may have. */
export const SAMPLES_BURST: number = MAX_EDGES_PER_ADDRESS
/** Sessions per second that one shared socket may open: as many as the hellos that tell an address of topics. */
export const SESSION_OPENS_PER_SECOND: number = SAMPLES_PER_SECOND
/** And at once: each tab's, twice. */
export const SESSION_OPENS_BURST: number = 2 * MAX_SESSIONS_PER_SOCKET
/** Frames per second for sessions of a shared socket that are over: those were on their way. */
export const LATE_FRAMES_PER_SECOND: number = SIGNALS_PER_SECOND
/** And at once: what five sessions may send at once. */
export const LATE_FRAMES_BURST: number = 5 * SIGNALS_BURST
/** Requests per second that one edge may make: each is a look-up of microseconds. */
export const REQUESTS_PER_SECOND: number = 20
/** And at once: to advertise and watch as many topics as an edge may have, and discover in some. */
export const REQUESTS_BURST: number = 200
/** Records per second that a home takes of one edge, in all its sessions: each goes to every node of the mesh. */
export const EDGE_RECORDS_PER_SECOND: number = 2
/** And at once: four times its presence and as many adverts as it may have, for it comes and goes. */
export const EDGE_RECORDS_BURST: number = 4 * (1 + MAX_TOPICS_PER_EDGE)

/** STUN servers that a home names: one alone could lie unnoticed, and browsers slow down with five. */
export const MAX_STUN_OFFERED = 4
/** Servers for ICE that an edge takes of its home: so many of STUN, and as many URLs of TURN. */
export const MAX_ICE_SERVERS = 8
/** TURN URLs that a node names: UDP, TCP and TLS of one server, and one more. */
export const MAX_TURN_URLS = 4
/** Neighbours whose STUN a home tries in one heartbeat; it has 64 at most. */
export const MAX_STUN_PROBES = 8
/** Attributes that a STUN error names as not understood: so the answer stays near the size of the request. */
export const MAX_STUN_UNKNOWN = 4
/** STUN answers per second to one address group: a page asks once or twice for each connection. */
export const STUN_PER_SECOND: number = 20
/** And at once: the pages behind one carrier's address that start together. */
export const STUN_BURST: number = 200
/** Credentials of TURN per second for one address group: an edge asks for them each few minutes. */
export const TURN_PER_SECOND: number = 2
/** And at once: as many edges as one address may have, after their home has gone. */
export const TURN_BURST = 512
/** STUN answers per second in all: a core takes some ten times as many. */
export const STUN_TOTAL_PER_SECOND: number = 5_000
/** And at once: two seconds of that, after a standstill. */
export const STUN_TOTAL_BURST: number = 10_000

/** Wrong operator's tokens per second from one address group; a right one is never counted. */
export const ADMIN_TRIES_PER_SECOND = 1
/** And at once: somebody who looks for the right one among a few. */
export const ADMIN_TRIES_BURST = 10

/** Bytes per second that a node carries in all, unless told otherwise: a third of a 100 Mbit/s line. */
export const CARRY_BYTES_PER_SECOND: number = 4 * 1024 * KIB
/** For one address (IPv6: one /64): half of that. */
export const CARRY_ADDRESS_BYTES_PER_SECOND: number = 2 * 1024 * KIB
/** For one pair of edges: a file of 10 MB in ten seconds; who wants more sets up a TURN server. */
export const CARRY_PAIR_BYTES_PER_SECOND: number = 1024 * KIB
/** Bytes that a node carries in a day in all: a fifth of what its rate allows, 2 TB a month. */
export const CARRY_DAY_BYTES: number = 64 * 1024 * 1024 * KIB
/** For one address: a sixteenth of that. */
export const CARRY_ADDRESS_DAY_BYTES: number = 4 * 1024 * 1024 * KIB
/** For one pair: a large file or a day's work on a document, no backup of a disk. */
export const CARRY_PAIR_DAY_BYTES: number = 1024 * 1024 * KIB
/** Minutes in a day for which a pair is carried: a day at work. */
export const CARRY_PAIR_DAY_MINUTES: number = 12 * 60
/** Of all pairs of one address together: as many as it may have at once, for a third of that. */
export const CARRY_ADDRESS_DAY_MINUTES: number =
  (MAX_CARRIES_PER_ADDRESS * CARRY_PAIR_DAY_MINUTES) / 3
/** Of all pairs together: as many as there may be at once, all day. */
export const CARRY_DAY_MINUTES: number = MAX_CARRIES * 24 * 60

/** Bytes per second of applications to one neighbour, who takes twice that: two thirds of a 100 Mbit/s line. */
export const APP_BYTES_PER_SECOND: number = 8 * 1024 * KIB
/** And at once: a second of that. */
export const APP_BYTES_BURST: number = APP_BYTES_PER_SECOND

/** Bytes of gossip per second from one neighbour; a mesh of a million edges makes about a quarter of that. */
export const GOSSIP_BYTES_PER_SECOND: number = 1024 * KIB
/** And at once: what a mesh says in a few seconds in which the link was busy. */
export const GOSSIP_BYTES_BURST: number = 16 * 1024 * KIB
/** Changes per second in new batches from one neighbour: a million edges in 64 topics each renew at 1,759 a second. */
export const GOSSIP_RECORDS_PER_SECOND: number = 2_000
/** And at once: the edges of a home that restarts. */
export const GOSSIP_RECORDS_BURST: number = 20_000
/** New heads per second from one neighbour: twice what the most homes there can be send. */
export const GOSSIP_HEADS_PER_SECOND: number = 1_000
/** And at once: two of each home that there can be. */
export const GOSSIP_HEADS_BURST: number = 8_192
/** Words of the tree per second from one neighbour: twice as many as packets are told of in. */
export const TREE_WORDS_PER_SECOND: number = 40
/** And at once: ten seconds of that, for a link that was busy. */
export const TREE_WORDS_BURST: number = 400
/** Words of homes that are old but odd, per second from one neighbour: heads that come late, or a proof of a lie. */
export const OLD_WORDS_PER_SECOND: number = 20
/** And at once: ten seconds of that, for a link that was busy. */
export const OLD_WORDS_BURST: number = 200
/** Homes unknown so far, per second from one neighbour: new names cost nothing to make up. */
export const NEW_HOMES_PER_SECOND: number = 8
/** And at once: the mesh that a newcomer meets. */
export const NEW_HOMES_BURST: number = 1_024
/** Changes per second of one home, whoever brings them: half of what a neighbour may bring. */
export const HOME_RECORDS_PER_SECOND: number = 1_000
/** And at once: its edges, when it restarts. */
export const HOME_RECORDS_BURST: number = 20_000
/** Bytes per second of one home's batches: those changes at 512 bytes each. */
export const HOME_BYTES_PER_SECOND: number = 512 * KIB
/** And at once: that burst at 400 bytes each. */
export const HOME_BYTES_BURST: number = 8 * 1024 * KIB
/** Heads per second of one home: one for each heartbeat and each new neighbour. */
export const HOME_HEADS_PER_SECOND: number = 2
/** And at once: a home that links with as many neighbours as it may have, twice. */
export const HOME_HEADS_BURST: number = 128
/** Bytes per second pulled from one neighbour, in the mean: what a fast link brings anyhow. */
export const PULL_BYTES_PER_SECOND: number = 8 * 1024 * KIB
/** Bytes per second pulled of one home: a quarter of that, so that one does not hold up all. */
export const HOME_PULL_BYTES_PER_SECOND: number = 2 * 1024 * KIB
/** And of each at once: the largest home. */
export const PULL_BYTES_BURST: number = 64 * 1024 * KIB
/** Requests per second of one neighbour that are answered; the rest wait. Its pulls take a third at 48 KiB each. */
export const NODE_REQUESTS_PER_SECOND: number = 500
/** And at once: 3 MiB of answers, which may all be for who does not read. */
export const NODE_REQUESTS_BURST: number = 64
/** Pongs per second over one link: any answers all pings before it. */
export const PONGS_PER_SECOND: number = 1
/** And at once: an edge that wakes asks, and its clock asks too. */
export const PONGS_BURST: number = 4
/** Lines per second about refused nodes in the log, so that a flood of them does not fill the disk. */
export const REFUSAL_LINES_PER_SECOND: number = 0.1
/** And at once: enough to see what is going on. */
export const REFUSAL_LINES_BURST: number = 16

// --- buffers ---

/** A slow reader is closed above this many queued bytes: 16 of the largest frames. */
export const MAX_BUFFERED_BYTES: number = 1024 * KIB
/** A shared socket is given frames ahead up to this; what is above waits by session, and goes in turns. */
export const SHARED_AHEAD_BYTES: number = 64 * KIB
/** Above this many queued bytes an edge is handed no signals, so that who sends them cannot end its session. */
export const MAX_TARGET_BUFFERED_BYTES: number = MAX_BUFFERED_BYTES / 4
/** Bytes of all signals held until a word about them may have come: 2,000 of 2 KiB. */
export const MAX_HELD_BYTES: number = 4 * 1024 * KIB
/** Bytes of packets kept for neighbours that ask: some seconds of all that one neighbour may bring. */
export const MAX_KEPT_PACKETS_BYTES: number = 4 * 1024 * KIB
/** Bytes of records gathered by unfinished pulls of all homes: one home's most. */
export const MAX_GATHERED_BYTES: number = MAX_BYTES_PER_HOME
/** Bytes of all signals that wait for links to be dialled. */
export const MAX_WAITING_BYTES: number = 8 * 1024 * KIB

/** Bytes of an application's messages that wait for one neighbour: four of the largest. */
export const MAX_APP_QUEUE_BYTES: number = 4 * MAX_APP_MESSAGE_BYTES

/** What a peer may send ahead of what is read: 20 MB/s over 100 ms, and 8,000 empty messages. */
export const CHANNEL_WINDOW_BYTES: number = 2 * KIB * KIB

/** What is carried and not acknowledged, which homes may have to hold: 1 MiB/s over a round trip of 125 ms. */
export const CARRY_WINDOW_BYTES: number = 128 * KIB
/** Carried frames wait while this much waits on a socket or link, so that a signal never stands behind more. */
export const CARRY_AHEAD_BYTES: number = 32 * KIB

// --- times ---

/** An edge's proof must be complete by then: two round trips, also over a very slow network. */
export const EDGE_PROOF_MS: number = 10 * SECOND_MS
/** A standby socket is kept for this long without a proof; then its edge draws another node. */
export const STANDBY_MS: number = 1 * HOUR_MS
/** An edge at home gets itself a standby after about this long, so that short visits cost nobody one. */
export const STANDBY_AFTER_MS: number = 5 * SECOND_MS
/** Longest wait before an edge that finds no standby looks for one again. */
export const STANDBY_MAX_MS: number = 5 * MINUTE_MS
/** A home that was sent something and then said nothing for this long is asked for a sign of life. */
export const PROBE_AFTER_MS: number = 2 * SECOND_MS
/** And left when none comes by then: a slow phone's radio wakes in two seconds. */
export const PROBE_TIMEOUT_MS: number = 4 * SECOND_MS
/** How often an edge looks at its clock; later by as much again, and the machine has slept. */
export const WAKE_CHECK_MS: number = 10 * SECOND_MS
/** An edge that is woken dials again at most so often: several events tell of one awakening. */
export const WAKE_AGAIN_MS: number = 1 * SECOND_MS
/** The edges of a node that stops come to each other node at this rate: 1 ms of its work for each. */
export const MOVES_PER_SECOND: number = 1_000
/** But within this, for they cannot be called meanwhile: what the most edges need at five others. */
export const MOVE_WITHIN_MS: number = 5 * SECOND_MS
/** A node that drains tells so often some more of its edges to move: a standby takes one on in less. */
export const DRAIN_TICK_MS = 50
/** A handshake between nodes must be complete by then: three messages between servers. */
export const LINK_HANDSHAKE_MS: number = 5 * SECOND_MS
/** A link that was silent for this long is asked for a sign of life; NATs forget after 30 s. */
export const PING_AFTER_MS: number = 20 * SECOND_MS
/** A link that stayed silent for this long is closed: two pings went unanswered. */
export const SILENT_AFTER_MS: number = 3 * PING_AFTER_MS
/** How often a node multicasts its signed head when nothing changes. */
export const HEARTBEAT_MS: number = 10 * SECOND_MS
/** A home not heard of for so long has missed two heartbeats, and is shown as suspected. */
export const SUSPECT_AFTER_MS: number = 2 * HEARTBEAT_MS + 2 * SECOND_MS
/** A change of a node's links is in a report by then, with all others of that time. */
export const REPORT_AFTER_MS: number = SECOND_MS
/** How often those who watch the mesh are told what is new, and for how long one view of it is handed out. */
export const WATCH_TICK_MS: number = SECOND_MS
/** How often it is looked for room in full sockets of who watches: a megabyte each time is 20 MiB in a second. */
export const WATCH_FLUSH_MS = 50
/** Who watches and has not caught up for so long is closed: it may begin anew, without holes. */
export const WATCH_BEHIND_MS: number = 30 * SECOND_MS
/** A home not heard of for this long has left, with its edges: three heartbeats and a half. */
export const HOME_EXPIRES_MS: number = 35 * SECOND_MS
/** Changes are gathered for this long before a batch is signed. */
export const BATCH_AFTER_MS: number = 20
/** Hashes of new packets are gathered for this long before the lazy neighbours are told. */
export const HAVE_AFTER_MS: number = 50
/** A packet that a neighbour named is asked for when it has not come by then: ways across an ocean differ by less. */
export const GRAFT_AFTER_MS: number = 200
/** An edge's presence lives for this long unless signed again, and all its adverts with it. */
export const RECORD_TTL_MS: number = 2 * HOUR_MS
/** An edge signs its presence again after about this long. */
export const RECORD_RENEW_MS: number = 1 * HOUR_MS
/** Longest life that a record may claim; adverts do, for they count only while their presence lives. */
export const MAX_RECORD_TTL_MS: number = 24 * HOUR_MS
/** An edge signs an advert again when it is about this old, the next time that it signs its presence. */
export const ADVERT_RENEW_MS: number = MAX_RECORD_TTL_MS / 2
/** How far a record's `seq` may be ahead of this node's clock, and its end behind it. */
export const MAX_SKEW_MS: number = 10 * MINUTE_MS
/** A home that was proved to lie is kept out for this long; long enough for its operator to notice. */
export const QUARANTINE_MS: number = 1 * HOUR_MS
/** A home that lied without leaving a proof for others is kept out for this long. */
export const DOUBT_MS: number = 1 * MINUTE_MS
/** A neighbour that spoiled too many pulls is not asked again for this long. */
export const SPOILED_PAUSE_MS: number = 10 * MINUTE_MS
/** What an edge handed to its home should be known to other nodes by then. */
export const WITNESS_AFTER_MS: number = 5 * SECOND_MS
/** How long after other nodes knew nothing they are asked again, before the home is left. */
export const WITNESS_AGAIN_MS: number = 10 * SECOND_MS
/** How often an idle edge asks another node for its records: a socket and about 3 KB each time. */
export const WITNESS_EVERY_MS: number = 10 * MINUTE_MS
/** A node that is asked as a witness says its first frame by then. */
export const WITNESS_TIMEOUT_MS: number = 5 * SECOND_MS
/** A request between nodes, or of an edge to its home, is answered by then. */
export const REQUEST_TIMEOUT_MS: number = 10 * SECOND_MS
/** How often a neighbour's link that is too full for an answer, or a shared socket, is looked at again. */
export const ANSWER_AGAIN_MS: number = 50
/** A pull of one home ends by then, so that a slow neighbour keeps no other from serving it. */
export const PULL_TIMEOUT_MS: number = 2 * MINUTE_MS
/** A node that is pulling a home itself lets a neighbour's pull wait for at most this long. */
export const PULL_WAIT_MS: number = 2 * SECOND_MS
/** A home for which there was no room is not pulled again for this long. */
export const REFUSED_FOR_MS: number = 1 * MINUTE_MS
/** What an unlisted home may have where room is scarce doubles in this time: full after 5 hours. */
export const ROOM_DOUBLES_MS: number = 1 * HOUR_MS
/** Homes met this soon after the start count as old: who has just come cannot tell who was first. */
export const START_GRACE_MS: number = 10 * MINUTE_MS
/** A home away for longer than this has to earn its room again. */
export const HOME_FORGOTTEN_MS: number = 1 * HOUR_MS
/** A neighbour may become an anchor when its link has been up for this long. */
export const ANCHOR_AFTER_MS: number = 1 * MINUTE_MS
/** A link to a target's home is dialled for at most this long. */
export const DIAL_TIMEOUT_MS: number = 8 * SECOND_MS
/** A dial on the DHT that has brought no link by then is helped by one by URL: most take under a second. */
export const DIAL_URL_AFTER_MS: number = 2 * SECOND_MS
/** A home that has just come, or come back, has said by then how it is reached: its next head comes with it. */
export const HOME_SETTLES_MS: number = HEARTBEAT_MS
/** How often a way is looked for meanwhile, for signals that wait for one. */
export const WAY_LOOK_MS: number = 250
/** How often a node looks whether it should dial others by URL: a lost neighbour is soon back. */
export const PEER_LOOK_MS: number = 1 * SECOND_MS
/** A peer by flag is dialled again after this long, and twice as long each time until a link has stayed. */
export const PEER_RETRY_MS: number = 1 * SECOND_MS
/** A node that could not be dialled is not tried again for this long. */
export const DIAL_RETRY_MS: number = 5 * SECOND_MS
/** Each failure in a row doubles that, up to this: most such homes were never there. */
export const DIAL_RETRY_MAX_MS: number = 1 * MINUTE_MS
/** A word about a signal counts for this long after it went out; then its edge has sent it twice. */
export const HELD_MS: number = 5 * SECOND_MS
/** How long an edge is asked to wait when a link or a budget is full for the moment. */
export const BUSY_RETRY_MS: number = 500
/** A STUN server that answered a probe is probed again after this long. */
export const STUN_PROBE_MS: number = 1 * MINUTE_MS
/** One that did not is waited for twice as long each time, up to this: most such will never answer. */
export const STUN_PROBE_MAX_MS: number = 16 * MINUTE_MS
/** A probe is sent again after this long, and once more after twice that (RFC 8489, section 6.2.1): a lost datagram is no dead server. */
export const STUN_RESEND_MS = 500
/** A new neighbour's STUN is tried so soon: its head, which says where that is, comes with the link. */
export const STUN_LINKED_MS: number = 1 * SECOND_MS
/** A probe not answered by then has failed. */
export const STUN_ANSWER_MS: number = 3 * SECOND_MS
/** An edge asks again for servers for ICE after this long, or when those it has run out. */
export const ICE_REFRESH_MS: number = 1 * HOUR_MS
/** Credentials of a TURN server are good for this long: who copies them has little of them. */
export const TURN_TTL_MS: number = 10 * MINUTE_MS
/**
 * While it knows fewer than two STUN servers, which cannot show a mapping, an edge asks after this long, and after
 * twice as long each time: a node that has just started learns of others' within a heartbeat of 10 s.
 */
export const ICE_FEW_MS: number = 5 * SECOND_MS
/** And never sooner than this, whatever the home says. */
export const ICE_AGAIN_MS: number = 1 * MINUTE_MS
/** Longest time for which servers for ICE may be good: a day is beyond any need. */
export const MAX_ICE_TTL_MS: number = 24 * HOUR_MS
/** An edge that found no home by then gives up joining. */
export const JOIN_TIMEOUT_MS: number = 30 * SECOND_MS
/** A connection attempt ends by then, unless the caller says otherwise. */
export const CONNECT_TIMEOUT_MS: number = 30 * SECOND_MS
/** A connection that is closed waits for so long for what was sent to arrive: some round trips. */
export const CLOSE_TIMEOUT_MS: number = 2 * SECOND_MS
/** A call rings for this long until it is taken, which no time-out of the caller's counts. */
export const RING_TIMEOUT_MS: number = 2 * MINUTE_MS
/** While it rings, the called is asked so often for a sign of life: a frame each way costs next to nothing. */
export const RING_KNOCK_MS: number = 10 * SECOND_MS
/** Without one by then it has gone, so a lost home and its edges are noticed as soon as by the mesh. */
export const RING_SILENT_MS: number = HOME_EXPIRES_MS - RING_KNOCK_MS
/** A called that no node knows is given so long to come up again: twice what a change of homes takes. */
export const RING_GONE_MS: number = 2 * MOVE_WITHIN_MS
/** A connection whose peer is heard of neither over its path nor over the mesh ends by then: who changes networks is back earlier. */
export const RTC_AWAY_MS: number = 30 * SECOND_MS
/** One whose peer is heard of over the mesh, or that has no home itself, ends by then if no path is found again. */
export const RECOVERY_MS: number = 2 * MINUTE_MS
/** ICE is restarted again if there is no path by then: most paths are found within five seconds. */
export const RESTART_AGAIN_MS: number = 8 * SECOND_MS
/** A browser that names no failures and gathered for so long waited for servers that are silent: others answer in a second. */
export const ICE_SILENT_MS: number = 4 * SECOND_MS
/** By then each browser has given up a server that is silent: they do after 8 to 10 s. */
export const ICE_OVER_MS: number = 12 * SECOND_MS
/** Two that have found no path without a relay by then tell each other what they see of their networks, and again if that changes. */
export const FACTS_AFTER_MS: number = 5 * SECOND_MS
/** An answered call that is not open by then asks the homes to carry, while ICE goes on: what finds a path does in a second or two. */
export const CARRY_AFTER_MS: number = 2_500
/** How often what waits to be carried is looked at again: a socket does not say when it has room. */
export const CARRY_TURN_MS = 10
/** A carried connection on which nothing came for so long asks for a sign of life: it costs a frame each way. */
export const CARRY_SILENT_MS: number = 10 * SECOND_MS
/** And ends when nothing comes, or nothing of what was sent has come, by then: a home lost and found takes half of it. */
export const CARRY_DEAD_MS: number = 40 * SECOND_MS
/** A home lets a pair go of whose peer nothing has come for so long: its own edge has given it up by then. */
export const CARRY_UNHEARD_MS: number = 2 * CARRY_DEAD_MS
/** A carried connection whose ICE has come to nothing by then, though it has not failed, tries anew. */
export const RTC_STUCK_MS: number = 30 * SECOND_MS
/** One whose ICE has failed tries anew after this long, and twice as long each time. */
export const RTC_ANEW_MS: number = 10 * SECOND_MS
/** Up to this: networks change, and a try costs some hundred packets. */
export const RTC_ANEW_MAX_MS: number = 5 * MINUTE_MS
/** A signal not acknowledged by then is sent again, the same bytes. */
export const RESEND_AFTER_MS: number = 2 * SECOND_MS
/** A refused call is kept for this long, so that a lost refusal can be said again. */
export const LINGER_MS: number = 6 * SECOND_MS
/** How often it is, each time after twice as long, while nobody has answered: half a minute in all. */
export const MAX_RESENDS: number = 4
/** First step of an edge's back-off between homes: nobody notices so short a gap. */
export const BACKOFF_FIRST_MS: number = 250
/** Its longest step: an edge is back soon after its home is, and idle knocks cost a home little. */
export const BACKOFF_MAX_MS: number = 15 * SECOND_MS
