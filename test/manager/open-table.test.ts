import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { IoError } from '../../lib/base/errors.js'
import { type OpenRecord, RIGHTS } from '../../lib/protocol/records.js'
import { iodsOf, OpenTable } from '../../servers/manager/open-table.js'
import { MemoryDisk } from '../../servers/manager/store/memory.js'
import type { Operation, Store } from '../../servers/manager/store/store.js'
import { rejects } from '../support/assertions.js'
import { property } from '../support/random.js'

const test = suite('manager open-table')

test('an open is found by capability, handle, session and iod', async () => {
  const table = new OpenTable()
  const store = new MemoryDisk().open()
  const [one, two, three] = [record(1, 7, 'a'), record(2, 7, 'b'), record(3, 8, 'b', 1)]
  for (const each of [one, two, three]) await apply(store, table.put(each))
  assert.equal(table.get(two.capability), two)
  assert.equal(table.ofHandle(7), [one, two])
  assert.equal(table.ofSession('b'.repeat(32)), [two, three])
  assert.is(table.countOf('b'.repeat(32)), 2)
  assert.is(table.countOf('c'.repeat(32)), 0)
  assert.equal(table.ofIod(0), [one, two])
  assert.equal(table.ofIod(3), [])
  assert.equal(table.sessions(), ['a'.repeat(32), 'b'.repeat(32)])
  await apply(store, table.remove(one))
  await apply(store, table.remove(one))
  assert.is(table.get(one.capability), undefined)
  assert.equal(table.ofHandle(7), [two])
  assert.equal(table.sessions(), ['b'.repeat(32)])
  assert.is(table.size, 2)
})

test('a change is there when it is committed, and not before; an open on its way in is there at once', async () => {
  let fails = true
  const full = (): void => {
    if (fails) throw new IoError('MPI_ERR_NO_SPACE', 'full')
  }
  const store = new MemoryDisk().open({ fault: full })
  const table = new OpenTable()
  const one = record(1, 7, 'a')
  table.announce({ ...one, state: 'opening' })
  assert.is(table.get(one.capability)?.state, 'opening')
  await rejects(apply(store, table.put(one)), 'MPI_ERR_NO_SPACE')
  assert.is(table.get(one.capability)?.state, 'opening')
  fails = false
  const put = apply(store, table.put(one))
  assert.is(table.get(one.capability)?.state, 'opening')
  await put
  assert.equal(table.get(one.capability), one)
  fails = true
  await rejects(apply(store, table.remove(one)), 'MPI_ERR_NO_SPACE')
  assert.equal(table.ofHandle(7), [one])
  table.retract(one)
  assert.equal([table.size, table.ofHandle(7), table.sessions()], [0, [], []])
})

test('the iods of a file come in the order of its parts, around the end of the iodtab', () => {
  assert.equal(
    iodsOf({ layout: { stripSize: 4096, iodCount: 3, firstIod: 2, iodTotal: 4 } }),
    [2, 3, 0],
  )
})

property(
  test,
  'what is in the store is what is in memory, whatever was put and removed',
  20,
  async (random) => {
    const disk = new MemoryDisk()
    const store = disk.open()
    const table = new OpenTable()
    const model = new Map<number, OpenRecord>()
    for (let step = 0; step < 60; step++) {
      const number = random.int(1, 12)
      const known = model.get(number)
      if (known !== undefined && random.chance()) {
        await apply(store, table.remove(known))
        model.delete(number)
      } else {
        const state = random.pick(['opening', 'open'] as const)
        const made = {
          ...record(number, random.int(1, 3), random.pick(['a', 'b'])),
          state,
          unlinked: random.chance(),
        }
        // A capability belongs to one open for ever.
        const put = known === undefined ? made : { ...known, state, unlinked: made.unlinked }
        await apply(store, table.put(put))
        model.set(number, put)
      }
    }
    await store.flush()
    disk.crash()
    const loaded = await OpenTable.load(disk.open())
    assert.is(loaded.size, model.size)
    assert.is(table.size, model.size)
    for (const expected of model.values()) assert.equal(loaded.get(expected.capability), expected)
  },
)

function record(number: number, handle: number, session: string, firstIod = 0): OpenRecord {
  return {
    handle,
    capability: number.toString(16).padStart(32, '0'),
    rights: RIGHTS.READ | RIGHTS.WRITE,
    sessionId: session.repeat(32),
    layout: { stripSize: 4096, iodCount: 2, firstIod, iodTotal: 4 },
    state: 'open',
    unlinked: false,
    tokenFloor: 0,
    hasData: new Uint8Array(1),
  }
}

async function apply(store: Store, operation: Operation): Promise<void> {
  await store.transact({ compare: [], operations: [operation], durability: 'committed' })
}

test.run()
