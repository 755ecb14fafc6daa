// What collectives cost, counted at the port, and what they take at the call.
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { TIMING } from '../../lib/base/timing.js'
import { Communicator } from '../../lib/comm/communicator.js'
import { Job } from '../../lib/comm/job.js'
import { localPorts } from '../../lib/comm/local.js'
import type { Incoming, Message, Port, Wanted } from '../../lib/comm/port.js'
import type { RankFailure } from '../../lib/protocol/ranks.js'
import { nodeRuntime } from '../../lib/transport/runtime.js'
import { onAll } from '../support/job.js'

const test = suite('communicator')

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

function countedRanks(size: number): { comms: Communicator[]; taken: () => number } {
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

for (const size of [1, 2, 17, 20, 300]) {
  test(`${size} ranks: each collective sends exactly the messages that it says`, async () => {
    const { comms, taken } = countedRanks(size)
    const others = size - 1
    const cases: readonly [string, number, (comm: Communicator) => Promise<unknown>][] = [
      ['barrier', 2 * others, (comm) => comm.barrier()],
      ['bcast', others, (comm) => comm.bcast(1)],
      ['bcast from the last', others, (comm) => comm.bcast(1, others)],
      ['gather', others, (comm) => comm.gather(1)],
      ['scatter', others, (comm) => comm.scatter(comms.map((_, rank) => rank))],
      ['reduce', others, (comm) => comm.reduce(1, 'sum')],
      ['allreduce', 2 * others, (comm) => comm.allreduce(1, 'sum')],
      ['allgather', 2 * others, (comm) => comm.allgather(1)],
      ['agree', 2 * others, (comm) => comm.agree('open', 1)],
      ['consult', 2 * others, (comm) => comm.consult('open', 1, () => 1)],
      ['scan', 2 * others, (comm) => comm.scan(1, 'sum')],
      ['exscan', 2 * others, (comm) => comm.exscan(1, 'sum')],
      ['dup', 2 * others, (comm) => comm.dup()],
      ['split', 2 * others, (comm) => comm.split(0)],
    ]
    for (const [name, expected, call] of cases) {
      taken()
      await onAll(comms, call)
      assert.is(taken(), expected, name)
    }
    if (size > 20) return
    await onAll(comms, (comm) => comm.alltoall(comms.map(() => 1)))
    assert.is(taken(), size * others)
  })
}

test('sums of floating point numbers are the same on all ranks, and at each repeat', async () => {
  const { comms } = countedRanks(20)
  const sum = (): Promise<number[]> =>
    onAll(comms, (comm) => comm.allreduce(1 / (comm.rank + 3), 'sum'))
  const [first, second] = [await sum(), await sum()]
  assert.is(new Set([...first, ...second]).size, 1)
})

test('what is taken at the call does not change with the object', async () => {
  const { comms } = countedRanks(2)
  await onAll(comms, async (comm) => {
    const value = { list: [comm.rank] }
    const pending = [
      comm.allgather(value),
      comm.allreduce(value, (a, b) => ({ list: [...a.list, ...b.list] })),
    ] as const
    value.list.push(99)
    assert.equal(await pending[0], [{ list: [0] }, { list: [1] }])
    assert.equal(await pending[1], { list: [0, 1] })
  })
})

test.run()
