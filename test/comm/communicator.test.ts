// What collectives cost, counted at the port, and what they take at the call.
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import type { Communicator } from '../../lib/comm/communicator.js'
import { countedRanks } from '../support/counted-ranks.js'
import { onAll } from '../support/job.js'

const test = suite('communicator')

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
      [
        'resolve',
        2 * others,
        (comm) =>
          comm.resolve('open', 1, { merge: ([one]) => one ?? 0, decide: (all) => ({ all }) }),
      ],
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
