/** Namespaces and cables, as lines of a shell script: the core of the internet and what is plugged into it. */

import { type ChildProcess, spawn, spawnSync } from 'node:child_process'

/** Addresses for documentation (RFC 5737, RFC 3849), routed nowhere; written as programs print them. */
export const NET = '203.0.113'
export const NET6 = '2001:db8'

/** Nobody shall find the host's address in a namespace that has none. */
const NO_IPV6 = 'for i in all default; do echo 1 > /proc/sys/net/ipv6/conf/$i/disable_ipv6; done'
/** As it is by default where the module is loaded; rules for IP would see what a bridge passes on. */
const NO_BRIDGE_RULES = 'f=/proc/sys/net/bridge/bridge-nf-call-iptables; [ ! -w $f ] || echo 0 > $f'

export function inside(name: string, command: string): string {
  return `nsenter --net=/run/netns/${name} -- sh -c '${command}'`
}

export function namespace(name: string, ipv6 = false): string[] {
  return [
    `ip netns add ${name}`,
    inside(name, `${NO_BRIDGE_RULES}; ${ipv6 ? 'true' : NO_IPV6}`),
    `ip -n ${name} link set lo up`,
  ]
}

/** A cable between two namespaces, by the names of its ends there. */
export function cable(a: string, atA: string, b: string, atB: string): string[] {
  return [
    `ip -n ${a} link add ${atA} type veth peer name ${atB} netns ${b}`,
    `ip -n ${a} link set ${atA} up`,
    `ip -n ${b} link set ${atB} up`,
  ]
}

export function bridge(name: string, at: string): string[] {
  return [
    `ip -n ${name} link add ${at} type bridge mcast_snooping 0`,
    `ip -n ${name} link set ${at} up`,
  ]
}

export function forwards(name: string): string[] {
  return [
    inside(
      name,
      `echo 1 > /proc/sys/net/ipv4/ip_forward;
       [ ! -d /proc/sys/net/ipv6/conf/all ] || echo 1 > /proc/sys/net/ipv6/conf/all/forwarding`,
    ),
  ]
}

export function rules(name: string, text: string): string[] {
  return [`nsenter --net=/run/netns/${name} -- nft -f - <<'NFT'\n${text}NFT`]
}

/** The core: a switch, and a router that drops what is for no address of the laboratory. */
export function core(text: string): string[] {
  return [
    ...namespace('core', true),
    ...bridge('core', 'br0'),
    `ip -n core addr add ${NET}.1/24 dev br0`,
    `ip -n core addr add ${NET6}::1/64 dev br0 nodad`,
    'ip -n core route add blackhole default',
    ...forwards('core'),
    inside(
      'core',
      'for i in all default br0; do echo 0 > /proc/sys/net/ipv4/conf/$i/send_redirects; done',
    ),
    ...rules('core', text),
  ]
}

/** Plugs the program of the laboratory itself in, as a host that all servers answer. */
export function plugSelf(): string[] {
  return [
    'ip link add eth0 type veth peer name port2 netns core',
    'ip -n core link set port2 up master br0',
    'ip link set eth0 up',
    `ip addr add ${NET}.2/32 dev eth0`,
    `ip route add ${NET}.1 dev eth0`,
    `ip route add default via ${NET}.1`,
  ]
}

/** Plugs the namespace into the core by `at`; the port there has the number. */
export function plug(name: string, at: string, port: number): string[] {
  return [...cable(name, at, 'core', `port${port}`), `ip -n core link set port${port} master br0`]
}

/**
 * A public address. All goes by the core, each address for itself: were all on one segment, each router
 * would ask for each other's, and the kernel's table of neighbours is one for all namespaces.
 */
export function publicAddress(name: string, at: string, host: number): string[] {
  return [
    `ip -n ${name} addr add ${NET}.${host}/32 dev ${at}`,
    `ip -n ${name} route replace ${NET}.1 dev ${at}`,
    `ip -n ${name} route replace default via ${NET}.1 dev ${at}`,
  ]
}

export function publicAddress6(name: string, at: string, host: number): string[] {
  return [
    `ip -n ${name} addr add ${NET6}::${host}/128 dev ${at} nodad`,
    `ip -n ${name} -6 route replace ${NET6}::1 dev ${at}`,
    `ip -n ${name} -6 route replace default via ${NET6}::1 dev ${at}`,
  ]
}

/** Runs lines of shell; throws at the first that fails. */
export function runLines(lines: readonly string[]): string {
  const input = `set -e\nexport PATH="$PATH:/usr/sbin:/sbin"\n${lines.join('\n')}\n`
  const { status, stdout, stderr } = spawnSync('bash', ['-s'], { input, encoding: 'utf8' })
  if (status !== 0) throw new Error(`The laboratory cannot be built: ${stderr.trim()}`)
  return stdout
}

/** The words before a command that has to run in this namespace. */
export function into(name: string): string[] {
  return ['nsenter', `--net=/run/netns/${name}`, '--']
}

/** Starts a program in a namespace, and waits for a line that it says when it is ready. */
export function start(
  name: string,
  command: readonly string[],
  ready: string,
): Promise<ChildProcess> {
  const [first = '', ...rest] = [...into(name), ...command]
  const child = spawn(first, rest, { stdio: ['ignore', 'pipe', 'pipe'] })
  return new Promise((resolve, reject) => {
    let said = ''
    const hear = (text: string): void => {
      said = `${said}${text}`.slice(-4_000)
      if (said.includes(ready)) resolve(child)
    }
    child.stdout?.setEncoding('utf8').on('data', hear)
    child.stderr?.setEncoding('utf8').on('data', hear)
    child.once('close', (code) => reject(new Error(`${command.join(' ')} ended: ${code}\n${said}`)))
  })
}
