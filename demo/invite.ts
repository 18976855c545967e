/** The invitation: the room's link to copy, and as a QR code for a phone. */

import { pageLink } from './address.ts'
import { byId, make, makeSvg, set, setText } from './element.ts'
import { qrPath } from './qr.ts'
import type { PageState } from './state.ts'

export interface Invite {
  render(state: PageState): void
}

const COPIED_MS = 2_000

export function makeInvite(): Invite {
  const link = byId<HTMLInputElement>('link')
  const button = byId<HTMLButtonElement>('copy')
  const details = byId<HTMLDetailsElement>('invite')
  let qrOf = ''
  let isFolded = false

  button.addEventListener('click', async () => {
    const isCopied = await copy(link)
    setText(button, isCopied ? 'Copied' : 'Press Ctrl+C')
    setTimeout(() => setText(button, 'Copy link'), COPIED_MS)
  })

  return {
    render: (state) => {
      const url = pageLink(state.home.url || location.origin, { room: state.room })
      if (link.value !== url) link.value = url
      const phone = state.demo?.phone ?? (isLoopback(url) ? undefined : url)
      setText(byId('invite-hint'), hintFor(url, phone))
      if (phone !== undefined && phone !== qrOf) byId('qr').replaceChildren(...drawQr(phone))
      qrOf = phone ?? ''
      byId('qr').hidden = phone === undefined
      // Once, when the first peer is here; whoever opens it again wants it open.
      if (isFolded || state.peers.size === 0) return
      isFolded = true
      details.open = false
    },
  }
}

function hintFor(url: string, phone: string | undefined): string {
  if (!isLoopback(url)) return 'Open the link in a second tab or on another device.'
  const here = 'Open the link in a second tab; it works on this machine only.'
  if (phone !== undefined) return `${here} A phone on this network takes the code:`
  return `${here} For a phone, start the node with: npm start -- --host 0.0.0.0`
}

function isLoopback(url: string): boolean {
  return /^(localhost|127\.[\d.]+|\[::1\])$/.test(new URL(url).hostname)
}

function drawQr(text: string): Element[] {
  const { size, path } = qrPath(text)
  const title = makeSvg('title', {}, `QR code of ${text}`)
  const box = { viewBox: `0 0 ${size} ${size}`, role: 'img', 'shape-rendering': 'crispEdges' }
  const svg = makeSvg('svg', box, title, makeSvg('path', { d: path }))
  const caption = make('a', {}, text.replace(/^https?:\/\//, ''))
  set(caption, { href: text })
  return [svg, caption]
}

/** Pages over plain http on a LAN have no clipboard of the new kind. */
async function copy(input: HTMLInputElement): Promise<boolean> {
  try {
    await navigator.clipboard.writeText(input.value)
    return true
  } catch {
    input.select()
    return document.execCommand('copy')
  }
}
