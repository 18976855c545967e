/** The reference on Bun: a forwarder on `Bun.serve` that looks a frame's target up and sends the frame on, no more. */

interface Socket {
  send(frame: Uint8Array): unknown
}

/** What is used of Bun. */
interface Bun {
  serve(options: object): { readonly port: number }
}

const { Bun: bun } = globalThis as unknown as { readonly Bun: Bun }
const sockets = new Map<string, Socket>()

const { port } = bun.serve({
  hostname: '127.0.0.1',
  port: 0,
  fetch: (request: Request, server: { upgrade(request: Request): boolean }) =>
    server.upgrade(request) ? undefined : new Response('Not a WebSocket', { status: 400 }),
  websocket: {
    perMessageDeflate: false,
    message: (socket: Socket, frame: Buffer) => {
      // A first message of 32 bytes says who the sender is; later ones have their target at byte 48.
      if (frame.length === 32) sockets.set(frame.toString('latin1'), socket)
      else sockets.get(frame.toString('latin1', 48, 80))?.send(frame)
    },
  },
})
console.log(JSON.stringify({ url: `ws://127.0.0.1:${port}` }))
