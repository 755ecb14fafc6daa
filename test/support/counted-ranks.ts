// Ranks of one process whose messages are counted at the port.
import { TIMING } from '../../lib/base/timing.js'
import { Communicator } from '../../lib/comm/communicator.js'
import { Job } from '../../lib/comm/job.js'
import { localPorts } from '../../lib/comm/local.js'
import type { Incoming, Message, Port, Wanted } from '../../lib/comm/port.js'
import type { RankFailure } from '../../lib/protocol/ranks.js'
import { nodeRuntime } from '../../lib/transport/runtime.js'

/** Waits are told after 10 minutes, so that the counts are those of the collectives alone. */
const PATIENT = { ...TIMING, heartbeatMs: 500 * 60_000 }

class CountingPort implements Port {
  readonly #port: Port
  readonly #count: () => void

  constructor(port: Port, count: () => void) {
    this.#port = port
    this.#count = count
  }

  get rank(): number {
    return this.#port.rank
  }

  get size(): number {
    return this.#port.size
  }

  send(
    dest: number,
    context: number,
    tag: number,
    head: Uint8Array,
    parts: readonly Uint8Array[],
  ): Promise<void> {
    this.#count()
    return this.#port.send(dest, context, tag, head, parts)
  }

  recv(source: Wanted, context: number, tag: Wanted): Promise<Message> {
    return this.#port.recv(source, context, tag)
  }

  listen(context: number, hear: (incoming: Incoming) => void): void {
    this.#port.listen(context, hear)
  }

  forget(context: number, error: Error): void {
    this.#port.forget(context, error)
  }

  fail(failure: RankFailure): void {
    this.#port.fail(failure)
  }

  onFailure(hear: (failure: RankFailure) => void): () => void {
    return this.#port.onFailure(hear)
  }

  watch(rank: number): void {
    this.#port.watch(rank)
  }

  leave(together: boolean): Promise<void> {
    return this.#port.leave(together)
  }
}

/** Ranks, and a function that tells how many messages they have sent since it was last called. */
export function countedRanks(size: number): {
  readonly comms: Communicator[]
  readonly taken: () => number
} {
  let count = 0
  const runtime = nodeRuntime()
  const comms = localPorts(size).map((port) => {
    const counting = new CountingPort(port, () => {
      count++
    })
    const id = '0'.repeat(32)
    return Communicator.world(
      counting,
      new Job({
        id: 'test',
        runtime,
        timing: PATIENT,
        clientId: id,
        sessionId: id,
        managerUrl: undefined,
        managerLink: undefined,
      }),
    )
  })
  const taken = (): number => {
    const before = count
    count = 0
    return before
  }
  return { comms, taken }
}
