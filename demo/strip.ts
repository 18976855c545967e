/** The drawing of one peer: signals go page → home → home → page, data goes straight. */

import { makeSvg, set, setText } from './element.ts'
import type { Travel } from './room.ts'
import { type HomeView, homeName, type PageState, type PeerView, shortId } from './state.ts'

export interface Strip {
  readonly element: SVGSVGElement
  update(home: HomeView, peer: PeerView, runtimes: PageState['runtimes']): void
  travel(what: Travel): void
}

const WIDTH = 360
const HEIGHT = 88
const LINE_Y = 54
const LABEL_Y = 84
const PAGE_X = 32
const PEER_X = WIDTH - PAGE_X
const ARC = `M${PAGE_X} 40C${PAGE_X + 64} -8 ${PEER_X - 64} -8 ${PEER_X} 40`
const SIGNALS = `M${PAGE_X} ${LINE_Y}H${PEER_X}`
const HOMES_X = [130, WIDTH - 130] as const
const TRAVEL_MS = 800

const PATH_WORDS = {
  local: 'data: direct, same network',
  direct: 'data: direct',
  turn: 'data: through a TURN server',
  mesh: 'data: through the mesh',
  unknown: 'data: direct',
} as const

export function makeStrip(): Strip {
  let way = ARC
  const arc = makeSvg('path', { d: way, class: 'data-line' })
  const arcText = makeSvg('text', { x: WIDTH / 2, y: 24, class: 'data-text' })
  const lineText = makeSvg('text', { x: 82, y: LINE_Y - 7, class: 'signal-text' }, 'signals')
  const line = makeSvg('path', { d: SIGNALS, class: 'signal-line' })
  const page = stop(PAGE_X, pageShape())
  const peerPage = stop(PEER_X, pageShape())
  const home = stop(HOMES_X[0], homeShape())
  const peerHome = stop(HOMES_X[1], homeShape())
  const dots = makeSvg('g')
  const title = makeSvg('title')
  setText(page.label, 'this page')
  const parts = [
    arc,
    line,
    dots,
    arcText,
    lineText,
    page.group,
    home.group,
    peerHome.group,
    peerPage.group,
  ]
  const element = makeSvg(
    'svg',
    { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: 'img' },
    title,
    ...parts,
  )

  return {
    element,
    update: (own, peer, runtimes) => {
      const isShared = own.nodeId === peer.home
      setText(home.label, homeName(own.nodeId, runtimes) || '…')
      setText(peerHome.label, homeName(peer.home, runtimes) || '…')
      setText(peerPage.label, shortId(peer.id))
      setText(arcText, peer.state === 'connected' ? PATH_WORDS[peer.path] : '')
      setText(title, sentence(own, peer))
      // What the homes carry goes the way of the signals.
      way = peer.path === 'mesh' ? SIGNALS : ARC
      set(arc, { d: way })
      place(home.group, isShared ? WIDTH / 2 : HOMES_X[0])
      place(peerHome.group, HOMES_X[1])
      set(peerHome.group, { class: isShared ? 'absent' : 'stop' })
      set(home.group, { class: own.state === 'open' ? 'stop' : 'stop gone' })
      set(element, { class: `strip ${peer.state}` })
    },
    travel: (what) => travel(dots, what, way),
  }
}

function sentence(own: HomeView, peer: PeerView): string {
  const homes =
    own.nodeId === peer.home
      ? `home ${shortId(own.nodeId)}, which both share,`
      : `home ${shortId(own.nodeId)} and home ${shortId(peer.home)}`
  const data = peer.state === 'connected' ? `; ${PATH_WORDS[peer.path]}` : ''
  return `Signals go from this page through ${homes} to page ${shortId(peer.id)}${data}`
}

interface Stop {
  readonly group: SVGGElement
  readonly label: SVGTextElement
}

function stop(x: number, shape: SVGElement): Stop {
  const label = makeSvg('text', { y: LABEL_Y - LINE_Y })
  const group = makeSvg('g', { class: 'stop' }, shape, label)
  place(group, x)
  return { group, label }
}

function place(group: SVGGElement, x: number): void {
  set(group, { transform: `translate(${x} ${LINE_Y})` })
}

/** A window with its bar. */
function pageShape(): SVGElement {
  const frame = makeSvg('rect', { x: -17, y: -13, width: 34, height: 26, rx: 5, class: 'shape' })
  return makeSvg('g', {}, frame, makeSvg('path', { d: 'M-17 -5H17', class: 'detail' }))
}

/** A ring with three dots: one node among others. */
function homeShape(): SVGElement {
  const ring = makeSvg('circle', { r: 15, class: 'shape' })
  const links = makeSvg('path', { d: 'M0 -6L6 5H-6Z', class: 'detail' })
  const corners = [
    [0, -6],
    [6, 5],
    [-6, 5],
  ].map(([cx = 0, cy = 0]) => makeSvg('circle', { cx, cy, r: 2.6, class: 'corner' }))
  return makeSvg('g', {}, ring, links, ...corners)
}

/** Lets a dot run along its line once; data by that way. */
function travel(dots: SVGGElement, what: Travel, way: string): void {
  if (matchMedia('(prefers-reduced-motion: reduce)').matches) return
  const isData = what === 'sent' || what === 'received'
  const isBack = what === 'answer' || what === 'received'
  const motion = makeSvg('animateMotion', {
    path: isData ? way : SIGNALS,
    dur: `${TRAVEL_MS}ms`,
    begin: 'indefinite',
    calcMode: 'linear',
    keyTimes: '0;1',
    keyPoints: isBack ? '1;0' : '0;1',
    fill: 'freeze',
  })
  const dot = makeSvg('circle', { r: 4.5, class: isData ? 'dot data' : 'dot signal' }, motion)
  dots.append(dot)
  motion.beginElement()
  setTimeout(() => dot.remove(), TRAVEL_MS)
}
