/** What pages do with a minimal signalling server, to compare the mesh with. */

interface Message {
  readonly there?: string[]
  readonly from?: string
  readonly description?: RTCSessionDescriptionInit
  readonly candidate?: RTCIceCandidateInit
}

interface Plain {
  send(message: object): void
  /** Who is there, asked anew. */
  who(): Promise<string[]>
  connection(peer: string, servers: RTCIceServer[]): RTCPeerConnection
  drop(peer: string): void
}

declare global {
  var plain: Plain
}

/** Joins under the name; answers whoever calls. */
export async function joinPlain(about: {
  url: string
  name: string
  servers: RTCIceServer[]
}): Promise<void> {
  const socket = new WebSocket(about.url)
  const connections = new Map<string, RTCPeerConnection>()
  const early = new Map<string, RTCIceCandidateInit[]>()
  const asked: ((there: string[]) => void)[] = []
  const send = (message: object): void => socket.send(JSON.stringify(message))
  const connection: Plain['connection'] = (peer, iceServers) => {
    const made = new RTCPeerConnection({ iceServers })
    connections.set(peer, made)
    made.onicecandidate = ({ candidate }) => {
      if (candidate) send({ to: peer, candidate })
    }
    return made
  }
  const describe = async (made: RTCPeerConnection, peer: string): Promise<void> => {
    await made.setLocalDescription()
    send({ to: peer, description: made.localDescription })
  }
  const take = async ({ from = '', description, candidate }: Message): Promise<void> => {
    if (description?.type === 'offer') connections.get(from)?.close()
    const made =
      description?.type === 'offer' ? connection(from, about.servers) : connections.get(from)
    if (description && made) {
      await made.setRemoteDescription(description)
      for (const one of early.get(from) ?? []) await made.addIceCandidate(one)
      early.delete(from)
      if (description.type === 'offer') await describe(made, from)
    } else if (candidate && made?.remoteDescription) await made.addIceCandidate(candidate)
    else if (candidate) early.set(from, [...(early.get(from) ?? []), candidate])
  }
  globalThis.plain = {
    send,
    connection,
    who: () =>
      new Promise((resolve) => {
        asked.push(resolve)
        send({ who: true })
      }),
    drop: (peer) => {
      connections.get(peer)?.close()
      connections.delete(peer)
      early.delete(peer)
    },
  }
  await new Promise<void>((resolve, reject) => {
    socket.onmessage = ({ data }) => {
      const message = JSON.parse(data) as Message
      if (!message.there) void take(message).catch(() => undefined)
      else {
        resolve()
        asked.shift()?.(message.there)
      }
    }
    socket.onopen = () => send({ join: about.name })
    socket.onerror = () => reject(new Error(`${about.url} cannot be reached`))
  })
}

/** Asks who is there, calls, and gives the time until the channel is open, in ms. */
export async function callPlain(to: { name: string; servers: RTCIceServer[] }): Promise<number> {
  const startMs = performance.now()
  if (!(await plain.who()).includes(to.name)) throw new Error(`${to.name} is not there`)
  const made = plain.connection(to.name, to.servers)
  const channel = made.createDataChannel('')
  const opened = new Promise<void>((resolve) => {
    channel.onopen = () => resolve()
  })
  await made.setLocalDescription()
  plain.send({ to: to.name, description: made.localDescription })
  await opened
  return performance.now() - startMs
}

export function dropPlain(name: string): void {
  plain.drop(name)
}
