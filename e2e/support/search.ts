/** Searches recorded bytes for secrets in every form in which they could have been written. */

/** Base64 of bytes that begin anywhere in a longer run: three ways, less the ends. */
function base64Forms(bytes: Buffer): string[] {
  return [0, 1, 2].flatMap((offset) => {
    const encoded = Buffer.concat([Buffer.alloc(offset), bytes]).toString('base64')
    const from = Math.ceil((offset * 8) / 6)
    const to = Math.floor(((offset + bytes.length) * 8) / 6)
    const inner = encoded.slice(from, to)
    return [inner, inner.replaceAll('+', '-').replaceAll('/', '_')]
  })
}

/** The forms of a secret: raw, as UTF-16, as hex digits of either case, as base64. */
function formsOf(secret: Buffer): Buffer[] {
  const hex = secret.toString('hex')
  const texts = [hex, hex.toUpperCase(), ...base64Forms(secret)]
  const wide = Buffer.from(secret.toString('latin1'), 'utf16le')
  return [secret, wide, ...texts.map((form) => Buffer.from(form))]
}

/** Secrets by the names under which they are told when they are found. */
export type Secrets = Readonly<Record<string, Buffer>>

/** Which of the secrets, by their names, stand in the bytes in any form. */
export function findSecrets(bytes: Buffer, secrets: Secrets): string[] {
  return Object.entries(secrets)
    .filter(([, secret]) => formsOf(secret).some((form) => bytes.includes(form)))
    .map(([name]) => name)
}

/** What of a session description must stay between the two ends: credentials, fingerprint, candidates. */
export function secretsOf(sdp: string, side: string): Secrets {
  const first = (pattern: RegExp): string => {
    const found = sdp.match(pattern)?.[1]
    if (!found) throw new Error(`A description without ${pattern}`)
    return found
  }
  const fingerprint = first(/^a=fingerprint:\S+ (\S+)/m)
  const secrets: Record<string, Buffer> = {
    [`${side}: ICE user`]: Buffer.from(`ice-ufrag:${first(/^a=ice-ufrag:(\S+)/m)}`),
    [`${side}: ICE password`]: Buffer.from(first(/^a=ice-pwd:(\S+)/m)),
    [`${side}: fingerprint`]: Buffer.from(fingerprint),
    [`${side}: fingerprint as bytes`]: Buffer.from(fingerprint.replaceAll(':', ''), 'hex'),
  }
  for (const [, address, port] of sdp.matchAll(/^a=candidate:\S+ \d \S+ \d+ (\S+) (\d+)/gm)) {
    secrets[`${side}: candidate ${address} ${port}`] = Buffer.from(`${address} ${port}`)
  }
  return secrets
}
