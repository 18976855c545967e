/** A raw edge: speaks to a node frame by frame, so that a test can say what no honest edge would. */

import { reader, writer } from '../../src/bytes.ts'
import { boxKeyPair, type KeyPair, randomBytes, sign } from '../../src/crypto.ts'
import { SignalMeshError } from '../../src/errors.ts'
import { type Identity, makeIdentity } from '../../src/identity.ts'
import type { Link } from '../../src/link.ts'
import {
  decodeBye,
  decodeHello,
  encodeProof,
  FRAME,
  type Hello,
  type Proof,
  proofBody,
  readError,
} from '../../src/messages.ts'
import type { MeshNode } from '../../src/node.ts'
import { type Advert, type Presence, signAdvert, signPresence } from '../../src/records.ts'
import { networkId } from '../../src/topic.ts'
import type { TestMesh } from './mesh.ts'

export const NETWORK: Uint8Array = networkId('test')
const TTL_MS = 7_200_000

export interface RawEdge {
  readonly identity: Identity
  readonly boxKeys: KeyPair
  readonly link: Link
  /** What the node sent. */
  readonly frames: readonly Uint8Array[]
  /** Why the node ended the session, as it said. */
  readonly bye: SignalMeshError | undefined
  readonly isClosed: boolean
  readonly hello: { readonly frame: Uint8Array; readonly fields: Hello }
  ofKind(kind: number): Uint8Array[]
  presence(changes?: Partial<Parameters<typeof signPresence>[2]>): Presence
  advert(tag: Uint8Array, changes?: Partial<Parameters<typeof signAdvert>[2]>): Advert
  /** An honest proof, but for the changes: those of `fields` are signed, those of `after` are not. */
  proof(fields?: Partial<Proof>, after?: Partial<Proof>): Uint8Array
  /** Puts a request; the answer is among the frames once the clock has turned. */
  request(method: number, body: Uint8Array): () => Uint8Array
  send(frame: Uint8Array): Promise<void>
}

/** Opens a socket to a node and waits for its hello. */
export async function rawEdge(
  mesh: TestMesh,
  node: MeshNode,
  from: { identity?: Identity; remoteAddress?: string } = {},
): Promise<RawEdge> {
  const { identity = makeIdentity(), remoteAddress } = from
  const url = mesh.urlOf(node)
  const boxKeys = boxKeyPair()
  const frames: Uint8Array[] = []
  let isClosed = false
  let requests = 0
  const link = mesh.dial(`${url}/edge`, remoteAddress)
  link.subscribe((frame) => void frames.push(frame.slice()))
  void link.closed.then(() => (isClosed = true))
  await mesh.clock.advance(0)
  const ofKind = (kind: number): Uint8Array[] => frames.filter((frame) => frame[0] === kind)
  const hello = (): RawEdge['hello'] => {
    const frame = ofKind(FRAME.hello)[0] as Uint8Array
    return { frame, fields: decodeHello(frame) }
  }
  const raw: RawEdge = {
    identity,
    boxKeys,
    link,
    frames,
    get bye() {
      const frame = ofKind(FRAME.bye)[0]
      return frame && decodeBye(frame)
    },
    get isClosed() {
      return isClosed
    },
    get hello() {
      return hello()
    },
    ofKind,
    presence: (changes) =>
      signPresence(NETWORK, identity.keys, {
        homeKey: hello().fields.nodeKey,
        boxKey: boxKeys.publicKey,
        seq: mesh.clock.nowMs(),
        ttlMs: TTL_MS,
        ...changes,
      }),
    advert: (tag, changes) =>
      signAdvert(NETWORK, identity.keys, {
        tag,
        info: new Uint8Array(0),
        seq: mesh.clock.nowMs(),
        ttlMs: TTL_MS,
        ...changes,
      }),
    proof: (fields = {}, after = {}) => {
      const chosen = {
        version: 1,
        features: new Uint8Array(8),
        networkId: NETWORK,
        peerKey: identity.keys.publicKey,
        nonce: randomBytes(32),
        authority: new URL(url).host,
        presence: raw.presence(),
        adverts: [],
        ...fields,
      }
      const body = proofBody(hello().frame, chosen)
      const signature = sign('edge-proof', NETWORK, body, identity.keys)
      return encodeProof({ ...chosen, signature, ...after })
    },
    request: (method, body) => {
      const id = ++requests
      link.send(
        writer()
          .u8(FRAME.rpc)
          .u32(id * 2)
          .u8(method)
          .bytes(body)
          .done(),
      )
      return () => readAnswer(ofKind(FRAME.rpc), id)
    },
    send: async (frame) => {
      link.send(frame)
      await mesh.clock.advance(0)
    },
  }
  return raw
}

/** A raw edge that the node has taken on. */
export async function provenEdge(
  mesh: TestMesh,
  node: MeshNode,
  from: { identity?: Identity; remoteAddress?: string } = {},
): Promise<RawEdge> {
  const raw = await rawEdge(mesh, node, from)
  await raw.send(raw.proof())
  if (raw.bye) throw raw.bye
  if (raw.ofKind(FRAME.welcome).length !== 1) throw new Error('The node did not take the edge on')
  return raw
}

/** The code of an error of ours that the function throws or its promise is rejected with. */
export async function codeOf(fn: () => unknown): Promise<string> {
  try {
    await fn()
  } catch (error) {
    if (error instanceof SignalMeshError) return error.code
    throw error
  }
  return 'nothing was thrown'
}

function readAnswer(frames: readonly Uint8Array[], id: number): Uint8Array {
  const frame = frames.find((one) => reader(one.subarray(1)).u32() === id * 2 + 1)
  if (!frame) throw new Error('No answer has come')
  const [status, body] = [frame[5], frame.subarray(6)]
  if (status !== 0) throw readError(reader(body))
  return body
}
