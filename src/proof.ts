/** The proof: what an edge has to show before a node takes it on. */

import { equal, toHex } from './bytes.ts'
import { verify } from './crypto.ts'
import { SignalMeshError } from './errors.ts'
import { type Proof, proofBody } from './messages.ts'
import { PROTOCOL_VERSION } from './topic.ts'

export interface ProofOptions {
  readonly networkId: Uint8Array
  /** Whether edges may dial this node there. */
  acceptsAuthority(authority: string): boolean
}

/**
 * Checks that the edge signed this socket's hello, for this network and address, and brings no records
 * of others. The records' own signatures are checked where they are kept.
 * @throws SignalMeshError `VERSION_MISMATCH`, `NETWORK_MISMATCH`, `BAD_AUTHORITY`, `BAD_SIGNATURE`
 */
export function checkProof(proof: Proof, hello: Uint8Array, options: ProofOptions): void {
  const { networkId } = options
  if (proof.version !== PROTOCOL_VERSION) {
    throw new SignalMeshError(
      'VERSION_MISMATCH',
      `This node speaks version ${PROTOCOL_VERSION}, not ${proof.version}`,
    )
  }
  if (!equal(proof.networkId, networkId)) {
    throw new SignalMeshError('NETWORK_MISMATCH', 'This node serves another network')
  }
  if (!options.acceptsAuthority(proof.authority)) {
    throw new SignalMeshError(
      'BAD_AUTHORITY',
      `This node is not known as ${JSON.stringify(proof.authority)}; its operator can name it with --public-url`,
    )
  }
  if (!verify('edge-proof', networkId, proofBody(hello, proof), proof.signature, proof.peerKey)) {
    throw new SignalMeshError('BAD_SIGNATURE', 'The edge did not prove its key')
  }
  const peer = toHex(proof.peerKey)
  if ([proof.presence, ...proof.adverts].some((record) => record.peer !== peer)) {
    throw new SignalMeshError('BAD_SIGNATURE', 'The edge brought records of another edge')
  }
}
