// The far end of a raw socket pair, as a process: takes bytes from 'data' events into a file by
// writeSync, and sends a file's bytes as readSync has them. The least that Node programs can do for the
// same work: no protocol, no checks, no recovery. Arguments: a file, a unix socket or nothing, and the address of a host.
import { closeSync, fsync, openSync, readSync, writeSync } from 'node:fs'
import { type AddressInfo, createServer, type Socket } from 'node:net'
import { ANSWER_BYTES, RAW, REQUEST_BYTES } from './socket-wire.js'

/** 256 KiB: as the iod reads. */
const CHUNK_BYTES = 256 * 1024

/** Chunks on their way at a time: as the iod has. */
const CHUNKS_OUT = 16

const [path = '', unixPath = '', host = '127.0.0.1'] = process.argv.slice(2)

serve()

function serve(): void {
  const fd = openSync(path, 'w+')
  const server = createServer({ noDelay: true }, (socket) => attend(socket, fd))
  const ready = (): void => {
    const address = server.address()
    process.send?.({
      port: typeof address === 'string' ? 0 : ((address as AddressInfo | null)?.port ?? 0),
    })
  }
  if (unixPath === '') server.listen(0, host, ready)
  else server.listen(unixPath, ready)
  process.once('disconnect', () => {
    closeSync(fd)
    process.exit()
  })
}

function attend(socket: Socket, fd: number): void {
  const request = Buffer.alloc(REQUEST_BYTES)
  const pool: Buffer[] = []
  let requestAt = 0
  let left = 0
  let offset = 0
  socket.on('error', () => socket.destroy())
  socket.on('data', (data) => {
    for (let at = 0; at < data.length; ) {
      if (left > 0) at += take(data, at)
      else at += head(data, at)
    }
  })

  function head(data: Buffer, at: number): number {
    const taken = data.copy(request, requestAt, at)
    requestAt += taken
    if (requestAt < REQUEST_BYTES) return taken
    requestAt = 0
    const op = request.readUInt32LE(0)
    const length = request.readUInt32LE(4)
    offset = request.readDoubleLE(8)
    if (op === RAW.write) left = length
    else if (op === RAW.read) send(offset, length)
    else fsync(fd, () => socket.write(Buffer.alloc(ANSWER_BYTES)))
    return taken
  }

  function take(data: Buffer, at: number): number {
    const length = Math.min(left, data.length - at)
    for (let done = 0; done < length; )
      done += writeSync(fd, data, at + done, length - done, offset + done)
    offset += length
    left -= length
    if (left === 0) socket.write(Buffer.alloc(ANSWER_BYTES))
    return length
  }

  function send(from: number, length: number): void {
    let next = from
    let out = 0
    const pump = (): void => {
      while (next < from + length && out < CHUNKS_OUT) {
        const chunk = pool.pop() ?? Buffer.allocUnsafeSlow(CHUNK_BYTES)
        const bytes = readSync(fd, chunk, 0, Math.min(CHUNK_BYTES, from + length - next), next)
        // Beyond the end of the file there is nothing: the reader would wait for ever.
        if (bytes === 0) return void socket.destroy()
        next += bytes
        out++
        socket.write(bytes === CHUNK_BYTES ? chunk : chunk.subarray(0, bytes), () => {
          out--
          pool.push(chunk)
          pump()
        })
      }
    }
    pump()
  }
}
