/** Rule sets for nftables: what makes a router the NAT or firewall that it is said to be. */

/** What a router does with UDP; `tcp443` lets nothing out but TCP to that port. */
export type NatType = 'full' | 'address' | 'port' | 'symmetric' | 'tcp443'

/** How long a mapping lives that nobody writes through: the least that RFC 4787 allows. */
const MAPPING_LIFE_S = 120

export interface NatOptions {
  readonly type: NatType
  readonly wan: string
  readonly lan: string
  /** The address in front. */
  readonly address: string
  /** Whether what its own hosts send to that address comes back in. */
  readonly hairpin: boolean
}

export function natRules({ type, wan, lan, address, hairpin }: NatOptions): string {
  const out = `iifname "${lan}" oifname "${wan}"`
  const letIn = {
    full: `iifname "${wan}" meta l4proto udp dnat ip to udp dport map @mapped`,
    address: `iifname "${wan}" meta l4proto udp udp dport . ip saddr @peers dnat ip to udp dport map @mapped`,
    port: '',
    symmetric: '',
    tcp443: '',
  }[type]
  const turnBack = `iifname "${lan}" ip daddr ${address} meta l4proto udp dnat ip to udp dport map @mapped`
  return `table ip lab {
  map mapped { type inet_service : ipv4_addr . inet_service; flags dynamic,timeout; size 65535; timeout ${MAPPING_LIFE_S}s; }
  set peers { type inet_service . ipv4_addr; flags dynamic,timeout; size 65535; timeout ${MAPPING_LIFE_S}s; }
  # Behind source NAT, where the port is that of outside.
  chain track { type filter hook postrouting priority 110; policy accept;
    oifname "${wan}" meta l4proto udp ct direction original update @mapped { udp sport : ct original ip saddr . ct original proto-src }
    oifname "${wan}" meta l4proto udp update @peers { udp sport . ip daddr }
  }
  chain pre { type nat hook prerouting priority -100; policy accept;
    ${letIn}
    ${hairpin ? turnBack : ''}
  }
  chain post { type nat hook postrouting priority 100; policy accept;
    ${hairpin ? `iifname "${lan}" oifname "${lan}" ct status dnat snat to ${address}` : ''}
    oifname "${wan}" masquerade ${type === 'symmetric' ? 'fully-random' : ''}
  }
  chain forward { type filter hook forward priority 0; policy drop;
    ct state established,related accept
    ct status dnat accept
    ${type === 'tcp443' ? `${out} tcp dport 443 accept` : `${out} accept`}
  }
  # An unsolicited packet that were let in would leave an entry of the router's own; the host's packet to
  # that peer would then go out by another port, and hole punching fail.
  chain input { type filter hook input priority 0; policy accept;
    ct state established,related accept
    iifname "${wan}" drop
  }
}
`
}

/** A host that only hears what it asked for. */
export function firewallRules(): string {
  return `table ip lab {
  chain input { type filter hook input priority 0; policy drop;
    iifname "lo" accept
    ct state established,related accept
  }
}
`
}

/** A router that lets in by IPv6 only what its hosts asked for. */
export function firewall6Rules(wan: string): string {
  return `table ip6 lab {
  chain forward { type filter hook forward priority 0; policy drop;
    ct state established,related accept
    iifname != "${wan}" accept
  }
}
`
}

/** The core router counts what goes from whom to whom. */
export function coreRules(): string {
  return `table ip lab {
  set flows { type ipv4_addr . ipv4_addr . inet_proto; flags dynamic; size 65535; counter; }
  chain forward { type filter hook forward priority 0; policy accept;
    update @flows { ip saddr . ip daddr . meta l4proto counter }
  }
}
table ip6 lab {
  set flows { type ipv6_addr . ipv6_addr . inet_proto; flags dynamic; size 65535; counter; }
  chain forward { type filter hook forward priority 0; policy accept;
    update @flows { ip6 saddr . ip6 daddr . meta l4proto counter }
  }
}
`
}
