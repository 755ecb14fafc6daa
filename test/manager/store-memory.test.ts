import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { deferred } from '../../lib/base/deferred.js'
import { IoError } from '../../lib/base/errors.js'
import { MemoryDisk } from '../../servers/manager/store/memory.js'
import type { Durability, Store } from '../../servers/manager/store/store.js'
import { type StorePlace, storeContract } from '../contract/store.js'
import { rejects, until } from '../support/assertions.js'

const test = suite('memory store')

storeContract(test, async (): Promise<StorePlace> => {
  const disk = new MemoryDisk()
  return { open: async () => disk.open(), [Symbol.asyncDispose]: async () => {} }
})

test('a loss of power takes what was only committed, the death of the process does not', async () => {
  const disk = new MemoryDisk()
  const first = disk.open()
  await put(first, 'a', '1', 'flushed')
  await put(first, 'a', '2', 'committed')
  await put(first, 'b', '1', 'committed')
  disk.kill()
  await rejects(first.get(bytes('a')), 'MPI_ERR_IO')
  const second = disk.open()
  assert.equal(await second.get(bytes('a')), bytes('2'))
  disk.crash()
  const third = disk.open()
  assert.equal(await third.get(bytes('a')), bytes('1'))
  assert.is(await third.get(bytes('b')), undefined)
})

test('a value with a wrong bit is damaged for everybody, until it is replaced or put right', async () => {
  const disk = new MemoryDisk()
  const store = disk.open()
  await put(store, 'a', '1', 'flushed')
  await put(store, 'b', '1', 'flushed')
  assert.equal(disk.keys, [bytes('a'), bytes('b')])
  disk.rot(bytes('a'))
  assert.is((await rejects(store.get(bytes('a')))).context.reason, 'CHECKSUM')
  assert.is((await rejects(store.range(bytes(''), undefined, 10))).context.reason, 'CHECKSUM')
  assert.equal(await store.keys(bytes(''), undefined, 10), [bytes('a'), bytes('b')])
  assert.equal(await store.get(bytes('b')), bytes('1'))
  await put(store, 'a', '2', 'flushed')
  assert.equal(await store.get(bytes('a')), bytes('2'))
  disk.rot(bytes('b'))
  disk.restore()
  assert.equal(await store.get(bytes('b')), bytes('1'))
})

test('flush, and any flushed transaction, keep what was committed before', async () => {
  const disk = new MemoryDisk()
  const first = disk.open()
  await put(first, 'a', '1', 'committed')
  await first.flush()
  await put(first, 'b', '1', 'committed')
  await put(first, 'c', '1', 'flushed')
  disk.crash()
  const second = disk.open()
  assert.is((await second.range(bytes(''), undefined, 10)).length, 3)
})

test('a transaction that was being flushed when the power went is gone and was never acknowledged', async () => {
  const disk = new MemoryDisk()
  const store = disk.open({
    fault: (step) => {
      if (step === 'flush') disk.crash()
    },
  })
  const committed = put(store, 'a', '1', 'committed')
  const flushed = put(store, 'b', '1', 'flushed')
  await committed
  await rejects(flushed, 'MPI_ERR_IO')
  await using again = disk.open()
  assert.equal(await again.range(bytes(''), undefined, 10), [])
})

for (const step of ['commit', 'flush'] as const) {
  test(`a failed ${step} poisons the store: nothing is tried again`, async () => {
    const disk = new MemoryDisk()
    const steps: string[] = []
    const store = disk.open({
      fault: (now) => {
        steps.push(now)
        if (now === step) throw new IoError('MPI_ERR_IO', 'disk: injected', { errno: 'EIO' })
      },
    })
    const first = rejects(put(store, 'a', '1', 'flushed'), 'MPI_ERR_IO')
    const second = rejects(put(store, 'b', '1', 'flushed'), 'MPI_ERR_IO')
    await Promise.all([first, second])
    const error = await rejects(store.get(bytes('a')), 'MPI_ERR_IO')
    assert.is(error.context.errno, 'EIO')
    await rejects(store.flush(), 'MPI_ERR_IO')
    await rejects(put(store, 'c', '1', 'committed'), 'MPI_ERR_IO')
    await store.close()
    assert.equal(steps, step === 'commit' ? ['commit'] : ['commit', 'flush'])
  })
}

test('what could not be committed is not followed by anything in memory, also where the store goes on', async () => {
  let fails = true
  const store = new MemoryDisk().open({
    fault: () => {
      if (fails) throw new IoError('MPI_ERR_NO_SPACE', 'full')
    },
  })
  let count = 0
  const change = { key: bytes('a'), value: bytes('1'), applied: () => void count++ }
  const transact = (): Promise<boolean> =>
    store.transact({ compare: [], operations: [change], durability: 'flushed' })
  await rejects(transact(), 'MPI_ERR_NO_SPACE')
  assert.is(count, 0)
  fails = false
  await transact()
  assert.is(count, 1)
})

test('transactions that queued behind a failed group are rejected with it', async () => {
  const failure = deferred<void>()
  let hasBegun = false
  const store = new MemoryDisk().open({
    fault: () => {
      hasBegun = true
      return failure.promise
    },
  })
  const first = rejects(put(store, 'a', '1', 'flushed'), 'MPI_ERR_IO')
  await until(() => hasBegun)
  const second = rejects(put(store, 'b', '1', 'flushed'), 'MPI_ERR_IO')
  failure.reject(new IoError('MPI_ERR_IO', 'disk: injected'))
  await Promise.all([first, second])
  await store.close()
})

test('a full disk fails the transactions of one group and leaves the store usable', async () => {
  let isFull = true
  await using store = new MemoryDisk().open({
    fault: () => {
      if (isFull) throw new IoError('MPI_ERR_NO_SPACE', 'disk: full', { errno: 'ENOSPC' })
    },
  })
  await rejects(put(store, 'a', '1', 'flushed'), 'MPI_ERR_NO_SPACE')
  assert.is(await store.get(bytes('a')), undefined)
  isFull = false
  await put(store, 'a', '2', 'flushed')
  assert.equal(await store.get(bytes('a')), bytes('2'))
})

test('committed transactions are acknowledged before the flush of their group', async () => {
  const flush = deferred<void>()
  await using store = new MemoryDisk().open({
    fault: (step) => (step === 'flush' ? flush.promise : undefined),
  })
  const order: string[] = []
  const flushed = put(store, 'a', '1', 'flushed').then(() => order.push('flushed'))
  await put(store, 'b', '1', 'committed')
  order.push('committed')
  flush.resolve()
  await flushed
  assert.equal(order, ['committed', 'flushed'])
})

test('a hundred transactions of one turn share one commit and one flush', async () => {
  const steps: string[] = []
  await using store = new MemoryDisk().open({ fault: (step) => void steps.push(step) })
  const names = Array.from({ length: 100 }, (_, index) => `k${index}`)
  await Promise.all(names.map((name) => put(store, name, '1', 'flushed')))
  assert.equal(steps, ['commit', 'flush'])
})

async function put(
  store: Store,
  key: string,
  value: string,
  durability: Durability,
): Promise<void> {
  const operations = [{ key: bytes(key), value: bytes(value) }]
  await store.transact({ compare: [], operations, durability })
}

function bytes(text: string): Uint8Array {
  return new TextEncoder().encode(text)
}

test.run()
