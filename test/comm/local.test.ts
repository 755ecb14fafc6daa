// Ranks in one process keep the contract of all communicators.
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { IoError } from '../../lib/base/errors.js'
import { localPorts } from '../../lib/comm/local.js'
import { localRanks } from '../../lib/comm/local-ranks.js'
import { LIMITS } from '../../lib/protocol/limits.js'
import { communicatorContract } from '../contract/communicator.js'
import { rejects } from '../support/assertions.js'
import { LOCAL_JOB } from '../support/job.js'

const test = suite('local communicator')

communicatorContract(test, LOCAL_JOB)

test('memory of a long message that was given up is not read by who wants it later', async () => {
  const [from, to] = localPorts(2)
  const sent = from?.send(1, 4, 0, new Uint8Array(1), [new Uint8Array(100_000)])
  from?.forget(4, new IoError('MPI_ERR_COMM', 'freed'))
  await rejects(sent ?? Promise.resolve(), 'MPI_ERR_COMM')
  await rejects(to?.recv(0, 4, 'any') ?? Promise.resolve(), 'MPI_ERR_COMM')
})

test('a number of ranks that is none is refused, one past the limit too', () => {
  const { ranks } = LIMITS
  for (const [size, shown] of [
    [0, '0'],
    [-1, '-1'],
    [1.5, '1.5'],
    [ranks + 1, String(ranks + 1)],
    [Number.NaN, 'NaN'],
    ['4', '"4"'],
    [null, 'null'],
    [undefined, 'undefined'],
    [Symbol('x'), 'Symbol(x)'],
  ] as const) {
    const refused = isMessage(`localRanks: ${shown} ranks: not a whole number from 1 to ${ranks}`)
    assert.throws(() => localRanks(size as number), refused, shown)
  }
})

test('one rank, and as many as the limit allows, are made', () => {
  for (const size of [1, LIMITS.ranks]) {
    const worlds = localRanks(size)
    assert.is(worlds.length, size)
    assert.is(worlds.at(-1)?.rank, size - 1)
  }
})

test('thousands of ranks in one process take some KiB each, not as much as their number', async () => {
  const size = 4000
  const before = process.memoryUsage().heapUsed
  const worlds = localRanks(size)
  const copies = await Promise.all(worlds.map(async (world) => await world.dup()))
  assert.is(new Set([...worlds, ...copies].map(({ group }) => group.ranks)).size, 1)
  // Of all ranks each would keep a MiB.
  const each = (process.memoryUsage().heapUsed - before) / size
  assert.ok(each < 100 * 1024, `${Math.round(each)} bytes a rank`)
  await Promise.all(worlds.map(async (world) => await world.free()))
})

function isMessage(message: string): (error: unknown) => boolean {
  return (error) =>
    error instanceof IoError && error.code === 'MPI_ERR_ARG' && error.message === message
}

test.run()
