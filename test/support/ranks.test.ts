// The ranks of tests, above all that a failure of one of them is what a test fails with.
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { IoError } from '../../lib/base/errors.js'
import { rejects } from './assertions.js'
import { onRanks } from './ranks.js'

const test = suite('onRanks')

/** No manager is asked for anything here. */
const NOWHERE = { url: 'rankio://127.0.0.1:1' }

const mine = new IoError('MPI_ERR_OTHER', 'rank 1 it was')

test('it gives the results by rank', async () => {
  assert.equal(await onRanks(3, NOWHERE, async ({ rank, size }) => rank * size), [0, 3, 6])
})

test('a rank that fails ends the others, and its error is told', async () => {
  const failing = onRanks(3, NOWHERE, async (comm) => {
    if (comm.rank === 1) throw mine
    await comm.barrier()
  })
  assert.is(await rejects(failing), mine)
})

test('what a disposer adds does not hide what went wrong first', async () => {
  const failing = onRanks(2, NOWHERE, async (comm) => {
    await using _ = {
      [Symbol.asyncDispose]: async () => {
        throw new IoError('MPI_ERR_NOT_SAME', 'out of step')
      },
    }
    if (comm.rank === 1) throw mine
  })
  assert.is(await rejects(failing), mine)
})

test.run()
