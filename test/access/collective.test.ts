// The collective algorithm on files in memory, whose faults can be chosen; no servers.
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { WindowPool } from '../../lib/access/aggregator.js'
import { accessCollectively, type SharedFile } from '../../lib/access/collective.js'
import type { CollectiveSettings } from '../../lib/access/plan.js'
import { IoError } from '../../lib/base/errors.js'
import type { Communicator } from '../../lib/comm/communicator.js'
import type { Access } from '../../lib/driver/driver.js'
import { MemoryFile, MemoryStore } from '../../lib/driver/memory.js'
import { assertBytes, pattern, plainAccess } from '../contract/driver.js'
import { rejects } from '../support/assertions.js'
import { onRanks } from '../support/ranks.js'

const test = suite('accessCollectively')

/** No manager is asked for anything here. */
const NOWHERE = { url: 'rankio://127.0.0.1:1' }

const full = new IoError('MPI_ERR_NO_SPACE', 'full')

/** Each rank moves its own bytes, as long as nothing else is asked for. */
const ALONE: CollectiveSettings = {
  aggregators: [0],
  bufferSize: 2 ** 20,
  combine: 'automatic',
  read: 'disable',
  write: 'disable',
}

function shared(comm: Communicator, driver: MemoryFile, settings = ALONE): SharedFile {
  return { comm, driver, settings, pool: new WindowPool() }
}

function write(
  comm: Communicator,
  file: MemoryFile,
  offset: number,
  bytes: Uint8Array,
): Promise<number> {
  const access = plainAccess(offset, bytes)
  return accessCollectively(shared(comm, file), {
    operation: 'writeAll',
    kind: 'write',
    access,
    error: undefined,
  })
}

for (const size of [1, 2, 3, 4, 8]) {
  test(`${size} ranks write and read each its own bytes`, async () => {
    const store = new MemoryStore()
    await onRanks(size, NOWHERE, async (comm) => {
      const file = new MemoryFile(store)
      const mine = pattern(100, comm.rank)
      assert.is(await write(comm, file, comm.rank * 100, mine), 100)
      const buffer = new Uint8Array(100)
      const access = plainAccess(((comm.rank + 1) % size) * 100, buffer)
      const moved = await accessCollectively(shared(comm, file), {
        operation: 'readAll',
        kind: 'read',
        access,
        error: undefined,
      })
      assert.is(moved, 100)
      assertBytes(buffer, pattern(100, (comm.rank + 1) % size), 'read')
    })
    assert.is(store.size, size * 100)
  })
}

test('ranks with nothing to do take part', async () => {
  const store = new MemoryStore()
  const moved = await onRanks(4, NOWHERE, async (comm) => {
    return await write(comm, new MemoryFile(store), 0, pattern(comm.rank === 2 ? 10 : 0))
  })
  assert.equal(moved, [0, 0, 10, 0])
  assert.is(store.size, 10)
})

test('an error that a rank brings along stops all before a byte moves', async () => {
  const store = new MemoryStore()
  await onRanks(4, NOWHERE, async (comm) => {
    const file = new MemoryFile(store)
    const bad = new IoError('MPI_ERR_COUNT', 'count -1')
    const mine = comm.rank === 1 || comm.rank === 3
    const access = mine ? undefined : plainAccess(0, pattern(10))
    const error = await rejects(
      accessCollectively(shared(comm, file), {
        operation: 'writeAll',
        kind: 'write',
        access,
        error: mine ? bad : undefined,
      }),
    )
    if (mine) assert.is(error, bad)
    else assert.equal([error.context.reason, error.context.rank], ['REMOTE', 1])
    // The communicator goes on.
    await comm.barrier()
  })
  assert.is(store.size, 0)
})

test('a failure of the driver on one rank is told to all, and the rest has moved', async () => {
  const store = new MemoryStore()
  await onRanks(3, NOWHERE, async (comm) => {
    const file = new MemoryFile(store, {
      fault: (operation) => (comm.rank === 2 && operation === 'write' ? full : undefined),
    })
    const error = await rejects(write(comm, file, comm.rank * 10, pattern(10)))
    if (comm.rank === 2) assert.is(error, full)
    else assert.equal([error.context.reason, error.context.rank], ['REMOTE', 2])
  })
  assert.is(store.size, 20)
})

test('ranks that call different operations all get MPI_ERR_NOT_SAME', async () => {
  const store = new MemoryStore()
  await onRanks(3, NOWHERE, async (comm) => {
    const derived = await comm.dup()
    const kind = comm.rank === 1 ? 'read' : 'write'
    const error = await rejects(
      accessCollectively(shared(derived, new MemoryFile(store)), {
        operation: `${kind}All`,
        kind,
        access: plainAccess(0, pattern(10)),
        error: undefined,
      }),
      'MPI_ERR_NOT_SAME',
    )
    assert.match(
      error.message,
      /rank 1 called readAll, rank [02] writeAll|rank 2 called writeAll, rank 1 readAll/,
    )
  })
  assert.is(store.size, 0)
})

test('little accesses that lie side by side are one of a single region, and others are not', async () => {
  for (const gap of [0, 1]) {
    const store = new MemoryStore()
    const seen: Access[] = []
    await onRanks(3, NOWHERE, async (comm) => {
      const file = new SeenFile(store, seen)
      const at = (2 - comm.rank) * (10 + gap)
      for (const kind of ['write', 'read'] as const) {
        const buffer = kind === 'write' ? pattern(10, comm.rank) : new Uint8Array(10)
        const access = plainAccess(at, buffer)
        const mine = { operation: kind, kind, access, error: undefined }
        assert.is(await accessCollectively(shared(comm, file, AUTOMATIC), mine), 10)
        assertBytes(buffer, pattern(10, comm.rank), kind)
      }
    })
    assert.equal(
      seen.map(({ span, at, bytes }) => [span?.(), at, bytes]),
      gap === 0
        ? [
            [{ start: 0, end: 30, pieces: 1, isDistinct: true }, undefined, 30],
            [{ start: 0, end: 30, pieces: 1, isDistinct: true }, 0, 30],
          ]
        : [
            [undefined, undefined, 30],
            [undefined, 0, 30],
          ],
    )
  }
})

/** Remembers what it was asked to do. */
class SeenFile extends MemoryFile {
  readonly #seen: Access[]

  constructor(store: MemoryStore, seen: Access[]) {
    super(store)
    this.#seen = seen
  }

  override async write(access: Access): Promise<void> {
    this.#seen.push(access)
    await super.write(access)
  }

  override async read(access: Access): Promise<number> {
    this.#seen.push(access)
    return await super.read(access)
  }
}

/** Whether bytes go through rank 0 is told by how many there are. */
const AUTOMATIC: CollectiveSettings = { ...ALONE, read: 'automatic', write: 'automatic' }

/** Bytes of one rank; undefined where it brings an error. */
const SIZES = [undefined, 0, 100, 100_000] as const

for (const kind of ['write', 'read'] as const) {
  for (const first of SIZES) {
    for (const second of SIZES) {
      test(`two ranks ${kind} ${first ?? 'nothing but an error'} and ${second ?? 'nothing but an error'}`, async () => {
        const store = new MemoryStore()
        const content = pattern(200_000, 7)
        await new MemoryFile(store).write(plainAccess(0, content))
        const bad = new IoError('MPI_ERR_COUNT', 'count -1')
        await onRanks(2, NOWHERE, async (comm) => {
          const { rank } = comm
          const [mine, other] = rank === 0 ? [first, second] : [second, first]
          const at = rank * 100_000
          const own = kind === 'write' ? pattern(mine ?? 0, rank) : new Uint8Array(mine ?? 0)
          const moved = accessCollectively(shared(comm, new MemoryFile(store), AUTOMATIC), {
            operation: `${kind}All`,
            kind,
            access: mine === undefined ? undefined : plainAccess(at, own),
            error: mine === undefined ? bad : undefined,
          })
          if (mine === undefined) assert.is(await rejects(moved), bad)
          else if (other === undefined) assert.equal((await rejects(moved)).context.rank, 1 - rank)
          else {
            assert.is(await moved, mine)
            if (kind === 'read') assertBytes(own, content.subarray(at, at + mine), 'read')
            else content.set(own, at)
          }
          await comm.barrier()
        })
        const there = new Uint8Array(content.length)
        await new MemoryFile(store).read(plainAccess(0, there))
        assertBytes(there, content, 'in the file')
      })
    }
  }
}

test.run()
