// A socket as Node programs get the most out of it, of connections that are made and of those that are accepted: what arrives
// lands in one buffer that stays, without an event or new memory.
import { connect, Socket, type SocketConstructorOpts } from 'node:net'

/** 64 KiB: more than any message of a bare process. */
const BUFFER_BYTES = 64 * 1024

/** Takes bytes that are valid only during the call. */
type Take = (bytes: Uint8Array) => void

/** The side of a socket that Node does not document, of which an accepted one is made anew. */
interface PrivateSocket {
  _handle: unknown
}

/** Connects to a port of this host. */
export async function bareConnection(port: number, take: Take): Promise<Socket> {
  const socket = connect({ port, host: '127.0.0.1', noDelay: true, onread: onread(take) })
  return await new Promise((resolve, reject) => {
    socket.once('error', reject)
    socket.once('connect', () => resolve(socket))
  })
}

/** The same of a socket that a server with `pauseOnConnect` has accepted, which is of no more use. */
export function bareAccepted(accepted: Socket, take: (socket: Socket) => Take): Socket {
  const given = accepted as unknown as PrivateSocket
  const handle = given._handle
  given._handle = null
  accepted.destroy()
  let taker: Take = () => {}
  const options = { handle, onread: onread((bytes) => taker(bytes)) }
  const socket = new Socket(options as unknown as SocketConstructorOpts)
  taker = take(socket)
  socket.setNoDelay(true)
  socket.on('error', () => socket.destroy())
  socket.resume()
  return socket
}

function onread(take: Take): {
  readonly buffer: Uint8Array
  readonly callback: (length: number) => boolean
} {
  const buffer = new Uint8Array(BUFFER_BYTES)
  return {
    buffer,
    callback: (length) => {
      take(buffer.subarray(0, length))
      return true
    },
  }
}
