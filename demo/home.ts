/** The home panel: who this page is, where it is at home, and the button that stops that node. */

import { byId, set, setText } from './element.ts'
import { homeName, type PageState, shortId } from './state.ts'

const STATE_WORDS = {
  connecting: 'looking for one',
  open: 'open',
  withheld: 'left: it hides this page',
  closed: 'closed',
} as const

export interface HomePanel {
  render(state: PageState): void
}

export function makeHomePanel(stop: () => void): HomePanel {
  const button = byId<HTMLButtonElement>('stop-home')
  button.addEventListener('click', () => {
    if (button.getAttribute('aria-disabled') !== 'true') stop()
  })
  return {
    render: ({ self, home, demo, stopping, room, runtimes }) => {
      setText(byId('room'), room)
      setText(byId('self'), shortId(self) || '…')
      set(byId('self'), { title: self })
      setText(byId('home-url'), home.url ? new URL(home.url).host : '…')
      setText(byId('home-node'), homeName(home.nodeId, runtimes) || '…')
      set(byId('home-node'), { title: home.nodeId })
      setText(byId('home-state'), STATE_WORDS[home.state])
      set(byId('home-state'), { 'data-tone': home.state === 'open' ? 'ok' : self ? 'bad' : 'busy' })
      set(byId('home'), { 'data-state': home.state, 'data-node': home.nodeId })
      byId('stop').hidden = demo === undefined
      const isIdle = home.state === 'open' && !stopping
      set(button, { 'aria-disabled': String(!isIdle) })
      setText(button, stopping ? 'Stopping…' : 'Stop this page’s home')
      setText(byId('stop-hint'), hint(demo?.running.length ?? 0))
    },
  }
}

function hint(running: number): string {
  return running > 1
    ? `Kills its process. ${running} nodes are running.`
    : 'The last node that runs; npm run demo starts all again.'
}
