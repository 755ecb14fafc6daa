import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { IoError } from '../../lib/base/errors.js'
import { deferred } from '../../lib/base/deferred.js'
import { Intents } from '../../servers/manager/intents.js'
import { MemoryDisk } from '../../servers/manager/store/memory.js'
import type { Store } from '../../servers/manager/store/store.js'

const test = suite('intents')

test('intents are numbered for each iod, in order, and told in order', async () => {
  const { intents, store } = await fresh()
  await remove(intents, store, 1, [0, 1])
  await remove(intents, store, 2, [1])
  assert.equal(handles(intents, 0), [1])
  assert.equal(handles(intents, 1), [1, 2])
  const [first, second] = intents.of(1)
  assert.ok((first?.sequence ?? 0) < (second?.sequence ?? 0))
  assert.is(intents.size, 3)
})

test('an intent counts only after its transaction', async () => {
  const { intents, store } = await fresh()
  const gate = deferred<void>()
  const during = intents.during(async (reserve) => {
    const operations = reserve([
      { iod: 0, kind: 'remove', handle: 1, localSize: 0, hasData: false },
    ])
    await gate.promise
    await store.transact({ compare: [], operations, durability: 'flushed' })
  })
  assert.equal(handles(intents, 0), [])
  gate.resolve()
  assert.equal(await during, [0])
  assert.equal(handles(intents, 0), [1])
})

test('an intent whose transaction fails never counts, and holds up nobody', async () => {
  const { intents, store } = await fresh()
  const failing = intents.during(async (reserve) => {
    reserve([{ iod: 0, kind: 'remove', handle: 1, localSize: 0, hasData: false }])
    await Promise.resolve()
    throw new Error('the disk is gone')
  })
  await failing.then(
    () => assert.unreachable(),
    () => {},
  )
  await remove(intents, store, 2, [0])
  assert.equal(handles(intents, 0), [2])
})

test('a further try of a transaction takes back what the try before has reserved', async () => {
  const { intents, store } = await fresh()
  const iods = await intents.during(async (reserve) => {
    reserve([{ iod: 0, kind: 'remove', handle: 1, localSize: 0, hasData: false }])
    const operations = reserve([
      { iod: 1, kind: 'remove', handle: 2, localSize: 0, hasData: false },
    ])
    await store.transact({ compare: [], operations, durability: 'flushed' })
  })
  assert.equal(iods, [1])
  assert.equal(handles(intents, 0), [])
  assert.equal(handles(intents, 1), [2])
})

// An iod skips what is not above the highest number it has done: one that overtook would be lost.
test('none is told while a lower one is undecided, whichever is durable first', async () => {
  const { intents, store } = await fresh()
  const gate = deferred<void>()
  const slow = intents.during(async (reserve) => {
    const operations = reserve([
      { iod: 0, kind: 'remove', handle: 1, localSize: 0, hasData: false },
    ])
    await gate.promise
    await store.transact({ compare: [], operations, durability: 'flushed' })
  })
  await remove(intents, store, 2, [0, 1])
  assert.equal(handles(intents, 0), [])
  assert.equal(handles(intents, 1), [2])
  let decided = false
  const waiting = intents.decided(0).then(() => {
    decided = true
  })
  await intents.decided(1)
  assert.not(decided)
  gate.resolve()
  await slow
  await waiting
  assert.equal(handles(intents, 0), [1, 2])
})

test('what is done is forgotten, up to and with its number, also by the next manager', async () => {
  const { disk, intents, store } = await fresh()
  for (const handle of [1, 2, 3]) await remove(intents, store, handle, [0, 1])
  const second = intents.of(0)[1]?.sequence ?? 0
  await intents.done(0, second)
  await intents.done(0, second)
  assert.equal(handles(intents, 0), [3])
  disk.kill()
  const again = await Intents.load(disk.open(), 2)
  assert.equal(handles(again, 0), [3])
  assert.equal(handles(again, 1), [1, 2, 3])
})

test('of transactions that are durable out of order the intents are told in order, and done from the front', async () => {
  const { intents, store } = await fresh()
  const gate = deferred<void>()
  const slow = intents.during(async (reserve) => {
    const operations = reserve([
      { iod: 0, kind: 'remove', handle: 1, localSize: 0, hasData: false },
    ])
    await gate.promise
    await store.transact({ compare: [], operations, durability: 'flushed' })
  })
  await remove(intents, store, 2, [0])
  await remove(intents, store, 3, [0])
  assert.is(intents.countOf(0), 2)
  const decided = intents.decided(0)
  gate.resolve()
  await slow
  await decided
  assert.equal(handles(intents, 0), [1, 2, 3])
  const [first] = intents.of(0)
  await intents.done(0, first?.sequence ?? 0)
  assert.equal(handles(intents, 0), [2, 3])
  await remove(intents, store, 4, [0])
  assert.equal(handles(intents, 0), [2, 3, 4])
})

test('truncations are counted apart, those of the iod that has the most', async () => {
  const { intents, store } = await fresh()
  const cut = { kind: 'truncate', localSize: 0, hasData: false } as const
  await intents.during(async (reserve) => {
    const wishes = [0, 1, 1].map((iod, handle) => ({ ...cut, iod, handle }))
    await store.transact({ compare: [], operations: reserve(wishes), durability: 'flushed' })
  })
  await remove(intents, store, 9, [0, 1])
  assert.is(intents.truncationsMost(), 2)
  const again = await Intents.load(store, 2)
  assert.is(again.truncationsMost(), 2)
  await intents.done(1, intents.of(1)[0]?.sequence ?? 0)
  assert.is(intents.truncationsMost(), 1)
  for (const iod of [0, 1]) await intents.done(iod, Number.MAX_SAFE_INTEGER)
  assert.is(intents.truncationsMost(), 0)
})

test('what an iod has done is told no more also where the store is full, which forgets it when it has room', async () => {
  let fails = false
  const fault = (): void => {
    if (fails) throw new IoError('MPI_ERR_NO_SPACE', 'full')
  }
  const store = new MemoryDisk().open({ fault })
  const intents = await Intents.load(store, 1)
  await remove(intents, store, 1, [0])
  const cut = { iod: 0, kind: 'truncate', handle: 2, localSize: 0, hasData: false } as const
  await intents.during(async (reserve) => {
    await store.transact({ compare: [], operations: reserve([cut]), durability: 'flushed' })
  })
  fails = true
  await intents.done(0, Number.MAX_SAFE_INTEGER)
  assert.equal([intents.countOf(0), intents.truncationsMost()], [0, 0])
  assert.is((await Intents.load(store, 2)).size, 2, 'the next manager would tell it once more')
  fails = false
  // With the next, of whichever iod.
  await Promise.all([1, 1].map((iod) => intents.done(iod, Number.MAX_SAFE_INTEGER)))
  assert.is((await Intents.load(store, 2)).size, 0)
})

test('a number is never given twice, also after a loss of power and when all are done', async () => {
  const disk = new MemoryDisk()
  let highest = 0
  for (let epoch = 1; epoch <= 5; epoch++) {
    const store = disk.open()
    const intents = await Intents.load(store, epoch)
    const left = intents.of(0).length
    for (const handle of [1, 2, 3]) await remove(intents, store, handle, [0])
    for (const { sequence } of intents.of(0).slice(left)) {
      assert.ok(sequence > highest)
      highest = sequence
    }
    await intents.done(0, highest)
    if (epoch % 2 === 0) await store.flush()
    disk.crash()
  }
})

test('all fields are there again after a start', async () => {
  const { disk, intents, store } = await fresh()
  await intents.during(async (reserve) => {
    const operations = reserve([
      { iod: 1023, kind: 'truncate', handle: 2 ** 52 + 1, localSize: 2 ** 51 + 3, hasData: false },
    ])
    await store.transact({ compare: [], operations, durability: 'flushed' })
  })
  const before = intents.of(1023)
  disk.crash()
  const again = await Intents.load(disk.open(), 2)
  assert.equal(again.of(1023), before)
  assert.is(again.size, 1)
})

async function fresh(): Promise<{ disk: MemoryDisk; store: Store; intents: Intents }> {
  const disk = new MemoryDisk()
  const store = disk.open()
  return { disk, store, intents: await Intents.load(store, 1) }
}

async function remove(
  intents: Intents,
  store: Store,
  handle: number,
  iods: readonly number[],
): Promise<void> {
  await intents.during(async (reserve) => {
    const operations = reserve(
      iods.map((iod) => ({ iod, kind: 'remove', handle, localSize: 0, hasData: false })),
    )
    await store.transact({ compare: [], operations, durability: 'flushed' })
  })
}

function handles(intents: Intents, iod: number): number[] {
  return intents.of(iod).map(({ handle }) => handle)
}

test.run()
