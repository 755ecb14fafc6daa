// The least of a manager: says hello, pings, and lets ranks meet.
import { ByteReader } from '../../lib/base/bytes.js'
import { IoError } from '../../lib/base/errors.js'
import type {
  Address,
  Connection,
  FrameReceiver,
  Listener,
  Runtime,
} from '../../lib/base/runtime.js'
import type { Timing } from '../../lib/base/timing.js'
import { type Codec, encode } from '../../lib/protocol/codec.js'
import { encodeFailure, statusOf } from '../../lib/protocol/failure.js'
import {
  decodeRequest,
  encodeReply,
  type RequestHeader,
  STATUS,
  type Status,
} from '../../lib/protocol/frame.js'
import { NO_ID } from '../../lib/protocol/hello.js'
import { MANAGER } from '../../lib/protocol/manager.js'
import { silentLog } from '../../servers/common/log.js'
import { MetJobs } from '../../servers/manager/met-jobs.js'
import { Rendezvous } from '../../servers/manager/rendezvous.js'
import { MemoryDisk } from '../../servers/manager/store/memory.js'

/** A server that knows `hello`, `ping`, `join` and `leave`. */
export class MeetingServer {
  readonly rendezvous: Rendezvous
  readonly #connections = new Set<Connection>()
  #listener: Listener | undefined

  private constructor(rendezvous: Rendezvous) {
    this.rendezvous = rendezvous
  }

  /** Listens on a free port. */
  static async start(runtime: Runtime, timing: Timing): Promise<MeetingServer> {
    const { clock, random, network } = runtime
    const met = await MetJobs.load(new MemoryDisk().open(), silentLog)
    const server = new MeetingServer(new Rendezvous({ clock, random, timing, ...met }))
    const accept = (connection: Connection): void => server.#accept(connection)
    server.#listener = await network.listen({ kind: 'tcp', host: '127.0.0.1', port: 0 }, accept)
    return server
  }

  /** Where it listens. */
  get address(): Address {
    if (this.#listener === undefined) throw new Error('not started')
    return this.#listener.address
  }

  /** Ends it with its connections. */
  async close(): Promise<void> {
    for (const connection of this.#connections) connection.terminate()
    await this.#listener?.close()
  }

  #accept(connection: Connection): void {
    this.#connections.add(connection)
    connection.receive(
      new MeetingPeer(connection, this.rendezvous, () => this.#connections.delete(connection)),
    )
  }
}

class MeetingPeer implements FrameReceiver {
  readonly #connection: Connection
  readonly #rendezvous: Rendezvous
  readonly #gone: () => void
  #clientId = NO_ID
  #header: RequestHeader | undefined
  #body: Uint8Array[] = []

  constructor(connection: Connection, rendezvous: Rendezvous, gone: () => void) {
    this.#connection = connection
    this.#rendezvous = rendezvous
    this.#gone = gone
  }

  head(header: Uint8Array): void {
    this.#header = decodeRequest(header)
    this.#body = []
  }

  body(bytes: Uint8Array): void {
    this.#body.push(bytes.slice())
  }

  end(): void {
    if (this.#header !== undefined)
      void this.#serve(this.#header, new ByteReader(Buffer.concat(this.#body)))
  }

  closed(): void {
    this.#rendezvous.forget(this.#clientId)
    this.#gone()
  }

  async #serve(header: RequestHeader, from: ByteReader): Promise<void> {
    try {
      this.#answer(header, STATUS.OK, await this.#do(header.op, from))
    } catch (error) {
      const failure = error instanceof IoError ? error : new IoError('MPI_ERR_OTHER', String(error))
      this.#answer(header, statusOf(failure), encodeFailure(failure))
    }
  }

  async #do(op: number, from: ByteReader): Promise<Uint8Array> {
    if (op === MANAGER.hello.op) {
      const { clientId } = MANAGER.hello.request.read(from)
      this.#clientId = clientId
      return reply(MANAGER.hello.reply, {
        version: 1,
        features: 0,
        role: 'manager',
        fsid: NO_ID,
        incarnation: 1,
        index: 0,
        payloadBytes: 1024,
        hostId: 'host',
        epoch: 1,
        epochId: NO_ID,
      })
    }
    if (op !== MANAGER.join.op) return new Uint8Array(0)
    const request = MANAGER.join.request.read(from)
    return reply(MANAGER.join.reply, await this.#rendezvous.join(request, this.#clientId))
  }

  #answer({ op, requestId }: RequestHeader, status: Status, body: Uint8Array): void {
    const verifier = new Uint8Array(8)
    const about = { flags: 0, incarnation: 1, retryAfterMs: 0, localSize: 0, payloadCrc: 0 }
    const header = encodeReply({ ...about, op, status, requestId, verifier, length: body.length })
    this.#connection.send(header, body.length === 0 ? [] : [body])
  }
}

function reply<T>(codec: Codec<T>, value: T): Uint8Array {
  return encode(codec, value)
}
