import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { accessAtomically, type Bounds, moveAtomically, turnsOf } from '../../lib/access/atomic.js'
import { errorOf, IoError } from '../../lib/base/errors.js'
import type { AccessEnd, RangeLock } from '../../lib/driver/driver.js'
import { type MemoryFault, MemoryFile, MemoryStore } from '../../lib/driver/memory.js'
import { plainAccess } from '../contract/driver.js'
import { rejects } from '../support/assertions.js'
import { onRanks } from '../support/ranks.js'

const test = suite('atomic mode, without servers')

/** No manager is asked for anything here. */
const NOWHERE = { url: 'rankio://127.0.0.1:1' }

const at = (start: number, end: number): Bounds => ({ start, end })

const CASES: readonly (readonly [string, readonly (Bounds | undefined)[], readonly number[]])[] = [
  ['no ranks', [], []],
  ['ranks that touch but do not meet', [at(0, 5), at(5, 9), at(9, 10)], []],
  ['ranks with nothing', [undefined, at(0, 5), undefined], []],
  ['all on the same bytes', [at(0, 5), at(0, 5), at(0, 5)], [0, 1, 2]],
  ['each half on the next', [at(0, 10), at(5, 15), at(10, 20), at(15, 25)], [0, 1, 2, 3]],
  ['two pairs', [at(0, 5), at(20, 25), at(0, 5), at(20, 25)], [0, 0, 1, 1]],
  ['one over all, last', [at(0, 5), undefined, at(5, 10), at(0, 10)], [0, 0, 0, 1]],
  ['one over all, first', [at(0, 10), at(0, 5), at(5, 10)], [0, 1, 1]],
]

for (const [name, bounds, turns] of CASES) {
  test(`${name}: ${turns.length === 0 ? 'all at once' : turns.join(', ')}`, () => {
    assert.equal(turnsOf(bounds), turns)
  })
}

/** A file in memory that notes how its locks were given back. */
class LockedFile extends MemoryFile {
  readonly ends: AccessEnd[] = []

  override async lock(...range: Parameters<MemoryFile['lock']>): Promise<RangeLock> {
    const lock = await super.lock(...range)
    return { ...lock, release: async (end) => void this.ends.push(end) }
  }
}

function fileThatFails(operation: 'read' | 'write' | undefined): LockedFile {
  const fault: MemoryFault = (asked) =>
    asked === operation ? new IoError('MPI_ERR_IO', 'no reply') : undefined
  return new LockedFile(new MemoryStore(), { fault })
}

test('a lock is given back as uncertain after a write that failed, and only then', async () => {
  for (const [kind, fails, end] of [
    ['write', undefined, 'clean'],
    ['write', 'write', 'uncertain'],
    ['read', undefined, 'clean'],
    ['read', 'read', 'clean'],
  ] as const) {
    const file = fileThatFails(fails)
    const moved = moveAtomically(file, kind, plainAccess(0, new Uint8Array(10)))
    if (fails === undefined) await moved
    else await rejects(moved, 'MPI_ERR_IO')
    assert.equal(file.ends, [end], `${kind}, ${fails} fails`)
  }
})

for (const failing of [0, 1, 2, undefined]) {
  test(`the lock of a collective write is uncertain if any rank failed: ${failing ?? 'none'}`, async () => {
    const ends = await onRanks(3, NOWHERE, async (comm) => {
      const file = fileThatFails(comm.rank === failing ? 'write' : undefined)
      const access = plainAccess(comm.rank * 10, new Uint8Array(10))
      const request = { operation: 'writeAll', kind: 'write', access, error: undefined } as const
      const moved = accessAtomically(comm, file, request)
      if (failing === undefined) await moved
      else await rejects(moved, 'MPI_ERR_IO')
      return file.ends
    })
    assert.equal(ends, [[failing === undefined ? 'clean' : 'uncertain'], [], []])
  })
}

/** A file whose reads or writes fail one after the other, as `errors` say, and then no more. */
function fileThatFailsWith(operation: 'read' | 'write', errors: readonly IoError[]): LockedFile {
  const left = [...errors]
  const fault: MemoryFault = (asked) => (asked === operation ? left.shift() : undefined)
  return new LockedFile(new MemoryStore(), { fault })
}

const lockLost = (): IoError => errorOf('LOCK_LOST', 'lock: its lease is over')

test('a read whose lock is lost is done again under another one, three times at most, and a write never', async () => {
  for (const [kind, lost, locks, fails] of [
    ['read', 1, 2, false],
    ['read', 2, 3, false],
    ['read', 3, 3, true],
    ['write', 1, 1, true],
  ] as const) {
    const file = fileThatFailsWith(kind, Array.from({ length: lost }, lockLost))
    if (kind === 'read') await file.write(plainAccess(0, new Uint8Array(10).fill(3)))
    const bytes = new Uint8Array(20)
    const moved = moveAtomically(file, kind, plainAccess(0, bytes))
    if (fails) assert.is((await rejects(moved, 'MPI_ERR_IO')).context.reason, 'LOCK_LOST')
    else assert.equal([await moved, bytes[9]], [10, 3])
    assert.is(file.ends.length, locks, `${kind}, lost ${lost} times`)
  }
})

test('a collective read is done again by all ranks where nothing but the lock was lost', async () => {
  const lost = lockLost()
  const noReply = new IoError('MPI_ERR_IO', 'no reply')
  for (const [failures, locks, fails] of [
    [[[lost], [], []], 2, false],
    [[[], [lost, lost], [lost]], 3, false],
    [[[lost], [lost, lost], [lost, lost, lost]], 3, true],
    [[[lost], [noReply], []], 1, true],
  ] as const) {
    const all = await onRanks(3, NOWHERE, async (comm) => {
      const file = fileThatFailsWith('read', failures[comm.rank] ?? [])
      await file.write(plainAccess(0, new Uint8Array(30).fill(4)))
      const bytes = new Uint8Array(10)
      const access = plainAccess(comm.rank * 10, bytes)
      const request = { operation: 'readAll', kind: 'read', access, error: undefined } as const
      const moved = accessAtomically(comm, file, request)
      if (fails) await rejects(moved, 'MPI_ERR_IO')
      else assert.equal([await moved, bytes[9]], [10, 4])
      return file.ends.length
    })
    assert.equal(all, [locks, 0, 0])
  }
})

test.run()
