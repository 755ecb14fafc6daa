// A bare server, as a process: takes requests of a few KiB, one at a time of a connection, and writes or reads a file. The least
// that Node programs can do for such calls: no protocol, no checks, no recovery. Argument: a file.
import { closeSync, openSync, readSync, writeSync } from 'node:fs'
import { type AddressInfo, createServer, type Socket } from 'node:net'
import { bareAccepted } from './bare-socket.js'
import { ANSWER_BYTES, RAW, REQUEST_BYTES } from './socket-wire.js'

/** 64 KiB of data at most. */
const MESSAGE_BYTES = REQUEST_BYTES + 64 * 1024

const [path = ''] = process.argv.slice(2)
const fd = openSync(path, 'w+')
const server = createServer({ noDelay: true, pauseOnConnect: true }, (socket) => {
  bareAccepted(socket, (own) => serving(own))
})
server.listen(0, '127.0.0.1', () => {
  process.send?.({ port: (server.address() as AddressInfo | null)?.port ?? 0 })
})
process.once('disconnect', () => {
  closeSync(fd)
  process.exit()
})

function serving(socket: Socket): (bytes: Uint8Array) => void {
  const request = Buffer.alloc(MESSAGE_BYTES)
  const answer = Buffer.alloc(ANSWER_BYTES)
  const data = Buffer.alloc(MESSAGE_BYTES)
  let have = 0
  return (bytes) => {
    request.set(bytes, have)
    have += bytes.length
    if (have < REQUEST_BYTES) return
    const length = request.readUInt32LE(4)
    const offset = request.readDoubleLE(8)
    if (request.readUInt32LE(0) === RAW.read) {
      have = 0
      socket.write(data.subarray(0, readSync(fd, data, 0, length, offset)))
    } else if (have === REQUEST_BYTES + length) {
      have = 0
      writeSync(fd, request, REQUEST_BYTES, length, offset)
      socket.write(answer)
    }
  }
}
