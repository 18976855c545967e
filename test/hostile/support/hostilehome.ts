/** A hostile home: a real node of whose frames to one edge its owner makes what he likes. */

import { fromHex, reader, writer } from '../../../src/bytes.ts'
import { FRAME } from '../../../src/messages.ts'
import type { MeshNode } from '../../../src/node.ts'
import type { TestMesh } from '../../support/mesh.ts'

export interface Lies {
  /** In place of what the home would answer to a request; `undefined`: the truth. */
  readonly answer?: (method: number, body: Uint8Array, truth: Uint8Array) => Uint8Array | undefined
  /** What goes on in place of a frame. */
  readonly frame?: (frame: Uint8Array, way: 'up' | 'down') => readonly Uint8Array[]
}

/** Lets the node lie to whoever is at home with it, until it is let tell the truth. */
export function lies(mesh: TestMesh, node: MeshNode, { answer, frame: change }: Lies): void {
  const asked = new Map<number, { method: number; body: Uint8Array }>()
  mesh.tap = (frame, way, url) => {
    if (url !== mesh.urlOf(node)) return [frame]
    if (frame[0] === FRAME.rpc && answer) {
      const number = reader(frame.subarray(1)).u32()
      if (way === 'up') asked.set(number + 1, { method: frame[5] as number, body: frame.slice(6) })
      const question = way === 'down' ? asked.get(number) : undefined
      const lie = question && answer(question.method, question.body, frame.slice(6))
      if (lie) return [writer().u8(FRAME.rpc).u32(number).u8(0).bytes(lie).done()]
    }
    return change?.(frame, way) ?? [frame]
  }
}

/** Says something to the edge that dialled this node last, as its home would. */
export function say(mesh: TestMesh, node: MeshNode, frame: Uint8Array): void {
  const dial = mesh.dials.findLast(({ url }) => url.includes(new URL(mesh.urlOf(node)).host))
  dial?.far.send(frame)
}

export const keyOf = (node: MeshNode): Uint8Array => fromHex(node.id)
