// A stream over a socket that `ws` takes for the socket itself. Up to the end of the handshake all bytes go
// through it; from then on `ws` sees control frames only, while a taker gets everything that arrives, in a
// buffer of this process or where the taker wants it, and frames are written past `ws` to the socket.

import * as net from 'node:net'
import { Duplex } from 'node:stream'
import { deferred } from '../base/deferred.js'

/**
 * Bytes that are read at a time; stays in the second-level cache. One buffer for all connections of a thread. 4 KiB more than
 * a usual body: one without its last 78 bytes, for the head that came before it, costs a read and a write of the datafile more.
 */
const SCRATCH_BYTES = 260 * 1024

/** Below this a buffer of the taker's is not worth a system call of its own. */
const IN_PLACE_BYTES_MIN = 32 * 1024

/** How long the test of what this Node can do may take. */
const PROBE_MS = 2_000

/** The blank line that ends the head of an HTTP message. */
const BLANK_LINE = [0x0d, 0x0a, 0x0d, 0x0a]

// Not a Buffer: whose `slice` is no copy, and who keeps a slice of what it is given expects one.
const scratch = new Uint8Array(SCRATCH_BYTES)

/** Takes what arrives after the handshake. */
export interface Taker {
  /** Bytes in the buffer of this process: valid, and the taker's to change, only during the call. */
  take(bytes: Uint8Array): void
  /** Where the next bytes may land, if there are at least `min` of them. */
  place(min: number): Uint8Array | undefined
  /** How many bytes are to be read next, of `max` at most. */
  step(max: number): number
  /** `length` bytes have landed where `place` said. */
  landed(length: number): void
  /** `ws` is about to write: what was promised to be sent before goes first. */
  flush(): void
  /** What `ws` wrote was handed to the system. */
  wrote(): void
}

// The side of a socket's handle that Node does not document; `probe` finds out whether it is as expected.
interface PrivateHandle {
  useUserBuffer(buffer: Uint8Array): void
}

interface PrivateSocket {
  _handle: PrivateHandle | null
  /** What the stream of a socket calls when it writes; without more than that it takes any number of calls. */
  _writev(
    chunks: { readonly chunk: Uint8Array }[] & { allBuffers?: boolean },
    done: (error?: Error | null) => void,
  ): void
}

function handleOf(socket: net.Socket): PrivateSocket {
  return socket as unknown as PrivateSocket
}

interface OnRead {
  readonly buffer: () => Uint8Array
  readonly callback: (length: number) => boolean
}

interface HeldWrite {
  readonly chunks: readonly Uint8Array[]
  readonly done: (error?: Error | null) => void
}

/** The stream between one socket and `ws`. */
export class SocketDuplex extends Duplex {
  /** The socket itself; while a frame is being written to it, `hold` keeps `ws` from doing so. */
  readonly socket: net.Socket
  #taker: Taker | undefined
  // Bytes of the blank line that have been seen; all of them = the handshake is over.
  #blank = 0
  #rest: Buffer[] = []
  #isInPlace = false
  #holding = false
  #held: HeldWrite | undefined
  #heldEnd: (() => void) | undefined

  private constructor(socketOf: (onread: OnRead) => net.Socket) {
    super()
    this.socket = socketOf({
      buffer: () => this.#next(),
      callback: (length) => this.#arrived(length),
    })
    this.socket.setNoDelay(true)
    this.socket.on('error', (error) => this.destroy(error))
    this.socket.on('end', () => this.push(null))
    this.socket.on('close', () => this.destroy())
    this.socket.resume()
  }

  /** A connection that is being made. */
  static connect(options: net.TcpSocketConnectOpts | net.IpcSocketConnectOpts): SocketDuplex {
    return new SocketDuplex((onread) => net.connect({ ...options, allowHalfOpen: true, onread }))
  }

  /** A connection that a server with `pauseOnConnect` has accepted; its socket is dead afterwards. */
  static accepted(socket: net.Socket): SocketDuplex {
    return new SocketDuplex((onread) => {
      const options = { handle: takeHandle(socket), allowHalfOpen: true, onread }
      return new net.Socket(options as net.SocketConstructorOpts)
    })
  }

  /** The handshake is over: `taker` gets what arrives from now on, and what has arrived behind it is returned. */
  takeOver(taker: Taker): Uint8Array {
    this.#taker = taker
    return new Uint8Array(Buffer.concat(this.#rest.splice(0)))
  }

  /** Nothing more is read until `startReading`. */
  stopReading(): void {
    this.socket.pause()
  }

  /** Ends `stopReading`. */
  startReading(): void {
    this.socket.resume()
  }

  /** The place that the taker gave is not its own any more: nothing lands there from now on. */
  withdraw(): void {
    if (!this.#isInPlace) return
    this.#isInPlace = false
    const handle = handleOf(this.socket)._handle
    if (handle !== null) handle.useUserBuffer(scratch)
  }

  /**
   * Hands memory to the system with one call, past the stream of the socket: behind what that has handed over, and before what comes.
   * It must hold nothing back. `done` may be called at once.
   */
  writeParts(parts: readonly Uint8Array[], done: (error?: Error | null) => void): void {
    const chunks = parts.map((chunk) => ({ chunk }))
    handleOf(this.socket)._writev(Object.assign(chunks, { allBuffers: true }), (error) => {
      // The stream would have done so.
      if (error) this.socket.destroy(error)
      done(error)
    })
  }

  /** What `ws` writes waits until `release`. */
  hold(): void {
    this.#holding = true
  }

  /** Ends `hold`. */
  release(): void {
    this.#holding = false
    const held = this.#held
    this.#held = undefined
    if (held !== undefined) this.#put(held.chunks, held.done)
    const end = this.#heldEnd
    this.#heldEnd = undefined
    end?.()
  }

  override _read(): void {}

  override _write(
    chunk: Uint8Array,
    _: BufferEncoding,
    done: (error?: Error | null) => void,
  ): void {
    this.#putWhenFree([chunk], done)
  }

  // `ws` writes a control frame in two parts that must stay together.
  override _writev(chunks: { chunk: Uint8Array }[], done: (error?: Error | null) => void): void {
    this.#putWhenFree(
      chunks.map(({ chunk }) => chunk),
      done,
    )
  }

  override _final(done: (error?: Error | null) => void): void {
    const end = (): void => {
      this.socket.end(() => done())
      // Nobody took over: only the end of the other side is awaited.
      if (this.#taker === undefined) this.startReading()
    }
    if (this.#holding) this.#heldEnd = end
    else end()
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    this.socket.destroy()
    done(error)
  }

  #putWhenFree(chunks: readonly Uint8Array[], done: (error?: Error | null) => void): void {
    if (this.#holding) this.#held = { chunks, done }
    else this.#put(chunks, done)
  }

  #put(chunks: readonly Uint8Array[], done: (error?: Error | null) => void): void {
    this.#taker?.flush()
    const written = (error?: Error | null): void => {
      done(error)
      if (!error) this.#taker?.wrote()
    }
    this.socket.cork()
    for (const [index, chunk] of chunks.entries()) {
      if (index === chunks.length - 1) this.socket.write(chunk, written)
      else this.socket.write(chunk)
    }
    this.socket.uncork()
  }

  // Asked by the socket after each read: where does the next one go?
  #next(): Uint8Array {
    const place = this.#taker?.place(IN_PLACE_BYTES_MIN)
    this.#isInPlace = place !== undefined
    if (place !== undefined) return place
    const step = this.#taker?.step(SCRATCH_BYTES) ?? SCRATCH_BYTES
    return step === SCRATCH_BYTES ? scratch : scratch.subarray(0, step)
  }

  #arrived(length: number): boolean {
    const taker = this.#taker
    if (taker === undefined) this.#shake(scratch.subarray(0, length))
    else if (this.#isInPlace) taker.landed(length)
    else taker.take(scratch.subarray(0, length))
    return true
  }

  // The handshake is `ws`'s; what comes behind its blank line belongs to the taker.
  #shake(bytes: Uint8Array): void {
    let at = 0
    for (; at < bytes.length && this.#blank < BLANK_LINE.length; at++) {
      const byte = bytes[at] ?? 0
      if (byte === BLANK_LINE[this.#blank]) this.#blank++
      else this.#blank = byte === BLANK_LINE[0] ? 1 : 0
    }
    const rest = Buffer.from(bytes.subarray(at))
    if (this.#blank === BLANK_LINE.length && !this.writableEnded) {
      // Before `ws` hears of it: it may hand over at once.
      this.stopReading()
      if (rest.length > 0) this.#rest.push(rest)
    }
    if (at > 0) this.push(Buffer.from(bytes.subarray(0, at)))
  }
}

// The old socket must not end the connection that it gives away, and its server must not wait for it.
function takeHandle(socket: net.Socket): PrivateHandle | null {
  const given = handleOf(socket)
  const handle = given._handle
  given._handle = null
  socket.destroy()
  return handle
}

/** Whether streams can be put over accepted sockets here, and a place be withdrawn: tried on a connection of our own. */
export async function probe(): Promise<boolean> {
  const verdict = deferred<boolean>()
  const late = setTimeout(() => verdict.resolve(false), PROBE_MS)
  const fail = (): void => verdict.resolve(false)
  const open: Duplex[] = []
  const attend = (duplex: SocketDuplex): SocketDuplex => {
    open.push(duplex)
    return duplex.on('error', fail)
  }
  const server = net.createServer({ pauseOnConnect: true })
  server.on('error', fail)
  server.on('connection', (socket) => {
    try {
      echo(attend(SocketDuplex.accepted(socket)))
    } catch {
      fail()
    }
  })
  server.listen(0, '127.0.0.1', () => {
    const address = server.address()
    if (address === null || typeof address === 'string') fail()
    else
      ask(attend(SocketDuplex.connect({ port: address.port, host: '127.0.0.1' })), (works) =>
        verdict.resolve(works),
      )
  })
  try {
    return await verdict.promise
  } finally {
    clearTimeout(late)
    server.close()
    for (const duplex of open) duplex.destroy()
  }
}

const IDLE: Taker = {
  take: () => {},
  place: () => undefined,
  step: (max) => max,
  landed: () => {},
  flush: () => {},
  wrote: () => {},
}

const PROBE_HEAD = Buffer.from('\r\n\r\n')

function echo(duplex: SocketDuplex): void {
  duplex.once('data', () => {
    const answer = (bytes: Uint8Array): void => void duplex.socket.write(Buffer.from(bytes))
    answer(duplex.takeOver({ ...IDLE, take: answer }))
    duplex.startReading()
  })
}

// Three answers: into the buffer of this process, in place, and past a place that was withdrawn. The last question goes past the
// stream of the socket.
function ask(duplex: SocketDuplex, settle: (works: boolean) => void): void {
  const place = Buffer.alloc(IN_PLACE_BYTES_MIN)
  let answers = 0
  const answered = (ok: boolean): void => {
    answers++
    if (!ok || answers === 3) return settle(ok)
    // The place is asked for when this call returns.
    setImmediate(() => {
      try {
        askAgain()
      } catch {
        settle(false)
      }
    })
  }
  const askAgain = (): void => {
    const question = Buffer.of(answers + 1)
    if (answers === 1) return void duplex.socket.write(question)
    duplex.withdraw()
    duplex.writeParts([question], () => {})
  }
  duplex.takeOver({
    ...IDLE,
    take: (bytes) => answered(answers !== 1 && bytes[0] === answers + 1 && place[0] !== 3),
    place: () => (answers === 0 ? undefined : place),
    landed: (length) => answered(answers === 1 && length === 1 && place[0] === 2),
  })
  duplex.socket.write(Buffer.concat([PROBE_HEAD, Buffer.of(1)]))
}
