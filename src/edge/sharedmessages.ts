/** What a tab and its shared worker say to each other over their port, and the copies that frames travel as. */

/**
 * `open`: the tab wants a link to a URL, which `opened` confirms. `frame`, `close`: of a link, both ways.
 * `read`: the tab has taken so many bytes. `ready`: the worker runs. `lock`: held for as long as its
 * sender lives.
 */
export type PortMessage =
  | readonly [kind: 'open' | 'close', link: number, text: string]
  | readonly [kind: 'frame', link: number, frame: Uint8Array]
  | readonly [kind: 'read', link: number, bytes: number]
  | readonly [kind: 'opened', link: number]
  | readonly [kind: 'lock', link: 0, name: string]
  | readonly [kind: 'ready', link: 0]

/** What each kind has third. */
const THIRD: Readonly<Record<string, (value: unknown) => boolean>> = {
  open: (value) => typeof value === 'string',
  close: (value) => typeof value === 'string',
  frame: (value) => value instanceof Uint8Array,
  read: (value) => typeof value === 'number' && value >= 0,
  lock: (value) => typeof value === 'string',
  opened: () => true,
  ready: () => true,
}

export type Port = Pick<MessagePort, 'postMessage' | 'onmessage' | 'close'>

export function post(port: Port, message: PortMessage): void {
  if (message[0] !== 'frame') {
    port.postMessage(message)
    return
  }
  // A copy of its own: the memory that a frame stands in would go along as a whole, or be missed here.
  const frame = message[2].slice()
  port.postMessage(['frame', message[1], frame], [frame.buffer])
}

/** Hands on what is a message of ours; any script of the origin may find the worker and say something else. */
export function listen(port: Port, onMessage: (message: PortMessage) => void): void {
  port.onmessage = ({ data }: MessageEvent<unknown>) => {
    if (!Array.isArray(data)) return
    const [kind, link, third] = data
    const isGood = Object.hasOwn(THIRD, kind) && Number.isSafeInteger(link)
    if (isGood && THIRD[kind]?.(third)) onMessage(data as unknown as PortMessage)
  }
}
