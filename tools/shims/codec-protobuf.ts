/**
 * A stand-in for @dxos/codec-protobuf in pages: messages whose fields are all bytes, as those of
 * @dxos/broadcast. The real one makes functions out of text, which pages with a strict policy forbid.
 */

interface Json {
  readonly nested?: Readonly<Record<string, Json>>
  readonly fields?: Readonly<Record<string, { readonly type: string; readonly id: number }>>
}

type Message = Readonly<Record<string, Uint8Array | undefined>>

interface Codec {
  encode(message: Message): Uint8Array
  decode(bytes: Uint8Array): Message
}

export class Schema {
  readonly #json: Json

  constructor(json: Json) {
    this.#json = json
  }

  static fromJson(json: Json): Schema {
    return new Schema(json)
  }

  getCodecForType(name: string): Codec {
    let at: Json | undefined = this.#json
    for (const part of name.split('.')) at = at?.nested?.[part]
    return codecOf(Object.entries(at?.fields ?? {}).map(([field, { id }]) => [field, id]))
  }
}

/** What is decoded has been checked as a whole before (src/gossip.ts). */
function codecOf(fields: readonly (readonly [string, number])[]): Codec {
  return {
    encode: (message) => {
      const out: number[] = []
      for (const [name, id] of fields) {
        const value = message[name]
        if (!value) continue
        out.push((id << 3) | 2)
        let length = value.length
        for (; length > 0x7f; length >>>= 7) out.push((length & 0x7f) | 0x80)
        out.push(length)
        for (const byte of value) out.push(byte)
      }
      return Uint8Array.from(out)
    },
    decode: (bytes) => {
      const message: Record<string, Uint8Array> = {}
      for (let at = 0; at < bytes.length; ) {
        const id = (bytes[at++] ?? 0) >> 3
        let length = 0
        for (let shift = 0; ; shift += 7) {
          const byte = bytes[at++] ?? 0
          length |= (byte & 0x7f) << shift
          if (byte < 0x80) break
        }
        const [name] = fields.find(([, field]) => field === id) ?? []
        if (name) message[name] = bytes.subarray(at, at + length)
        at += length
      }
      return message
    },
  }
}
