// A peer that says what a test wants, and nothing by itself: no retries, no reconnects.
import { isIoError, type IoError, type Reason } from '../../lib/base/errors.js'
import { randomId } from '../../lib/base/runtime.js'
import { idBytes } from '../../lib/protocol/codec.js'
import { COMMON, type Hello, MAGIC, NO_ID } from '../../lib/protocol/hello.js'
import type { Role } from '../../lib/protocol/operation.js'
import { type Call, type ControlRow, type Reply, Rpc } from '../../lib/transport/rpc.js'
import { MANAGER_ADDRESS, portOf, type SimOpen, type World } from '../sim/world.js'
import { ExpectationError } from '../support/assertions.js'

/** What may be set for one peer. */
export interface RawOptions {
  readonly role?: Role
  readonly sessionId?: string
  readonly fsid?: string
  readonly clientId?: string
  readonly connGen?: number
  /** Host that it connects from. */
  readonly from?: string
}

/** One connection that has said hello. */
export class Raw {
  readonly rpc: Rpc
  readonly #world: World
  #requestId = 100

  private constructor(world: World, rpc: Rpc) {
    this.#world = world
    this.rpc = rpc
  }

  /** Connects to an iod, or to the manager. */
  static async connect(
    world: World,
    server: number | 'manager',
    options: RawOptions = {},
  ): Promise<Raw> {
    const { from = 'raw', role = 'client', sessionId = NO_ID, fsid = NO_ID, connGen = 1 } = options
    const host = world.sim.host(from)
    const address =
      server === 'manager'
        ? MANAGER_ADDRESS
        : ({ kind: 'tcp', host: `iod-${server}`, port: portOf(server) } as const)
    const connect = host.network.connect(address, { timeoutMs: 1000 })
    const rpc = new Rpc(await world.run(connect), host.clock, world.timing, 'server')
    const hello: Hello = {
      magic: MAGIC,
      version: 1,
      features: 0,
      role,
      fsid,
      clientId: options.clientId ?? randomId(host.random),
      connGen,
      sessionId,
      authentication: 'none',
    }
    await world.run(rpc.control(1, COMMON.hello, hello))
    return new Raw(world, rpc)
  }

  /** Makes one call. */
  async call(call: Call): Promise<Reply> {
    return await this.#world.run(this.rpc.call(++this.#requestId, call))
  }

  /** Makes one control call. */
  async control<Q, A>(row: ControlRow<Q, A>, request: Q): Promise<A> {
    return await this.#world.run(this.rpc.control(++this.#requestId, row, request))
  }
}

/** The fields of a data request of an open; `part` is the position of the iod in the stripe. */
export function requestOf(
  { file, opened }: SimOpen,
  part: number,
): Pick<Call, 'handle' | 'capability' | 'part' | 'stripLog2'> {
  return {
    handle: opened.handle,
    capability: idBytes(file.capability),
    part,
    stripLog2: Math.log2(opened.layout.stripSize),
  }
}

/** The error that a promise is rejected with, which must have this reason. */
export async function refusal(promise: Promise<unknown>, reason?: Reason): Promise<IoError> {
  try {
    await promise
  } catch (error) {
    if (isIoError(error) && error.context.reason === reason) return error
    throw new ExpectationError(`expected reason ${reason}, got ${String(error)}`, { cause: error })
  }
  throw new ExpectationError(`expected reason ${reason}, but it resolved`)
}
