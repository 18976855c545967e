/** The operator's part: the node's own edges and limits, for who holds its token. The token is kept in memory alone. */

import type { AdminView } from '../src/manage.ts'
import { ADMIN_EVERY_MS, SHOWN_ROWS } from './bounds.ts'
import { h, useEffect, useState, type VNode } from './preact.ts'
import { type AdminShown, readAdmin } from './readadmin.ts'
import { bytes, countOf, number, shortId } from './words.ts'

const LIMIT_WORDS: Readonly<Partial<Record<string, string>>> = {
  edges: 'Edges',
  standbys: 'Standbys',
  neighbours: 'Neighbours',
  homes: 'Homes known',
  recordsOfHome: 'Records of this home',
  bytesOfHome: 'Bytes of this home',
  records: 'Records in all',
  bytes: 'Bytes in all',
  topics: 'Topics',
  carriedPairs: 'Pairs carried for',
  watchers: 'Watchers',
} satisfies Partial<Record<keyof AdminView['limits'], string>>

type Asked = { readonly view: AdminShown } | { readonly error: string } | undefined

export function Admin({ network }: { readonly network: string }): VNode {
  const [token, setToken] = useState('')
  const [asked, setAsked] = useState<Asked>(undefined)

  useEffect(() => {
    if (token === '') return undefined
    let isOver = false
    let timer: ReturnType<typeof setTimeout> | undefined
    const look = async (): Promise<void> => {
      const next = await ask(token, network)
      if (isOver) return
      setAsked(next)
      // A wrong token is not shown twice: tries are counted.
      if ('view' in next) timer = setTimeout(look, ADMIN_EVERY_MS)
    }
    void look()
    return () => {
      isOver = true
      clearTimeout(timer)
    }
  }, [token, network])

  const forget = (): void => {
    setToken('')
    setAsked(undefined)
  }
  return h(
    'section',
    { class: 'panel', 'aria-labelledby': 'admin-title' },
    h('h2', { id: 'admin-title' }, 'This node, for its operator'),
    asked && 'view' in asked
      ? [h('button', { type: 'button', onClick: forget }, 'Forget the token'), shown(asked.view)]
      : form(setToken, asked),
  )
}

function form(onToken: (token: string) => void, asked: Exclude<Asked, { view: unknown }>): VNode {
  const onSubmit = (event: Event): void => {
    event.preventDefault()
    const field = (event.target as HTMLFormElement).elements.namedItem('token') as HTMLInputElement
    onToken('')
    // After the one before was taken back, so that the same may be shown again.
    queueMicrotask(() => onToken(field.value.trim()))
  }
  return h(
    'form',
    { onSubmit, class: 'token', autocomplete: 'off' },
    h('label', { for: 'token' }, 'Operator’s token'),
    h('input', {
      id: 'token',
      name: 'token',
      type: 'password',
      autocomplete: 'off',
      required: true,
      'aria-describedby': 'token-hint',
    }),
    h('button', { type: 'submit', class: 'primary' }, 'Show'),
    h(
      'p',
      { id: 'token-hint', class: 'hint' },
      'Of the file that --admin-token-file names. It is sent to this node alone and kept until the page is closed.',
    ),
    h('p', { class: 'error', role: 'alert' }, asked?.error ?? ''),
  )
}

async function ask(token: string, network: string): Promise<Exclude<Asked, undefined>> {
  try {
    const response = await fetch(`/admin.json?network=${encodeURIComponent(network)}`, {
      headers: { authorization: `Bearer ${token}` },
    })
    if (response.ok) return { view: readAdmin(await response.json()) }
    if (response.status !== 429) return { error: 'The node does not know this token.' }
    const seconds = response.headers.get('retry-after') ?? '60'
    return { error: `Too many wrong tokens; try again in ${seconds} s.` }
  } catch {
    return { error: 'The node does not answer.' }
  }
}

function shown({ edges, edgeCount, limits, refusals }: AdminShown): VNode {
  return h(
    'div',
    { class: 'admin' },
    h('h3', null, 'Limits'),
    h('dl', { class: 'limits' }, ...limits.map(limit)),
    h('h3', null, 'Signals refused'),
    refusals.length === 0
      ? h('p', { class: 'empty' }, 'None since it began.')
      : h(
          'dl',
          { class: 'limits' },
          ...refusals.map(([code, count]) =>
            h('div', null, h('dt', null, code), h('dd', null, number(count))),
          ),
        ),
    h('h3', null, `Edges at home here: ${number(edgeCount)}`),
    edges.length < edgeCount &&
      h('p', { class: 'hint' }, `The first ${countOf(edges.length, 'is', 'are')} shown.`),
    h(
      'div',
      { class: 'scroll short', tabIndex: 0, role: 'region', 'aria-label': 'Edges at home here' },
      h(
        'table',
        { class: 'edges' },
        h('caption', { class: 'unseen' }, 'Edges at home with this node'),
        h(
          'thead',
          null,
          h(
            'tr',
            null,
            ...['Edge', 'Topics', 'Watches', 'Waiting'].map((text) =>
              h('th', { scope: 'col' }, text),
            ),
          ),
        ),
        h(
          'tbody',
          null,
          ...edges
            .slice(0, SHOWN_ROWS)
            .map(({ peer, topics, watches, waitingBytes }) =>
              h(
                'tr',
                { key: peer },
                h('th', { scope: 'row', title: peer }, shortId(peer)),
                h('td', null, number(topics)),
                h('td', null, number(watches)),
                h('td', null, bytes(waitingBytes)),
              ),
            ),
        ),
      ),
    ),
  )
}

function limit([name, { used, limit: most }]: AdminShown['limits'][number]): VNode {
  const write = name.startsWith('bytes') ? bytes : number
  const word = LIMIT_WORDS[name] ?? name
  return h(
    'div',
    { 'data-limit': name },
    h('dt', null, word),
    h(
      'dd',
      null,
      `${write(used)} of ${write(most)}`,
      h('meter', {
        value: used,
        max: most || 1,
        high: 0.8 * most,
        low: 0.6 * most,
        optimum: 0,
        'aria-label': word,
      }),
    ),
  )
}
