import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { IoError } from '../../lib/base/errors.js'
import type { Client } from '../../lib/driver/client.js'
import { LIMITS } from '../../lib/protocol/limits.js'
import { MANAGER } from '../../lib/protocol/manager.js'
import type { OpenRecord } from '../../lib/protocol/records.js'
import { KINDS, keyOf } from '../../servers/manager/keys.js'
import { OpenTable } from '../../servers/manager/open-table.js'
import { Replaced } from '../../servers/manager/replaced.js'
import { MemoryDisk } from '../../servers/manager/store/memory.js'
import { entriesOf, type Operation, type Store } from '../../servers/manager/store/store.js'
import { rejects } from '../support/assertions.js'
import { World } from '../sim/world.js'

const test = suite('replaced capabilities')

test('whatever was replaced leads to what is in force, and is forgotten with it', async () => {
  const { replaced, store } = await start()
  await commit(store, replaced.replace(cap(1), cap(2)))
  await commit(store, replaced.replace(cap(2), cap(3)))
  await commit(store, replaced.replace(cap(8), cap(9)))
  assert.equal(
    [1, 2, 3].map(cap).map((one) => replaced.now(one)),
    [cap(3), cap(3), cap(3)],
  )
  assert.is(replaced.now(cap(7)), cap(7))
  await commit(store, replaced.ended(cap(3)))
  assert.is(replaced.now(cap(1)), cap(1))
  assert.is(replaced.now(cap(8)), cap(9))
  assert.is(replaced.size, 1)
})

test('what could not be made durable is as it was', async () => {
  let fails = false
  const full = (): void => {
    if (fails) throw new IoError('MPI_ERR_NO_SPACE', 'full')
  }
  const { replaced, store } = await start(full)
  await commit(store, replaced.replace(cap(1), cap(2)))
  fails = true
  await rejects(commit(store, replaced.replace(cap(2), cap(3))), 'MPI_ERR_NO_SPACE')
  await rejects(commit(store, replaced.ended(cap(2))), 'MPI_ERR_NO_SPACE')
  assert.is(replaced.now(cap(1)), cap(2))
  assert.is(replaced.now(cap(2)), cap(2))
  fails = false
  await commit(store, replaced.replace(cap(2), cap(3)))
  assert.is(replaced.now(cap(1)), cap(3))
})

test('so many former capabilities of an open are recognised, with one more the oldest is not', async () => {
  const { replaced, store } = await start()
  for (let index = 0; index <= LIMITS.formerCapabilities; index++) {
    await commit(store, replaced.replace(cap(index), cap(index + 1)))
    if (index < LIMITS.formerCapabilities) assert.is(replaced.now(cap(0)), cap(index + 1))
  }
  assert.is(replaced.now(cap(0)), cap(0))
  assert.is(replaced.now(cap(1)), cap(LIMITS.formerCapabilities + 1))
  assert.is(replaced.size, LIMITS.formerCapabilities)
  assert.is(await countOf(store), LIMITS.formerCapabilities)
})

test('the next manager forgets the oldest first as well, whatever they are called', async () => {
  const { replaced, store } = await start()
  // Later ones have lower names.
  const name = (index: number): string => cap(1000 - index)
  for (let index = 0; index < LIMITS.formerCapabilities; index++)
    await commit(store, replaced.replace(name(index), name(index + 1)))
  const now = name(LIMITS.formerCapabilities)
  const record = { capability: now, handle: 7, sessionId: 's' } as OpenRecord
  const table = new OpenTable()
  table.announce(record)
  const next = await Replaced.load(store, table)
  assert.is(next.size, LIMITS.formerCapabilities)
  await commit(store, next.replace(now, cap(1)))
  assert.is(next.now(name(0)), name(0))
  for (let index = 1; index <= LIMITS.formerCapabilities; index++)
    assert.is(next.now(name(index)), cap(1))
})

test('a reopen gives all ranks the same capability, also by the next manager, until the file is closed', async () => {
  await using world = await World.start()
  const session = 'a'.repeat(32)
  const [first, second] = [world.client(session), world.client(session)]
  const opened = await world.run(world.open(first, '/a'))
  const { capability } = opened.opened
  const reopen = async (client: Client, old: string): Promise<string> =>
    (await world.run(client.manager.control(MANAGER.reopen, { capability: old }))).capability
  const renewed = await reopen(first, capability)
  const twice = await reopen(first, renewed)
  await world.restartManager()
  assert.is(await reopen(second, capability), twice)
  assert.is(await reopen(second, renewed), twice)
  assert.is((await world.run(world.status())).reopens, 0)
  await world.expectAgreement()
  // By the oldest of them.
  await world.run(world.close(opened))
  assert.is((await world.run(world.status())).opens, 0)
  assert.is(await world.run(countOf(world.store)), 0)
  await world.restartManager()
  const late = await world.refused(second.manager.control(MANAGER.reopen, { capability }))
  assert.is(late.context.reason, 'LEASE_LOST')
})

test('a manager that dies at the answer to a reopen has made one new capability, which the next one gives', async () => {
  await using world = await World.start()
  const client = world.client()
  const { opened } = await world.run(world.open(client, '/a'))
  let answers = 0
  world.frames(({ to, request }, op) => {
    if (to !== 'manager:7300' || request || op !== MANAGER.reopen.op || answers++ > 0)
      return undefined
    world.killManager()
    void world.startManager()
    return { kind: 'cut', delivered: false }
  })
  const { capability } = opened
  const renewed = await world.run(client.manager.control(MANAGER.reopen, { capability }))
  assert.is(world.manager.epoch, 2)
  assert.is.not(renewed.capability, capability)
  await world.quiet()
  assert.equal(
    (await world.run(world.records())).map((record) => record.capability),
    [renewed.capability],
  )
  await world.expectAgreement()
})

test.run()

function cap(index: number): string {
  return index.toString(16).padStart(32, '0')
}

async function commit(store: Store, operations: readonly Operation[]): Promise<void> {
  await store.transact({ compare: [], operations, durability: 'committed' })
}

async function start(fault: () => void = () => {}): Promise<{ replaced: Replaced; store: Store }> {
  const store = new MemoryDisk().open({ fault })
  return { replaced: await Replaced.load(store, await OpenTable.load(store)), store }
}

async function countOf(store: Store): Promise<number> {
  let count = 0
  for await (const _ of entriesOf(store, keyOf(KINDS.replaced))) count++
  return count
}
