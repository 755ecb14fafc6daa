import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { IoError } from '../../lib/base/errors.js'
import { Limiter } from '../../lib/base/limiter.js'
import { rejects } from '../support/assertions.js'
import { property } from '../support/random.js'

const test = suite('limiter')

test('what fits is admitted at once, what does not waits', async () => {
  const limiter = new Limiter(10)
  await limiter.acquire(6)
  await limiter.acquire(4)
  const line = lineOf(limiter, [1])
  await turn()
  assert.equal(line, [])
  limiter.release(4)
  await turn()
  assert.equal(line, [1])
  assert.is(limiter.used, 7)
})

test('who waits is admitted in order: a small amount does not overtake a large one', async () => {
  const limiter = new Limiter(10)
  await limiter.acquire(10)
  const line = lineOf(limiter, [8, 1, 1])
  assert.not(limiter.tryAcquire(0))
  limiter.release(3)
  await turn()
  assert.equal(line, [])
  limiter.release(5)
  await turn()
  assert.equal(line, [8])
  limiter.release(2)
  await turn()
  assert.equal(line, [8, 1, 1])
})

test('one larger amount is admitted when nothing is out, and alone', async () => {
  const limiter = new Limiter(10)
  assert.ok(limiter.tryAcquire(25))
  assert.not(limiter.tryAcquire(1))
  const line = lineOf(limiter, [30, 1])
  limiter.release(25)
  await turn()
  assert.equal(line, [30])
  limiter.release(30)
  await turn()
  assert.equal(line, [30, 1])
})

test('tryAcquire takes what is there and changes nothing otherwise', () => {
  const limiter = new Limiter(2)
  assert.ok(limiter.tryAcquire(2))
  assert.not(limiter.tryAcquire(1))
  assert.is(limiter.used, 2)
})

test('who leaves the line gets the reason, and those behind move up', async () => {
  const limiter = new Limiter(10)
  await limiter.acquire(9)
  const leaving = new AbortController()
  const late = new IoError('MPI_ERR_IO', 'late')
  const waiting = rejects(limiter.acquire(5, leaving.signal))
  const line = lineOf(limiter, [1])
  await turn()
  assert.equal(line, [])
  leaving.abort(late)
  assert.is(await waiting, late)
  await turn()
  assert.equal(line, [1])
  assert.is(limiter.used, 10)
})

test('a signal that comes after the admission changes nothing', async () => {
  const limiter = new Limiter(1)
  await limiter.acquire(1)
  const leaving = new AbortController()
  const waiting = limiter.acquire(1, leaving.signal)
  limiter.release(1)
  await waiting
  leaving.abort()
  assert.is(limiter.used, 1)
})

test('a signal that was aborted before refuses at once', async () => {
  const late = new IoError('MPI_ERR_IO', 'late')
  assert.is(await rejects(new Limiter(1).acquire(1, AbortSignal.abort(late))), late)
})

test('close refuses those who wait and those who come', async () => {
  const limiter = new Limiter(1)
  await limiter.acquire(1)
  const closed = new IoError('MPI_ERR_FILE', 'closed')
  const waiting = [rejects(limiter.acquire(1)), rejects(limiter.acquire(1))]
  limiter.close(closed)
  for (const each of waiting) assert.is(await each, closed)
  assert.is(await rejects(limiter.acquire(1)), closed)
  limiter.release(1)
  assert.is(limiter.used, 0)
})

property(
  test,
  'never more is out than the limit, but for one amount alone; all are admitted in order',
  50,
  async (random) => {
    const limit = random.int(1, 20)
    const limiter = new Limiter(limit)
    const amounts = Array.from({ length: 40 }, () => random.int(0, limit + 5))
    const out: number[] = []
    const admitted: number[] = []
    const all = amounts.map(async (amount, index) => {
      await limiter.acquire(amount)
      admitted.push(index)
      out.push(amount)
    })
    while (admitted.length < amounts.length || out.length > 0) {
      await turn()
      assert.is(
        limiter.used,
        out.reduce((sum, amount) => sum + amount, 0),
      )
      assert.ok(limiter.used <= limit || out.filter((amount) => amount > 0).length === 1)
      const [back] = out.splice(random.int(0, Math.max(0, out.length - 1)), 1)
      if (back !== undefined) limiter.release(back)
    }
    await Promise.all(all)
    assert.equal(
      admitted,
      amounts.map((_, index) => index),
    )
  },
)

test.run()

function lineOf(limiter: Limiter, amounts: readonly number[]): number[] {
  const admitted: number[] = []
  for (const amount of amounts) void limiter.acquire(amount).then(() => admitted.push(amount))
  return admitted
}

function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve))
}
