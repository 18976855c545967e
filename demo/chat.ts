/** The chat: its lines and the form below them. */

import { badge } from './badge.ts'
import { byId, make, setText } from './element.ts'
import { type ChatLine, connectedCount, isRelayed, type PageState, shortId } from './state.ts'

export interface Chat {
  render(state: PageState): void
}

/** Lines scroll along while the reader is this near to the last one. */
const NEAR_END_PX = 80

export function makeChat(say: (text: string) => void): Chat {
  const log = byId('log')
  const form = byId<HTMLFormElement>('composer')
  const input = byId<HTMLInputElement>('text')
  const hint = byId('composer-hint')
  const drawn = new Map<ChatLine, HTMLElement>()
  let reach = 0
  // What scrolls must be reachable by keyboard in browsers that do not see to it.
  log.tabIndex = 0

  form.addEventListener('submit', (event) => {
    event.preventDefault()
    const text = input.value.trim()
    if (text === '') return
    if (reach === 0) {
      setText(hint, 'Nobody is connected yet; your text is kept until somebody is.')
      return
    }
    input.value = ''
    say(text)
  })

  return {
    render: (state) => {
      reach = connectedCount(state)
      setText(
        hint,
        reach === 0
          ? 'Nobody is connected yet.'
          : isRelayed(state)
            ? `Goes sealed to ${pages(reach)}; nodes carry it where there is no straight way.`
            : `Goes straight to ${pages(reach)}, past all nodes.`,
      )
      const isAtEnd = log.scrollHeight - log.scrollTop - log.clientHeight < NEAR_END_PX
      let isNew = false
      for (const line of state.lines) {
        if (drawn.has(line)) continue
        const element = makeLine(line)
        drawn.set(line, element)
        log.append(element)
        isNew = true
      }
      for (const [line, element] of drawn) {
        if (state.lines.includes(line)) continue
        element.remove()
        drawn.delete(line)
      }
      if (!isNew) return
      const isOwn = state.lines.at(-1)?.kind === 'own'
      if (isAtEnd || isOwn) log.scrollTop = log.scrollHeight
      // On a phone the form is always in sight and the chat may not be.
      if (isOwn) log.scrollIntoView({ block: 'nearest' })
    },
  }
}

function makeLine(line: ChatLine): HTMLElement {
  const item = make('div', { class: `line ${line.kind}`, 'data-kind': line.kind })
  if (line.kind === 'note') {
    item.append(line.text)
    return item
  }
  const time = new Date(line.timeMs).toLocaleTimeString([], { hour: '2-digit', minute: '2-digit' })
  const who = line.kind === 'own' ? `you, to ${pages(line.reached ?? 0)}` : shortId(line.from)
  const about = make('span', { class: 'about' }, badge(line.from), `${who} · ${time}`)
  item.append(about, make('span', { class: 'text' }, line.text))
  return item
}

function pages(count: number): string {
  return count === 1 ? '1 page' : `${count} pages`
}
