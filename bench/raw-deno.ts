/** The reference on Deno: a forwarder on `Deno.serve` that looks a frame's target up and sends the frame on, no more. */

/** What is used of Deno. */
interface Deno {
  serve(options: object, handle: (request: Request) => Response): unknown
  upgradeWebSocket(request: Request): { readonly socket: WebSocket; readonly response: Response }
}

const { Deno: deno } = globalThis as unknown as { readonly Deno: Deno }
const sockets = new Map<string, WebSocket>()
const latin1 = new TextDecoder('latin1')

const onListen = ({ port }: { port: number }): void =>
  console.log(JSON.stringify({ url: `ws://127.0.0.1:${port}` }))
deno.serve({ hostname: '127.0.0.1', port: 0, onListen }, (request) => {
  const { socket, response } = deno.upgradeWebSocket(request)
  socket.binaryType = 'arraybuffer'
  socket.addEventListener('message', ({ data }) => {
    const frame = new Uint8Array(data as ArrayBuffer)
    // A first message of 32 bytes says who the sender is; later ones have their target at byte 48.
    if (frame.length === 32) sockets.set(latin1.decode(frame), socket)
    else sockets.get(latin1.decode(frame.subarray(48, 80)))?.send(frame)
  })
  return response
})
