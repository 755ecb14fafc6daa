// The order of collectives, ranks that are out of step, and how files end: closed, deleted, left by a rank that failed.
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { Datatype } from '../../lib/datatype/datatype.js'
import { FileSystem } from '../../lib/file/file-system.js'
import { File } from '../../lib/file/file.js'
import { Mode } from '../../lib/file/mode.js'
import { startCluster } from '../../servers/cluster.js'
import { deadline, rejects, until } from '../support/assertions.js'
import { onRanks } from '../support/ranks.js'

const test = suite('File collectives')

const { INT32 } = Datatype

const CREATE = Mode.CREATE | Mode.RDWR

const ONE = new Uint8Array(1)

test('several collectives may be pending, and be awaited in any order', async () => {
  await using cluster = await startCluster({ iods: 3, inProcess: true })
  await onRanks(4, cluster, async (comm) => {
    await using file = await File.open(comm, '/f', CREATE, { striping_unit: 4096 })
    const { rank, size } = comm
    const first = file.writeAtAll(rank * 100, new Uint8Array(100).fill(1))
    const view = file.setView({ displacement: 1000, etype: INT32 })
    const second = file.writeAll(new Uint8Array(100).fill(2))
    const single = file.writeAt(2000 + rank, ONE)
    const length = file.setSize(5000)
    const synced = file.sync()
    const there = new Uint8Array(400)
    const third = file.readAtAll(0, there)
    const all = [third, synced, length, single, second, view, first]
    const turned = rank % 2 === 0 ? all : all.reverse()
    for (const pending of turned) await pending
    assert.is(await file.getSize(), 5000)
    // The second write was called before the new view was in force.
    assert.ok(there.subarray(0, 100).every((byte) => byte === 2))
    assert.ok(there.subarray(100, 100 * size).every((byte) => byte === 1))
    assert.is(file.getPosition(), 0)
  })
})

test('a collective takes its place in the order of calls at the call, whichever it is', async () => {
  await using cluster = await startCluster({ iods: 2, inProcess: true })
  await onRanks(2, cluster, async (comm) => {
    await using file = await File.open(comm, '/f', CREATE)
    await file.writeAtAll(100 * comm.rank, new Uint8Array(100))
    const cut = file.setSize(0)
    const written = file.writeAtAll(comm.rank, ONE)
    await Promise.all([cut, written])
    assert.is(await file.getSize(), 2)
  })
})

test('a rank that comes later than the others wait is told so, as they are, and the file is broken', async () => {
  await using cluster = await startCluster({ iods: 2, inProcess: true })
  await onRanks(3, cluster, async (comm) => {
    const file = await File.open(comm, '/f', CREATE, { rankio_collective_timeout: 200 })
    if (comm.rank !== 2) {
      const error = await rejects(file.writeAtAll(comm.rank, ONE), 'MPI_ERR_IO')
      assert.is(error.context.reason, 'DEADLINE')
    }
    // The last one comes when the others have given up.
    await comm.barrier()
    const late = await rejects(file.writeAtAll(comm.rank, ONE), 'MPI_ERR_IO')
    assert.is(late.context.reason, 'DEADLINE')
    // Independent access goes on, and the close waits for nobody.
    assert.is((await file.writeAt(10, ONE)).bytes, 1)
    await file.close()
  })
})

test('without a limit a late rank is waited for', async () => {
  await using cluster = await startCluster({ iods: 2, inProcess: true })
  await onRanks(2, cluster, async (comm) => {
    await using file = await File.open(comm, '/f', CREATE, { rankio_collective_timeout: 60_000 })
    assert.is(file.info['rankio_collective_timeout'], '60000')
    await file.setInfo({ rankio_collective_timeout: 0 })
    const written = comm.rank === 0 ? file.writeAtAll(0, ONE) : undefined
    await comm.barrier()
    await (written ?? file.writeAtAll(1, ONE))
  })
})

test('independent accesses may come between collectives that are pending', async () => {
  await using cluster = await startCluster({ iods: 2, inProcess: true })
  await onRanks(2, cluster, async (comm) => {
    await using file = await File.open(comm, '/f', CREATE)
    if (comm.rank === 1) {
      await file.writeAt(50, new Uint8Array(10).fill(3))
      const buffer = new Uint8Array(10)
      await file.readAt(50, buffer)
      assert.is(buffer[9], 3)
      await comm.send('go', 0)
    } else {
      const pending = file.writeAtAll(0, new Uint8Array(10).fill(1))
      await file.writeAt(100, new Uint8Array(10).fill(2))
      await comm.recv(1)
      await pending
    }
    if (comm.rank === 1) await file.writeAtAll(10, new Uint8Array(10).fill(1))
    await file.sync()
    assert.is(await file.getSize(), 110)
  })
})

test('each rank that calls another collective is told, all of them, with both names', async () => {
  await using cluster = await startCluster({ iods: 2, inProcess: true })
  await onRanks(4, cluster, async (comm) => {
    const file = await File.open(comm, '/f', CREATE)
    await file.writeAtAll(0, new Uint8Array(10).fill(1))
    const call = comm.rank === 2 ? file.writeAll(ONE) : file.readAll(new Uint8Array(10))
    const error = await rejects(call, 'MPI_ERR_NOT_SAME')
    assert.match(
      error.message,
      /^"\/f": rank \d called (writeAll|readAll), rank \d (writeAll|readAll)$/,
    )
    // Out of step: later collectives reject at once, in the same way.
    for (const later of [file.sync(), file.setSize(3), file.setView(), file.writeAll(ONE)])
      await rejects(later, 'MPI_ERR_NOT_SAME')
    // Independent access goes on.
    const buffer = new Uint8Array(20)
    assert.is((await file.readAt(0, buffer)).bytes, 10)
    assert.ok(buffer.subarray(0, 10).every((byte) => byte === 1))
    await file.close()
    // The communicator is not the file's own.
    await comm.barrier()
    const again = await File.open(comm, '/f', Mode.RDONLY)
    assert.is(await again.getSize(), 10)
    await again.close()
  })
})

for (const [what, odd] of [
  ['sync', (file: File) => file.sync()],
  ['setView', (file: File) => file.setView()],
  ['setSize', (file: File) => file.setSize(1)],
  ['readAtAll', (file: File) => file.readAtAll(0, ONE)],
] as const) {
  test(`${what} on one rank and writeAll on the others ends on all, whichever the rank`, async () => {
    await using cluster = await startCluster({ iods: 1, inProcess: true })
    for (const oddRank of [0, 1, 2]) {
      await onRanks(3, cluster, async (comm) => {
        const file = await File.open(comm, '/f', CREATE)
        const call: Promise<unknown> = comm.rank === oddRank ? odd(file) : file.writeAll(ONE)
        await rejects(deadline('mismatch', 10_000, call), 'MPI_ERR_NOT_SAME')
        await file.close()
      })
    }
  })
}

test('collectives called in another order are MPI_ERR_NOT_SAME on all', async () => {
  await using cluster = await startCluster({ iods: 1, inProcess: true })
  await onRanks(3, cluster, async (comm) => {
    const file = await File.open(comm, '/f', CREATE)
    const calls =
      comm.rank === 1
        ? [file.readAtAll(0, new Uint8Array(1)), file.writeAtAll(0, ONE)]
        : [file.writeAtAll(0, ONE), file.readAtAll(0, new Uint8Array(1))]
    const outcomes = await Promise.allSettled(calls)
    for (const outcome of outcomes) {
      assert.is(outcome.status, 'rejected')
      if (outcome.status === 'rejected')
        await rejects(Promise.reject(outcome.reason), 'MPI_ERR_NOT_SAME')
    }
    await file.close()
  })
})

test('a close that meets another collective ends both, and a further close resolves', async () => {
  await using cluster = await startCluster({ iods: 1, inProcess: true })
  await onRanks(3, cluster, async (comm) => {
    const file = await File.open(comm, '/f', CREATE)
    const call: Promise<unknown> = comm.rank === 1 ? file.close() : file.writeAll(ONE)
    await rejects(deadline('close', 10_000, call), 'MPI_ERR_NOT_SAME')
    await file.close()
    await rejects(file.getSize(), 'MPI_ERR_FILE')
  })
})

test('a rank that throws while others are in a collective ends it on all', async () => {
  await using cluster = await startCluster({ iods: 2, inProcess: true })
  await onRanks(4, cluster, async (comm) => {
    const block = async (): Promise<void> => {
      await using file = await File.open(comm, '/f', CREATE)
      await file.writeAtAll(comm.rank, ONE)
      if (comm.rank === 3) throw new Error('a bug of the program')
      await file.writeAtAll(comm.rank + 4, ONE)
    }
    const error = await deadline('block', 10_000, failureOf(block()))
    if (comm.rank === 3) {
      // The close failed because the block did: both are told.
      assert.is((error as { suppressed?: Error }).suppressed?.message, 'a bug of the program')
      await rejects(Promise.reject((error as { error?: unknown }).error), 'MPI_ERR_NOT_SAME')
    } else {
      await rejects(
        Promise.reject((error as { suppressed?: unknown }).suppressed ?? error),
        'MPI_ERR_NOT_SAME',
      )
    }
    await comm.barrier()
  })
})

test('after abort everything of the file rejects, and close releases it', async () => {
  await using cluster = await startCluster({ iods: 1, inProcess: true })
  await rejects(
    onRanks(3, cluster, async (comm) => {
      const file = await File.open(comm, '/f', CREATE)
      if (comm.rank === 1) comm.abort('enough')
      const error = await rejects(file.writeAll(ONE), 'MPI_ERR_IO')
      assert.equal([error.context.reason, error.context.rank], ['ABORTED', 1])
      await rejects(file.sync(), 'MPI_ERR_IO')
      await file.close()
      // The world is aborted as well, which is what this call of onRanks ends with.
      await comm.barrier()
    }),
    'MPI_ERR_IO',
  )
})

test('close waits for what its rank called before', async () => {
  await using cluster = await startCluster({ iods: 2, inProcess: true })
  const block = 24 * 2 ** 20
  await onRanks(2, cluster, async (comm) => {
    const file = await File.open(comm, '/f', CREATE)
    // Long enough that it is under way when the others of the close are through.
    const write = file.writeAt(comm.rank * block, new Uint8Array(block).fill(1))
    const size = file.getSize()
    await file.close()
    assert.is((await write).bytes, block)
    assert.ok((await size) <= 2 * block)
  })
  await using fs = await FileSystem.connect(cluster.url)
  assert.is((await fs.stat('/f')).size, 2 * block)
})

test('with DELETE_ON_CLOSE an open right after close finds nothing, on any rank', async () => {
  await using cluster = await startCluster({ iods: 2, inProcess: true })
  await onRanks(4, cluster, async (comm) => {
    for (const amode of [CREATE, Mode.RDONLY]) {
      if (amode === Mode.RDONLY) {
        const made = await File.open(comm, '/f', CREATE)
        await made.close()
      }
      const file = await File.open(comm, '/f', amode | Mode.DELETE_ON_CLOSE)
      assert.is(file.amode, amode | Mode.DELETE_ON_CLOSE)
      await file.close()
      const alone = await comm.split(comm.rank)
      await rejects(File.open(alone, '/f', Mode.RDONLY), 'MPI_ERR_NO_SUCH_FILE')
      await alone.free()
      await comm.barrier()
    }
  })
})

test('DELETE_ON_CLOSE spares a new file that has taken the name', async () => {
  await using cluster = await startCluster({ iods: 1, inProcess: true })
  await using fs = await FileSystem.connect(cluster.url)
  await onRanks(2, cluster, async (comm) => {
    const file = await File.open(comm, '/f', CREATE | Mode.DELETE_ON_CLOSE)
    if (comm.rank === 0) {
      await fs.unlink('/f')
      await fs.writeFile('/f', 'new')
    }
    await file.close()
  })
  assert.equal(await fs.readFile('/f'), new TextEncoder().encode('new'))
})

test('DELETE_ON_CLOSE of what is gone already is a close like any other', async () => {
  await using cluster = await startCluster({ iods: 1, inProcess: true })
  const info = { rankio_manager: cluster.url }
  await onRanks(2, cluster, async (comm) => {
    const file = await File.open(comm, '/f', CREATE | Mode.DELETE_ON_CLOSE)
    if (comm.rank === 0) await File.delete('/f', info)
    await file.close()
  })
})

test('a file that is deleted while it is open stays usable to its last close', async () => {
  await using cluster = await startCluster({ iods: 2, inProcess: true })
  const info = { rankio_manager: cluster.url }
  await onRanks(3, cluster, async (comm) => {
    const file = await File.open(comm, '/f', CREATE)
    await file.writeAtAll(comm.rank * 10, new Uint8Array(10).fill(1))
    if (comm.rank === 1) await File.delete('/f', info)
    await comm.barrier()
    await rejects(File.open(comm, '/f', Mode.RDONLY), 'MPI_ERR_NO_SUCH_FILE')
    // A new one of the same name is another file.
    const other = await File.open(comm, '/f', CREATE | Mode.EXCL)
    await other.writeAtAll(comm.rank, ONE)
    await file.writeAtAll(30 + comm.rank * 10, new Uint8Array(10).fill(2))
    const buffer = new Uint8Array(61)
    assert.is((await file.readAtAll(0, buffer)).bytes, 60)
    assert.is(await other.getSize(), 3)
    await file.sync()
    await file.close()
    await other.close()
  })
  await using fs = await FileSystem.connect(cluster.url)
  assert.is((await fs.stat('/f')).size, 3)
})

test('closes of several files may be pending, in the same order on all ranks or not', async () => {
  await using cluster = await startCluster({ iods: 1, inProcess: true })
  await onRanks(3, cluster, async (comm) => {
    const one = await File.open(comm, '/one', CREATE)
    const two = await File.open(comm, '/two', CREATE)
    const files = comm.rank === 1 ? [two, one] : [one, two]
    const writes = files.map((file) => file.writeAtAll(comm.rank, ONE))
    const closes = files.map((file) => file.close())
    await Promise.all([...closes, ...writes])
  })
})

test('a failure of one rank settles all alike, and a caught one leaves the file usable', async () => {
  await using cluster = await startCluster({ iods: 2, inProcess: true })
  await onRanks(4, cluster, async (comm) => {
    await using file = await File.open(comm, '/f', CREATE)
    for (let round = 0; round < 8; round++) {
      const bad = round % comm.size
      const offset = comm.rank === bad ? -1 : comm.rank
      const code = comm.rank === bad ? 'MPI_ERR_ARG' : 'MPI_ERR_IO'
      const [first, second] = [file.writeAtAll(offset, ONE), file.writeAtAll(comm.rank, ONE)]
      await rejects(first, code)
      assert.is((await second).bytes, 1)
    }
  })
})

test('a rejection that is awaited later is told once, to who awaits it', async () => {
  const unhandled: unknown[] = []
  const listen = (reason: unknown): void => void unhandled.push(reason)
  process.on('unhandledRejection', listen)
  try {
    await using cluster = await startCluster({ iods: 1, inProcess: true })
    await onRanks(2, cluster, async (comm) => {
      await using file = await File.open(comm, '/f', Mode.CREATE | Mode.WRONLY)
      const outcomes = await Promise.allSettled([
        file.readAt(0, ONE),
        file.readAtAll(0, ONE),
        file.writeAt(-2, ONE),
        file.writeAll(null as never),
        file.seek(-1),
        file.setView({ displacement: -1 }),
      ])
      assert.ok(outcomes.every(({ status }) => status === 'rejected'))
    })
  } finally {
    await new Promise(setImmediate)
    process.off('unhandledRejection', listen)
  }
  assert.equal(unhandled, [])
})

test('a file that is forgotten while it is open is named in a warning, a closed one is not', async () => {
  setFlagsFromString('--expose-gc')
  const collect = runInNewContext('gc') as () => void
  const warnings: string[] = []
  const hear = ({ message, code }: NodeJS.ErrnoException): void =>
    void warnings.push(`${code}: ${message}`)
  process.on('warning', hear)
  await using cluster = await startCluster({ iods: 1, inProcess: true })
  await onRanks(1, cluster, async (comm) => {
    const open = async (path: string, isClosed: boolean): Promise<void> => {
      const file = await File.open(comm, path, CREATE)
      if (isClosed) await file.close()
    }
    await open('/closed', true)
    await open('/forgotten', false)
    await until(() => {
      collect()
      return warnings.some((text) => /^RANKIO_NOT_CLOSED: .*"\/forgotten"/.test(text))
    })
    assert.not(warnings.some((message) => message.includes('"/closed"')))
  })
  process.off('warning', hear)
})

test.run()

async function failureOf(promise: Promise<unknown>): Promise<unknown> {
  try {
    await promise
  } catch (error) {
    return error
  }
  throw new Error('expected a failure')
}
