/** Topics whose tag is their name: what nodes would see if names were not hashed. */

import { utf8 } from '../../src/bytes.ts'
import type { Topic } from '../../src/topic.ts'

export * from '../../src/topic.ts'

const TAG_BYTES = 32

export function topicTag(_network: string, topic: Topic): Uint8Array {
  const tag = new Uint8Array(TAG_BYTES)
  tag.set(utf8(typeof topic === 'string' ? topic : topic.name).subarray(0, TAG_BYTES))
  return tag
}
