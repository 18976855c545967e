/** The demo page: joins the mesh at its own origin and chats with whoever is in the room. */

import { type Edge, type HomeStatus, joinMesh } from '../src/edge/mod.ts'
import { readAddress } from './address.ts'
import { makeChat } from './chat.ts'
import { type Control, openControl } from './control.ts'
import { byId } from './element.ts'
import { makeHomePanel } from './home.ts'
import { makeInvite } from './invite.ts'
import { makePeers } from './peers.ts'
import { enterRoom, type Room } from './room.ts'
import { addLine, connectedCount, newState, type PageState } from './state.ts'
import { renderStatus } from './status.ts'

const STATUS_EVERY_MS = 1_000

const address = readAddress(location.hash)
const state: PageState = newState(address.room, Date.now())
let room: Room | undefined
let control: Control | undefined
let isDrawn = true

const peers = makePeers()
const chat = makeChat((text) => void room?.say(text))
const invite = makeInvite()
const homePanel = makeHomePanel(() => {
  state.stopping = true
  control?.stop(state.home.nodeId)
  changed()
})

/** Draws once for all that changes in one turn. */
function changed(): void {
  if (!isDrawn) return
  isDrawn = false
  queueMicrotask(draw)
}

function draw(): void {
  isDrawn = true
  renderStatus(state, Date.now())
  homePanel.render(state)
  peers.render(state)
  invite.render(state)
  chat.render(state)
}

function homeChanged({ url, nodeId, state: next }: HomeStatus): void {
  const { home } = state
  const nowMs = Date.now()
  if (next === 'open') {
    if (home.lostAtMs !== undefined) {
      home.move = { from: home.nodeId, ms: nowMs - home.lostAtMs, kept: connectedCount(state) }
    }
    Object.assign(home, { url, nodeId, lostAtMs: undefined })
  } else if (home.state === 'open') {
    home.lostAtMs = nowMs
    state.stopping = false
  }
  home.state = next
  changed()
}

function failed(error: unknown): void {
  state.failure = error instanceof Error ? `${error.message}.` : String(error)
  changed()
}

async function start(): Promise<void> {
  if (!('RTCPeerConnection' in globalThis)) {
    throw new Error('This browser has no WebRTC, or it is switched off; try another one')
  }
  const edge = await joinMesh({ network: await networkOfNode() })
  state.self = edge.id
  edge.on('home', homeChanged)
  edge.on('error', failed)
  homeChanged(edge.home)
  room = enterRoom(edge, state, { changed, travelled: (peer, what) => peers.travel(peer, what) })
  leaveWithPage(edge)
}

/** What is used of what a node says of itself. */
interface Health {
  readonly network: string
  readonly mesh: { readonly runtimes: PageState['runtimes'] }
}

/** The mesh that this page's node is of. */
async function networkOfNode(): Promise<string> {
  try {
    const health = (await (await fetch('/health')).json()) as Health
    state.runtimes = health.mesh.runtimes
    return health.network
  } catch (cause) {
    const advice = 'start it again (npm run demo, or npm start), then reload'
    throw new Error(`The node at ${location.host} does not answer: ${advice}`, { cause })
  }
}

/** Others see at once that this page goes; one that comes back from the cache starts anew. */
function leaveWithPage(edge: Edge): void {
  addEventListener('pagehide', () => void edge.close())
  addEventListener('pageshow', ({ persisted }) => {
    if (persisted) location.reload()
  })
}

function takeControl(at: string): void {
  control = openControl(at, {
    onNews: (news) => {
      state.demo = news
      changed()
    },
    onRefused: (reason) => {
      state.stopping = false
      addLine(state, { kind: 'note', from: '', text: reason }, Date.now())
      changed()
    },
    onGone: () => {
      state.demo = undefined
      state.stopping = false
      changed()
    },
  })
}

byId('again').addEventListener('click', () => location.reload())
addEventListener('hashchange', () => location.reload())
if (address.control) takeControl(address.control)
setInterval(changed, STATUS_EVERY_MS)
draw()
start().catch(failed)
