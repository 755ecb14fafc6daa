import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import type { Client } from '../../lib/driver/client.js'
import { LIMITS } from '../../lib/protocol/limits.js'
import { MANAGER } from '../../lib/protocol/manager.js'
import { KINDS, keyOf } from '../../servers/manager/keys.js'
import { SharedPointers } from '../../servers/manager/shared-pointers.js'
import { MemoryDisk } from '../../servers/manager/store/memory.js'
import { entriesOf } from '../../servers/manager/store/store.js'
import { rejects } from '../support/assertions.js'
import { World } from '../sim/world.js'

const test = suite('shared pointers of the manager')

const CAPABILITY = 'c'.repeat(32)
const OTHER = 'd'.repeat(32)

type Change = 'get' | 'set' | 'add' | 'subtract'

function request(change: Change, value = 0, view = 0, start = 0) {
  return { change, value, view, start }
}

async function ask(client: Client, capability: string, change: Change, value = 0): Promise<number> {
  const asked = { capability, ...request(change, value) }
  return (await client.manager.control(MANAGER.sharedPointer, asked)).position
}

test('each change tells where the pointer was before, and begins where the view says', async () => {
  const pointers = await SharedPointers.load(new MemoryDisk().open())
  const positions: number[] = []
  for (const [change, value] of [
    ['get', 0],
    ['add', 10],
    ['add', 0],
    ['subtract', 4],
    ['set', 100],
    ['get', 0],
  ] as const)
    positions.push(await pointers.move(() => CAPABILITY, request(change, value, 0, 7)))
  assert.equal(positions, [7, 7, 17, 17, 13, 100])
})

test('what would leave the range of positions is refused, and moves nothing', async () => {
  const pointers = await SharedPointers.load(new MemoryDisk().open())
  await pointers.move(() => CAPABILITY, request('set', 5))
  await rejects(
    pointers.move(() => CAPABILITY, request('subtract', 6)),
    'MPI_ERR_ARG',
  )
  const most = Number.MAX_SAFE_INTEGER
  await rejects(
    pointers.move(() => CAPABILITY, request('add', most - 4)),
    'MPI_ERR_VALUE_TOO_LARGE',
  )
  assert.is(await pointers.move(() => CAPABILITY, request('add', most - 5)), 5)
  assert.is(await pointers.move(() => CAPABILITY, request('get')), most)
})

test('each view counts for itself; one that was replaced long ago is refused', async () => {
  const pointers = await SharedPointers.load(new MemoryDisk().open())
  for (let view = 0; view < LIMITS.viewsPerPointer; view++)
    await pointers.move(() => CAPABILITY, request('add', 10 + view, view))
  assert.is(await pointers.move(() => CAPABILITY, request('get', 0, 0)), 10)
  assert.is(await pointers.move(() => CAPABILITY, request('add', 1, LIMITS.viewsPerPointer)), 0)
  await rejects(
    pointers.move(() => CAPABILITY, request('get', 0, 0)),
    'MPI_ERR_IO',
  )
  assert.is(await pointers.move(() => CAPABILITY, request('get', 0, 1)), 11)
})

test('a pointer goes with its open to another capability, and ends with it', async () => {
  const disk = new MemoryDisk()
  const store = disk.open()
  const pointers = await SharedPointers.load(store)
  await pointers.move(() => CAPABILITY, request('add', 5))
  const operations = pointers.moved(CAPABILITY, OTHER)
  await store.transact({ compare: [], operations, durability: 'committed' })
  const again = await SharedPointers.load(store)
  assert.is(await again.move(() => OTHER, request('get')), 5)
  assert.is(await again.move(() => CAPABILITY, request('get')), 0)
  assert.equal(again.ended(CAPABILITY), [])
  await store.transact({ compare: [], operations: again.ended(OTHER), durability: 'committed' })
  assert.is(await (await SharedPointers.load(store)).move(() => OTHER, request('get')), 0)
})

test('a pointer survives its manager; a request whose reply is lost moves it once', async () => {
  await using world = await World.start()
  const client = world.client()
  const { opened } = await world.run(world.open(client, '/a'))
  assert.is(await world.run(ask(client, opened.capability, 'add', 3)), 0)
  let lost = 0
  world.frames(({ request: toServer }, op) => {
    if (op !== MANAGER.sharedPointer.op || toServer || lost > 1) return undefined
    lost++
    return { kind: 'cut', delivered: false }
  })
  assert.is(await world.run(ask(client, opened.capability, 'add', 4)), 3)
  assert.is(lost, 2)
  world.heal()
  await world.restartManager()
  assert.is(await world.run(ask(client, opened.capability, 'add', 5)), 7)
  assert.is(await world.run(ask(client, opened.capability, 'get')), 12)
})

test('a pointer is that of the session of its open, and nothing of it stays after the close', async () => {
  await using world = await World.start()
  const opened = await world.run(world.open(world.client(), '/a'))
  const { client, file } = opened
  await world.run(ask(client, file.capability, 'add', 3))
  const other = world.client()
  const error = await world.refused(ask(other, file.capability, 'add', 1))
  assert.is(error.context.reason, 'LEASE_LOST')
  await world.run(world.close(opened))
  const gone = await world.refused(ask(client, file.capability, 'get'))
  assert.is(gone.context.reason, 'LEASE_LOST')
  const left: unknown[] = []
  world.killManager()
  const store = world.metadata.open()
  for await (const entry of entriesOf(store, keyOf(KINDS.pointer))) left.push(entry)
  assert.equal(left, [])
})

test('a pointer follows its open to another capability', async () => {
  await using world = await World.start()
  const { client, file } = await world.run(world.open(world.client(), '/a'))
  await world.run(ask(client, file.capability, 'add', 3))
  const { capability } = await world.run(
    client.manager.control(MANAGER.reopen, { capability: file.capability }),
  )
  assert.is.not(capability, file.capability)
  assert.is(await world.run(ask(client, capability, 'add', 4)), 3)
  assert.is(await world.run(ask(client, file.capability, 'get')), 7)
  await world.restartManager()
  assert.is(await world.run(ask(client, capability, 'get')), 7)
})

test.run()
