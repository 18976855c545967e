/** The doctor's look at TLS: certificate and key in their files, and what is served at the public URLs. */

import { X509Certificate } from 'node:crypto'
import { isIP } from 'node:net'
import { asMeshError } from '../src/errors.ts'
import type { Config } from './config.ts'
import { type Finding, ok, skipped, wrong } from './doctorchecks.ts'
import { nodesOf, type Views } from './doctorviews.ts'
import type { Host } from './host.ts'
import { checkTls } from './listen-error.ts'
import { askNode } from './nodeurl.ts'

const DAY_MS = 86_400_000
/** Who renews by itself does so a month before. */
const SOON_DAYS = 14
const ASK_MS = 5_000

export async function checkCertificates(
  config: Config,
  { readText }: Pick<Host, 'readText'>,
  views: Views,
  nowMs: number,
): Promise<readonly Finding[]> {
  const { tlsCert, tlsKey, publicUrl } = config
  const files =
    tlsCert === undefined || tlsKey === undefined
      ? []
      : [await checkFiles(tlsCert, tlsKey, readText, publicUrl, nowMs)]
  const served = await Promise.all(publicUrl.map((url) => checkServed(url, views)))
  if (files.length + served.length > 0) return [...files, ...served]
  return [
    skipped(
      'tls',
      'No TLS is used',
      'pages of https sites, cameras and microphones need it: --tls-cert and --tls-key, or a proxy and --public-url',
    ),
  ]
}

async function checkFiles(
  certPath: string,
  keyPath: string,
  readText: Host['readText'],
  publicUrls: readonly string[],
  nowMs: number,
): Promise<Finding> {
  try {
    const cert = await readText(certPath)
    checkTls({ cert, key: await readText(keyPath) })
    const parsed = new X509Certificate(cert)
    const daysLeft = Math.floor((Date.parse(parsed.validTo) - nowMs) / DAY_MS)
    const until = `${certPath} is good until ${parsed.validTo}`
    if (daysLeft < 0)
      return wrong('tls', `${certPath} was good until ${parsed.validTo}`, 'renew it')
    if (daysLeft < SOON_DAYS) return wrong('tls', `${until}, ${daysLeft} days`, 'renew it')
    if (nowMs < Date.parse(parsed.validFrom)) {
      return wrong('tls', `${certPath} is good from ${parsed.validFrom} on`, 'look at the clock')
    }
    const hosts = publicUrls.map((url) => new URL(url).hostname.replace(/^\[(.*)\]$/, '$1'))
    const missing = hosts.filter(
      (host) => !(isIP(host) ? parsed.checkIP(host) : parsed.checkHost(host)),
    )
    if (missing.length === 0) return ok('tls', until)
    return wrong(
      'tls',
      `${certPath} does not name ${missing.join(', ')}`,
      'have it made for each host of --public-url',
    )
  } catch (error) {
    return wrong(
      'tls',
      asMeshError(error).message,
      'give a PEM chain by --tls-cert and its key by --tls-key',
    )
  }
}

/** Whether this node is what is reached there, by a certificate that this machine believes. */
async function checkServed(url: string, views: Views): Promise<Finding> {
  try {
    const { json } = await askNode(url.replace(/\/$/, ''), '/health', ASK_MS)
    const self = nodesOf(views.own).find(({ isSelf }) => isSelf)
    // Several networks are several nodes at one URL.
    if (self && !JSON.stringify(json).includes(`"nodeId":"${self.id}"`)) {
      return wrong('tls', `Another node answers at ${url}`, 'see where the name and the proxy lead')
    }
    if (url.startsWith('https:'))
      return ok('tls', `${url} answers, by a certificate that is believed`)
    return wrong(
      'tls',
      `${url} answers, without TLS`,
      'put TLS before it: browsers give cameras and sockets of https pages to https alone',
    )
  } catch (error) {
    return wrong(
      'tls',
      asMeshError(error).message,
      'see that the proxy runs, and that certificate and name are right; some routers do not let a machine reach its own public address',
    )
  }
}
