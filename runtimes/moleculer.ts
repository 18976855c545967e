/**
 * Moleculer over the mesh: a broker beside each node, whose packets go over the node's links.
 *
 * @module
 */

import { type ServiceSchema, Transporters } from 'moleculer'
import type { AppPort } from '../src/apps.ts'
import { reader, writer } from '../src/bytes.ts'
import { SignalMeshError } from '../src/errors.ts'
import type { NodeId } from '../src/identity.ts'
import { MAX_APP_NAME_BYTES } from '../src/limits.ts'
import type { MeshNode } from '../src/node.ts'

export { type EmbeddedNode, startNode } from './embed.ts'

/** What a broker needs of its node. */
export type BrokerNode = Pick<MeshNode, 'id' | 'openApp'>

export interface MeshTransporterOptions {
  /**
   * The nodes whose brokers this one takes packets of and sends to: their services may call each other.
   * `all` is for a mesh of which every node is yours, as with `--members-only`.
   */
  readonly nodes: 'all' | readonly NodeId[]
}

/** What packets were not taken for. */
export interface PacketCounters {
  /** Named another sender than the node that brought them. */
  readonly forged: number
  /** Answered a request, or went on with a stream, that was another node's. */
  readonly strayed: number
  /** Could not be read, or were of no kind that a broker takes. */
  readonly unread: number
}

/** A Moleculer transporter between nodes of a mesh that are linked; each broker's `nodeID` is its node's id. */
export class MeshTransporter extends Transporters.Base {
  /** What packets were not taken for. */
  get counters(): PacketCounters {
    return this.#counters
  }
  readonly #counters = { forged: 0, strayed: 0, unread: 0 }
  readonly #node: BrokerNode
  readonly #takes: (node: NodeId) => boolean
  readonly #kinds = new Set<string>()
  #port: AppPort | undefined

  constructor(node: BrokerNode, options: MeshTransporterOptions) {
    super({})
    const { nodes } = options
    this.#node = node
    this.#takes = nodes === 'all' ? () => true : (other) => nodes.includes(other)
  }

  /** @throws SignalMeshError `BAD_CONFIG` for a broker with another id than its node's */
  override init(...args: Parameters<Transporters.Base['init']>): void {
    const [{ nodeID }] = args
    if (nodeID !== this.#node.id) {
      const text = `A broker on the mesh has its node's id: give it nodeID: '${this.#node.id}', not '${nodeID}'`
      throw new SignalMeshError('BAD_CONFIG', text)
    }
    super.init(...args)
  }

  override async connect(): Promise<void> {
    this.#port = this.#node.openApp(this.prefix, {
      takes: this.#takes,
      onMessage: (bytes, from) => this.#take(bytes, from),
      // Each asks the other, so that it does not matter whose broker was there first.
      onUp: (node) => {
        if (this.connected && this.#takes(node)) void this.transit.discoverNode(node)
      },
      onDown: (node) => this.transit.discoverer.remoteNodeDisconnected(node, true),
    })
    await this.onConnected()
  }

  override async disconnect(): Promise<void> {
    this.connected = false
    this.#kinds.clear()
    this.#port?.close()
    this.#port = undefined
  }

  override async subscribe(kind: string): Promise<void> {
    this.#kinds.add(kind)
  }

  /** Brokers balance by themselves, since each knows all services that it may call. */
  override async subscribeBalancedRequest(): Promise<void> {}

  override async subscribeBalancedEvent(): Promise<void> {}

  /** Rejects if the one node that it is for cannot be told; what is for all goes to whom it can. */
  override async send(
    _topic: string,
    data: Buffer,
    { packet }: Record<string, unknown>,
  ): Promise<void> {
    const port = this.#port
    if (!port) throw new SignalMeshError('CLOSED', 'This broker has left the mesh')
    const { type, target } = packet as { type: string; target: string | null | undefined }
    const bytes = encodePacket(type, data)
    if (target == null) {
      await Promise.allSettled(port.nodes.filter(this.#takes).map((node) => port.send(node, bytes)))
    } else if (this.#takes(target)) {
      await port.send(target, bytes)
    } else {
      throw new SignalMeshError('REFUSED', `Node ${target} is none of this broker's nodes`)
    }
  }

  /** The link's word of who sent it goes with the packet through all middlewares, in the place of a socket. */
  #take(bytes: Uint8Array, from: NodeId): void {
    const read = readPacket(bytes)
    if (!read || !this.#kinds.has(read.kind)) {
      this.#refuse('unread', from)
      return
    }
    void Promise.resolve(this.receive(read.kind, read.data, from as never)).catch(() =>
      this.#refuse('unread', from),
    )
  }

  override receive(kind: string, data: Buffer, from?: unknown): Promise<void> {
    return this.#incoming(kind, data, from)
  }

  async #incoming(kind: string, data: Buffer, from: unknown): Promise<void> {
    // A middleware that loses it loses the packet.
    if (typeof from !== 'string') return this.#refuse('forged', 'nobody')
    const packet = this.deserialize(kind, data)
    const payload = packet.payload as Payload
    if (payload.sender !== from) return this.#refuse('forged', from)
    if (!this.#isItsOwn(kind, payload)) return this.#refuse('strayed', from)
    await this.transit.messageHandler(kind, packet)
  }

  /** Moleculer finds requests and streams by their ids alone, which others may have come to know. */
  #isItsOwn(kind: string, { id, sender }: Payload): boolean {
    const { pendingRequests, pendingReqStreams } = this.transit
    if (kind === 'RES') {
      const asked = pendingRequests.get(id)?.nodeID
      return asked === undefined || asked === sender
    }
    const streams = pendingReqStreams as Map<string, { sender: string }>
    const begun = kind === 'REQ' ? streams.get(id)?.sender : undefined
    return begun === undefined || begun === sender
  }

  #refuse(why: keyof PacketCounters, from: string): void {
    this.#counters[why] += 1
    // The first of a kind is news; a flood of them is none.
    const level = this.#counters[why] === 1 ? 'warn' : 'debug'
    this.logger[level](`Dropped a packet (${why}) that node '${from}' brought`)
  }
}

interface Payload {
  readonly id: string
  readonly sender: unknown
}

/** What a broker beside the node is made with: `new ServiceBroker({ ...onMesh(node, { nodes: 'all' }) })`. */
export function onMesh(
  node: BrokerNode,
  options: MeshTransporterOptions,
): { nodeID: string; transporter: MeshTransporter } {
  return { nodeID: node.id, transporter: new MeshTransporter(node, options) }
}

/** The mesh as its management data tell of it, as a service: `mesh.nodes`, `mesh.status`. */
export function meshService(node: Pick<MeshNode, 'health' | 'mesh' | 'ready'>): ServiceSchema {
  return {
    name: 'mesh',
    actions: {
      /** All nodes, as the node beside the called broker sees them. */
      nodes: () => node.mesh().nodes,
      /** That node, and the totals of the mesh. */
      status: () => ({ ...node.health(), ...node.ready(), totals: node.mesh().totals }),
    },
  }
}

/** A packet as one message between nodes: its kind, then what the serializer made of it. */
export function encodePacket(kind: string, data: Uint8Array): Uint8Array {
  return writer(2 + kind.length + data.length)
    .text(kind)
    .bytes(data)
    .done()
}

/** Undefined for what is no packet. */
function readPacket(bytes: Uint8Array): { kind: string; data: Buffer } | undefined {
  try {
    const r = reader(bytes)
    const kind = r.text(MAX_APP_NAME_BYTES)
    const { buffer, byteOffset, byteLength } = r.rest()
    return { kind, data: Buffer.from(buffer as ArrayBuffer, byteOffset, byteLength) }
  } catch {
    return undefined
  }
}
