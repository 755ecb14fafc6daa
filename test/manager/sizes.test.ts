import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { errorOf, IoError } from '../../lib/base/errors.js'
import { type OpenRecord, RIGHTS } from '../../lib/protocol/records.js'
import type { FileInode } from '../../servers/manager/inodes.js'
import type { Iods } from '../../servers/manager/iods.js'
import { OpenTable } from '../../servers/manager/open-table.js'
import { Sizes } from '../../servers/manager/sizes.js'
import { MemoryDisk } from '../../servers/manager/store/memory.js'
import type { Operation, Store } from '../../servers/manager/store/store.js'
import { rejects } from '../support/assertions.js'

const test = suite('sizes')

const LAYOUT = { stripSize: 4096, iodCount: 2, firstIod: 0, iodTotal: 2 }

test('each try of the transaction that opens for writing carries the mark, also where it is known', async () => {
  const { store, sizes } = await place()
  const [first, second] = [sizes.opened(record(RIGHTS.WRITE)), sizes.opened(record(RIGHTS.WRITE))]
  assert.is(first.length, 1)
  assert.equal(keysOf(second), keysOf(first))
  // The first did not hold: what the second has made durable is there after a start.
  await commit(store, second)
  assert.not(sizes.isSettled(7))
  assert.not((await again(store)).isSettled(7))
})

test('an open for reading only marks nothing', async () => {
  const { sizes } = await place()
  assert.equal(sizes.opened(record(RIGHTS.READ)), [])
  assert.ok(sizes.isSettled(7))
})

test('each try of the transaction that settles a size takes the mark away', async () => {
  const { store, sizes } = await place()
  await commit(store, sizes.opened(record(RIGHTS.WRITE)))
  const [first, second] = [sizes.settled(7), sizes.settled(7)]
  assert.is(first.length, 1)
  assert.equal(keysOf(second), keysOf(first))
  await commit(store, second)
  assert.ok(sizes.isSettled(7))
  assert.ok((await again(store)).isSettled(7))
})

test('what is known of a size changes with the commit, and not where that fails', async () => {
  let fails = true
  const { store, sizes } = await place([], () => {
    if (fails) throw new IoError('MPI_ERR_NO_SPACE', 'full')
  })
  await rejects(commit(store, sizes.opened(record(RIGHTS.WRITE))), 'MPI_ERR_NO_SPACE')
  assert.ok(sizes.isSettled(7))
  fails = false
  const opened = commit(store, sizes.opened(record(RIGHTS.WRITE)))
  assert.ok(sizes.isSettled(7))
  await opened
  assert.not(sizes.isSettled(7))
  fails = true
  await rejects(commit(store, sizes.settled(7)), 'MPI_ERR_NO_SPACE')
  assert.not(sizes.isSettled(7))
})

test('a size is that of all iods, or unknown: one that is away, that cannot tell, or whose piece is lost', async () => {
  const answers: unknown[] = [{ localSize: 100, isMissing: false }, undefined]
  const { sizes } = await place(answers)
  for (const [answer, hasData, size] of [
    [{ localSize: 10, isMissing: false }, 0b11, 4096 + 10],
    [{ localSize: 0, isMissing: true }, 0b01, 100],
    [{ localSize: 0, isMissing: true }, 0b11, undefined],
    [errorOf('IOD_DOWN', 'away'), 0b11, undefined],
    [new IoError('MPI_ERR_IO', 'EIO'), 0b11, undefined],
  ] as const) {
    answers[1] = answer
    assert.is(await sizes.askIfUp(inode(hasData)), size)
  }
  answers[1] = { localSize: 0, isMissing: true }
  const error = await rejects(sizes.ask(inode(0b11)), 'MPI_ERR_IO')
  assert.equal([error.context.reason, error.context.iod], ['PIECE_LOST', 1])
})

async function place(
  answers: readonly unknown[] = [],
  fault: () => void = () => {},
): Promise<{ store: Store; sizes: Sizes }> {
  const store = new MemoryDisk().open({ fault })
  const call = async (iod: number): Promise<unknown> => {
    const answer = answers[iod]
    if (answer instanceof Error) throw answer
    return answer
  }
  const iods = { call, callIfUp: call } as unknown as Iods
  return { store, sizes: await Sizes.load(store, await OpenTable.load(store), iods) }
}

async function again(store: Store): Promise<Sizes> {
  return await Sizes.load(store, await OpenTable.load(store), {} as Iods)
}

function keysOf(operations: readonly Operation[]): Uint8Array[] {
  return operations.map(({ key }) => key)
}

async function commit(store: Store, operations: readonly Operation[]): Promise<void> {
  await store.transact({ compare: [], operations, durability: 'committed' })
}

function record(rights: number): OpenRecord {
  return { handle: 7, rights } as OpenRecord
}

function inode(hasData: number): FileInode {
  return { kind: 'file', handle: 7, layout: LAYOUT, hasData: Uint8Array.of(hasData) } as FileInode
}

test.run()
