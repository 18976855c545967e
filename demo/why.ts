/** Why a peer is not connected, or only by a relay: a sentence, and what both sides see of their networks. */

import type { NetFacts, Why } from '../src/edge/mod.ts'
import { make, setText } from './element.ts'

export interface WhyLine {
  readonly element: HTMLElement
  update(why: Why | undefined): void
}

const MAPPINGS: Readonly<Record<NetFacts['mapping'], string>> = {
  none: 'no NAT',
  'endpoint-independent': 'NAT keeps its ports',
  'address-dependent': 'NAT changes its ports',
  unknown: 'NAT not known',
}

const UDP: Readonly<Record<NetFacts['udp'], string>> = {
  open: 'UDP works',
  blocked: 'UDP is blocked',
  unknown: 'UDP not known',
}

export function makeWhyLine(): WhyLine {
  const sentence = make('summary', {})
  const own = make('dd', {})
  const peer = make('dd', {})
  const code = make('dd', {})
  const rows = [
    ['Cause', code],
    ['This side', own],
    ['That side', peer],
  ] as const
  const list = make('dl', {}, ...rows.flatMap(([name, value]) => [make('dt', {}, name), value]))
  const element = make('details', { class: 'why', hidden: '' }, sentence, list)
  return {
    element,
    update: (why) => {
      element.hidden = !why || why.code === 'none' || why.code === 'undecided'
      if (!why) return
      setText(sentence, why.text)
      setText(code, `${why.code}, phase ${why.phase}`)
      setText(own, factsText(why.own))
      setText(peer, factsText(why.peer))
    },
  }
}

function factsText(facts: NetFacts | undefined): string {
  if (!facts) return 'tells nothing of its network'
  const { stun, turn } = facts
  const servers = [`STUN ${answered(stun)}`, `TURN ${answered(turn)}`]
  if (turn.codes.length > 0) servers.push(`refused with ${turn.codes.join(', ')}`)
  if (facts.relayOnly) servers.push('relays alone allowed')
  const ip = facts.ipVersions.map((version) => `IPv${version}`).join(' and ') || 'IP not known'
  return [ip, UDP[facts.udp], MAPPINGS[facts.mapping], 'filter not known', ...servers].join(' · ')
}

function answered({ asked, failed }: NetFacts['stun']): string {
  return asked === 0 ? 'none asked' : `${asked - failed} of ${asked}`
}
