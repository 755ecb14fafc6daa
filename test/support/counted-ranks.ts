// Ranks of one process whose messages are counted at the port.
import { totalOf } from '../../lib/base/bytes.js'
import { randomId } from '../../lib/base/runtime.js'
import { TIMING } from '../../lib/base/timing.js'
import { Communicator } from '../../lib/comm/communicator.js'
import { Job } from '../../lib/comm/job.js'
import { localPorts } from '../../lib/comm/local.js'
import type { Incoming, Message, Port, Wanted } from '../../lib/comm/port.js'
import type { RankFailure } from '../../lib/protocol/ranks.js'
import { nodeRuntime } from '../../lib/transport/runtime.js'
import type { Served } from './ranks.js'

/** Waits are told after 10 minutes, so that the counts are those of the collectives alone. */
const PATIENT = { ...TIMING, heartbeatMs: 500 * 60_000 }

class CountingPort implements Port {
  readonly #port: Port
  readonly #hosts: readonly string[]
  readonly #count: (isBetweenHosts: boolean, bytes: number) => void

  constructor(
    port: Port,
    hosts: readonly string[],
    count: (isBetweenHosts: boolean, bytes: number) => void,
  ) {
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
    this.#count(this.hostOf(dest) !== this.hostOf(this.rank), totalOf(parts))
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

/** Messages and their bytes, heads not counted, by whether they went to another host. */
export interface Traffic {
  readonly between: number
  readonly within: number
  readonly bytesBetween: number
  readonly bytesWithin: number
}

const NO_TRAFFIC: Traffic = { between: 0, within: 0, bytesBetween: 0, bytesWithin: 0 }

/**
 * Ranks, and functions that tell how many messages they have sent since one was last called, in all or by whether they
 * go to another host. `hosts` are the names of the ranks' hosts, by rank; all are on one if there are none.
 */
export function countedRanks(
  size: number,
  hosts: readonly string[] = [],
  cluster?: Served,
): {
  readonly comms: Communicator[]
  readonly taken: () => number
  readonly takenByWay: () => Traffic
} {
  let traffic = NO_TRAFFIC
  // No test computes so long that its session would need a thread.
  const { keepSession: _, ...runtime } = cluster?.runtime ?? nodeRuntime()
  const sessionId = randomId(runtime.random)
  const comms = localPorts(size).map((port) => {
    const counting = new CountingPort(port, hosts, (isBetweenHosts, bytes) => {
      const { between, within, bytesBetween, bytesWithin } = traffic
      traffic = isBetweenHosts
        ? { ...traffic, between: between + 1, bytesBetween: bytesBetween + bytes }
        : { ...traffic, within: within + 1, bytesWithin: bytesWithin + bytes }
    })
    return Communicator.world(
      counting,
      new Job({
        id: 'test',
        runtime,
        timing: cluster === undefined ? PATIENT : TIMING,
        clientId: randomId(runtime.random),
        sessionId,
        managerUrl: cluster?.url,
        managerLink: undefined,
      }),
    )
  })
  const takenByWay = (): Traffic => {
    const before = traffic
    traffic = NO_TRAFFIC
    return before
  }
  const taken = (): number => {
    const { between, within } = takenByWay()
    return between + within
  }
  return { comms, taken, takenByWay }
}
