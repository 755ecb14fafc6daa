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
  readonly #hosts: readonly string[]
  readonly #count: (isBetweenHosts: boolean) => void

  constructor(port: Port, hosts: readonly string[], count: (isBetweenHosts: boolean) => void) {
    this.#port = port
    this.#hosts = hosts
    this.#count = count
  }

  hostOf(rank: number): string {
    return this.#hosts[rank] ?? ''
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
    this.#count(this.hostOf(dest) !== this.hostOf(this.rank))
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

/**
 * Ranks, and functions that tell how many messages they have sent since one was last called, in all or by whether they
 * go to another host. `hosts` are the names of the ranks' hosts, by rank; all are on one if there are none.
 */
export function countedRanks(
  size: number,
  hosts: readonly string[] = [],
): {
  readonly comms: Communicator[]
  readonly taken: () => number
  readonly takenByWay: () => { readonly between: number; readonly within: number }
} {
  let [between, within] = [0, 0]
  const runtime = nodeRuntime()
  const comms = localPorts(size).map((port) => {
    const counting = new CountingPort(port, hosts, (isBetweenHosts) => {
      if (isBetweenHosts) between++
      else within++
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
  const takenByWay = (): { readonly between: number; readonly within: number } => {
    const before = { between, within }
    between = 0
    within = 0
    return before
  }
  const taken = (): number => {
    const before = takenByWay()
    return before.between + before.within
  }
  return { comms, taken, takenByWay }
}
