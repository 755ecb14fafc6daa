// A bare client, as a process: makes little calls to bare servers, one after the other, alone or as two clients together: as few
// messages as our ranks send for the same, and nothing else.
import { once } from 'node:events'
import { createServer, type AddressInfo, type Socket } from 'node:net'
import { bareAccepted, bareConnection } from './bare-socket.js'
import { checkTransfer, fillTransfer, spoil } from './pattern.js'
import { ANSWER_BYTES, RAW, REQUEST_BYTES } from './socket-wire.js'
import { monotonicMs } from './tasks/rank.js'

/** What a client is told at its start: the ports of all servers, and its own number of 0 and 1. */
export interface BarePlan {
  readonly client: number
  readonly ports: readonly number[]
}

/** What it is told to do: client 0 first tells a port, to which client 1 connects, for what both do together. */
export type BareOrder = 'listen' | number | BareCalls

/** Calls, one after the other. */
export interface BareCalls {
  readonly kind: 'write' | 'read'
  /** Each client its own, or both together, as in a collective call. */
  readonly how: 'independent' | 'collective'
  readonly bytes: number
  readonly calls: number
  readonly stripBytes: number
  /** What is read is compared with what is written so. */
  readonly verify: boolean
}

/** What it says of that. */
export interface BareReport {
  readonly startMs: number
  readonly stopMs: number
  readonly cpuSeconds: number
  /** Where client 0 listens. */
  readonly port?: number
  readonly failure?: string
}

/** One connection: messages whose lengths both ends know. */
class BareLink {
  socket: Socket | undefined
  // What has arrived and was not received yet.
  readonly #arrived = new Uint8Array(ARRIVED_BYTES)
  #have = 0
  #into: Uint8Array | undefined
  #done: () => void = () => {}

  readonly take = (bytes: Uint8Array): void => {
    this.#arrived.set(bytes, this.#have)
    this.#have += bytes.length
    if (this.#into !== undefined && this.#have >= this.#into.length) this.#receive(this.#into)
  }

  /** Resolves when all of `into` has arrived. */
  receive(into: Uint8Array): Promise<void> {
    return new Promise((done) => {
      this.#done = done
      if (this.#have >= into.length) this.#receive(into)
      else this.#into = into
    })
  }

  /** Sends parts in one system call. */
  send(...parts: readonly Uint8Array[]): void {
    this.socket?.cork()
    for (const part of parts) this.socket?.write(part)
    this.socket?.uncork()
  }

  #receive(into: Uint8Array): void {
    this.#into = undefined
    into.set(this.#arrived.subarray(0, into.length))
    this.#arrived.copyWithin(0, into.length, this.#have)
    this.#have -= into.length
    this.#done()
  }
}

const MICROSECONDS = 1e6

/** What one client may have sent before the other receives it. */
const ARRIVED_BYTES = 128 * 1024

await attend(JSON.parse(process.argv[2] ?? '{}') as BarePlan)

async function attend({ client, ports }: BarePlan): Promise<void> {
  const servers = await Promise.all(ports.map(async (port) => await linkTo(port)))
  const other = new BareLink()
  const request = Buffer.alloc(REQUEST_BYTES)
  const answer = new Uint8Array(ANSWER_BYTES)
  process.once('disconnect', () => process.exit())
  process.on('message', ({ order }: { readonly order: BareOrder }) => {
    void carryOut(order).then((report) => process.send?.(report))
  })
  process.send?.('ready')

  async function carryOut(order: BareOrder): Promise<BareReport> {
    const cpu = process.cpuUsage()
    const startMs = monotonicMs()
    try {
      const port = await done(order)
      const { user, system } = process.cpuUsage(cpu)
      const cpuSeconds = (user + system) / MICROSECONDS
      return { startMs, stopMs: monotonicMs(), cpuSeconds, ...(port === undefined ? {} : { port }) }
    } catch (error) {
      const failure = error instanceof Error ? (error.stack ?? error.message) : String(error)
      return { startMs, stopMs: startMs, cpuSeconds: 0, failure }
    }
  }

  async function done(order: BareOrder): Promise<number | undefined> {
    if (order === 'listen') return client === 0 ? await listen(other) : undefined
    if (typeof order === 'number') {
      if (client === 1) other.socket = await bareConnection(order, other.take)
    } else await calls(order)
    return undefined
  }

  async function calls({
    kind,
    how,
    bytes,
    calls: count,
    stripBytes,
    verify,
  }: BareCalls): Promise<void> {
    const data = new Uint8Array(bytes)
    const expected = new Uint8Array(bytes)
    const both = new Uint8Array(2 * bytes)
    const isTogether = how === 'collective'
    for (let call = 0; call < count; call++) {
      // Each a block of its own, or side by side.
      const offset = (isTogether ? 2 * call + client : client * count + call) * bytes
      if (verify) {
        fillTransfer(expected, offset, client, 0)
        if (kind === 'write') data.set(expected)
        else spoil(data, expected)
      }
      if (!isTogether) await move(kind, offset, data, stripBytes)
      else if (kind === 'read') await readTogether(offset, data, stripBytes)
      else await writeTogether(offset, data, both, stripBytes)
      if (verify && kind === 'read')
        checkTransfer(data, expected, `bare client ${client}, call ${call}`)
    }
  }

  // A request and its answer.
  async function move(
    kind: 'write' | 'read',
    offset: number,
    data: Uint8Array,
    stripBytes: number,
  ): Promise<void> {
    const strip = Math.floor(offset / stripBytes)
    const server = servers[strip % servers.length]
    request.writeUInt32LE(RAW[kind], 0)
    request.writeUInt32LE(data.length, 4)
    request.writeDoubleLE(
      Math.floor(strip / servers.length) * stripBytes + (offset % stripBytes),
      8,
    )
    const done = server?.receive(kind === 'read' ? data : answer)
    if (kind === 'read') server?.send(request)
    else server?.send(request, data)
    await done
  }

  // Client 1 hands its bytes to client 0, which writes all and says so.
  async function writeTogether(
    offset: number,
    data: Uint8Array,
    both: Uint8Array,
    stripBytes: number,
  ): Promise<void> {
    if (client === 1) {
      const done = other.receive(answer)
      other.send(data)
      await done
      return
    }
    const theirs = both.subarray(data.length)
    await other.receive(theirs)
    both.set(data)
    await move('write', offset, both, stripBytes)
    other.send(answer)
  }

  // Each reads its own, then each tells the other.
  async function readTogether(offset: number, data: Uint8Array, stripBytes: number): Promise<void> {
    await move('read', offset, data, stripBytes)
    const done = other.receive(answer)
    other.send(request.subarray(0, ANSWER_BYTES))
    await done
  }
}

async function linkTo(port: number): Promise<BareLink> {
  const link = new BareLink()
  link.socket = await bareConnection(port, link.take)
  return link
}

// For one connection, which is there before anything has to be sent over it.
async function listen(link: BareLink): Promise<number> {
  const listener = createServer({ noDelay: true, pauseOnConnect: true }, (socket) => {
    listener.close()
    link.socket = bareAccepted(socket, () => link.take)
  })
  listener.listen(0, '127.0.0.1')
  await once(listener, 'listening')
  return (listener.address() as AddressInfo | null)?.port ?? 0
}
