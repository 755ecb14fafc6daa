// What is refused, with which class, on which rank; and that nothing has moved then.
import { rmSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import type { ErrorCode, IoError } from '../../lib/base/errors.js'
import type { Communicator } from '../../lib/comm/communicator.js'
import { initialize } from '../../lib/comm/initialize.js'
import type { BufferSpec } from '../../lib/datatype/buffer.js'
import { Datatype } from '../../lib/datatype/datatype.js'
import { FileSystem } from '../../lib/file/file-system.js'
import { File } from '../../lib/file/file.js'
import type { ViewSpec } from '../../lib/file/view-spec.js'
import type { Info } from '../../lib/file/hints.js'
import { Mode } from '../../lib/file/mode.js'
import type { Offset } from '../../lib/file/numbers.js'
import { startCluster } from '../../servers/cluster.js'
import { rejects, throws } from '../support/assertions.js'
import { onCluster, onRanks } from '../support/ranks.js'
import { type Resizable, resizable } from '../support/resizable.js'

const SPOILS: readonly (readonly [string, (buffer: Resizable) => void])[] = [
  ['detached', (buffer) => void structuredClone(buffer, { transfer: [buffer] })],
  ['made smaller', (buffer) => buffer.resize(1000)],
]

const test = suite('File errors')

const { BYTE, INT32, INT16 } = Datatype

const CREATE = Mode.CREATE | Mode.RDWR

const UNSAFE = 2 ** 53

/** A buffer that is good where the view is bytes. */
const GOOD = new Uint8Array(8)

const BUFFERS: readonly (readonly [what: string, buffer: unknown, code: ErrorCode])[] = [
  ['no buffer', null, 'MPI_ERR_BUFFER'],
  ['undefined', undefined, 'MPI_ERR_BUFFER'],
  ['a string', 'text', 'MPI_ERR_BUFFER'],
  ['an array of numbers', [1, 2, 3], 'MPI_ERR_BUFFER'],
  ['an object without data', { count: 1 }, 'MPI_ERR_BUFFER'],
  ['a negative offset', { data: GOOD, offset: -1 }, 'MPI_ERR_BUFFER'],
  ['an offset beyond the end', { data: GOOD, offset: 9 }, 'MPI_ERR_BUFFER'],
  ['a detached buffer', detached(), 'MPI_ERR_BUFFER'],
  ['a negative count', { data: GOOD, count: -1 }, 'MPI_ERR_COUNT'],
  ['half a count', { data: GOOD, count: 0.5 }, 'MPI_ERR_COUNT'],
  ['an unsafe count', { data: GOOD, count: UNSAFE }, 'MPI_ERR_COUNT'],
  ['no datatype', { data: GOOD, datatype: null }, 'MPI_ERR_TYPE'],
  ['something else as datatype', { data: GOOD, datatype: 'INT32' }, 'MPI_ERR_TYPE'],
  ['a count that does not fit', { data: GOOD, count: 9 }, 'MPI_ERR_BUFFER'],
  [
    'memory that leaves something over',
    { data: new Uint8Array(7), datatype: INT32 },
    'MPI_ERR_ARG',
  ],
  [
    'items before the buffer',
    { data: GOOD, datatype: Datatype.vector(2, 1, -4, BYTE), count: 1 },
    'MPI_ERR_BUFFER',
  ],
]

const OFFSETS: readonly (readonly [what: string, offset: unknown, code: ErrorCode])[] = [
  ['offset -1', -1, 'MPI_ERR_ARG'],
  ['offset -100n', -100n, 'MPI_ERR_ARG'],
  ['offset 0.5', 0.5, 'MPI_ERR_ARG'],
  ['offset 2^53', UNSAFE, 'MPI_ERR_ARG'],
  ['no offset', undefined, 'MPI_ERR_ARG'],
  ['a string as offset', '0', 'MPI_ERR_ARG'],
  ['an end beyond 2^53 - 1', UNSAFE - 2, 'MPI_ERR_VALUE_TOO_LARGE'],
]

const VIEWS: readonly (readonly [what: string, view: unknown, code: ErrorCode])[] = [
  ['null', null, 'MPI_ERR_ARG'],
  ['displacement -1', { displacement: -1 }, 'MPI_ERR_ARG'],
  ['displacement 0.5', { displacement: 0.5 }, 'MPI_ERR_ARG'],
  ["displacement 'current' of a file with offsets", { displacement: 'current' }, 'MPI_ERR_ARG'],
  ['a null etype', { etype: null }, 'MPI_ERR_TYPE'],
  ['a null filetype', { filetype: null }, 'MPI_ERR_TYPE'],
  [
    'a filetype of 3 halves',
    { etype: INT32, filetype: Datatype.contiguous(3, INT16) },
    'MPI_ERR_ARG',
  ],
  ['a filetype that goes back', { etype: INT32, filetype: indexed([3, 0]) }, 'MPI_ERR_IO'],
  ['a filetype before its origin', { etype: INT32, filetype: indexed([-2, 2]) }, 'MPI_ERR_IO'],
  ['a filetype that overlaps itself', { etype: INT32, filetype: indexed([0, 0]) }, 'MPI_ERR_IO'],
  [
    'tiles that overlap',
    { etype: INT32, filetype: Datatype.resized(indexed([0, 2]), 0, 8) },
    'MPI_ERR_IO',
  ],
  ['an unknown data representation', { datarep: 'external64' }, 'MPI_ERR_UNSUPPORTED_DATAREP'],
  ['a data representation in capitals', { datarep: 'NATIVE' }, 'MPI_ERR_UNSUPPORTED_DATAREP'],
]

test('every wrong buffer and offset is refused on one rank, alone and in a collective', async () => {
  await using cluster = await startCluster({ iods: 2, inProcess: true })
  await onRanks(3, cluster, async (comm) => {
    await using file = await File.open(comm, '/f', CREATE)
    await file.writeAtAll(0, new Uint8Array(30).fill(1))
    for (const [what, buffer, code] of BUFFERS) {
      const bad = buffer as BufferSpec
      for (const access of ['writeAt', 'readAt'] as const)
        await fails(what, file[access](0, bad), code)
      for (const access of ['write', 'read'] as const) await fails(what, file[access](bad), code)
      for (const access of ['writeAtAll', 'readAtAll'] as const) {
        const mine = comm.rank === 1 ? bad : new Uint8Array(8).fill(9)
        await failsOn(1, comm, `${access} of ${what}`, file[access](0, mine), code)
      }
      for (const access of ['writeAll', 'readAll'] as const) {
        const mine = comm.rank === 2 ? bad : new Uint8Array(8).fill(9)
        await failsOn(2, comm, `${access} of ${what}`, file[access](mine), code)
      }
    }
    for (const [what, offset, code] of OFFSETS) {
      const bad = offset as Offset
      for (const access of ['writeAt', 'readAt'] as const)
        await fails(what, file[access](bad, GOOD), code)
      for (const access of ['writeAtAll', 'readAtAll'] as const) {
        const mine = comm.rank === 0 ? bad : 0
        const all = file[access](mine, new Uint8Array(8).fill(9))
        await failsOn(0, comm, `${access} at ${what}`, all, code)
      }
    }
    // No byte has moved, no pointer either, and the file goes on.
    assert.is(file.getPosition(), 0)
    const there = new Uint8Array(31)
    assert.is((await file.readAtAll(0, there)).bytes, 30)
    assert.ok(there.subarray(0, 30).every((byte) => byte === 1))
  })
})

test('every wrong view is refused on one rank', async () => {
  await using cluster = await startCluster({ iods: 1, inProcess: true })
  await onRanks(3, cluster, async (comm) => {
    await using file = await File.open(comm, '/f', CREATE)
    for (const [what, view, code] of VIEWS) {
      const mine = comm.rank === 1 ? (view as ViewSpec) : {}
      await failsOn(1, comm, `setView with ${what}`, file.setView(mine), code)
    }
    await file.setView({ etype: INT32, datarep: 'internal' })
    assert.is(file.getView().datarep, 'internal')
    await fails('3 bytes', file.writeAt(0, new Uint8Array(3)), 'MPI_ERR_IO')
    await failsOn(
      2,
      comm,
      '3 bytes',
      file.writeAll(new Uint8Array(comm.rank + 1).subarray(0, comm.rank === 2 ? 3 : 0)),
      'MPI_ERR_IO',
    )
  })
})

test('a view whose etype or data representation differs is MPI_ERR_NOT_SAME on all ranks', async () => {
  await using cluster = await startCluster({ iods: 1, inProcess: true })
  await onRanks(3, cluster, async (comm) => {
    await using file = await File.open(comm, '/f', CREATE)
    const error = await rejects(
      file.setView({ etype: comm.rank === 2 ? INT16 : INT32 }),
      'MPI_ERR_NOT_SAME',
    )
    assert.is(
      error.message,
      'setView: rank 2 gave an etype of 2 bytes (native), rank 0 an etype of 4 bytes (native)',
    )
    await rejects(
      file.setView({ datarep: comm.rank === 1 ? 'internal' : 'native' }),
      'MPI_ERR_NOT_SAME',
    )
    // Arguments that differ do not break the file.
    await file.setView({ etype: INT32, displacement: comm.rank })
    await file.writeAll(new Int32Array(0))
  })
})

test('every wrong size is refused on one rank, and sizes that differ on all', async () => {
  await using cluster = await startCluster({ iods: 1, inProcess: true })
  await onRanks(3, cluster, async (comm) => {
    await using file = await File.open(comm, '/f', CREATE)
    await file.setSize(10)
    for (const size of [-1, 0.5, UNSAFE, Number.NaN, undefined, 'ten'] as Offset[]) {
      const mine = comm.rank === 1 ? size : 20
      await failsOn(1, comm, `setSize ${size}`, file.setSize(mine), 'MPI_ERR_ARG')
    }
    const differs = await rejects(file.setSize(20 + comm.rank), 'MPI_ERR_NOT_SAME')
    assert.is(differs.message, 'setSize: rank 1 gave 21, rank 0 20')
    assert.is(await file.getSize(), 10)
  })
})

test('a size that no file system of an iod holds is refused on all ranks, and nothing has changed', async () => {
  await using cluster = await startCluster({ iods: 1, inProcess: true })
  const isHeld = holdsEverything(cluster.directory)
  await onRanks(2, cluster, async (comm) => {
    await using file = await File.open(comm, '/f', CREATE)
    await file.setSize(10)
    const size = Number.MAX_SAFE_INTEGER
    const attempts = [() => file.setSize(size), () => file.writeAtAll(size - 8, GOOD)]
    for (const attempt of attempts) {
      if (isHeld) await attempt()
      else {
        const error = await rejects(attempt())
        if (comm.rank === 0)
          assert.equal(
            [error.code, error.context.errno],
            ['MPI_ERR_NO_SPACE', 'EFBIG'],
            error.message,
          )
      }
    }
    assert.is(await file.getSize(), isHeld ? size : 10)
    const back = new Uint8Array(20)
    assert.is((await file.readAt(0, back)).bytes, isHeld ? 20 : 10)
    await file.sync()
    await file.setSize(5)
    assert.is(await file.getSize(), 5)
  })
})

test('a file that is only read is not written, one that is only written is not read', async () => {
  await using cluster = await startCluster({ iods: 1, inProcess: true })
  await onRanks(2, cluster, async (comm) => {
    const writer = await File.open(comm, '/f', Mode.CREATE | Mode.WRONLY)
    await writer.writeAtAll(0, new Uint8Array(10))
    // The mode is asked before the buffer.
    for (const buffer of [GOOD, new Uint8Array(0), null as never]) {
      await rejects(writer.readAt(0, buffer), 'MPI_ERR_ACCESS')
      await rejects(writer.read(buffer), 'MPI_ERR_ACCESS')
      await rejects(writer.readAtAll(-1, buffer), 'MPI_ERR_ACCESS')
      await rejects(writer.readAll(buffer), 'MPI_ERR_ACCESS')
    }
    assert.is(await writer.getSize(), 10)
    await writer.close()
    const reader = await File.open(comm, '/f')
    assert.is(reader.amode, Mode.RDONLY)
    for (const buffer of [GOOD, new Uint8Array(0), null as never]) {
      await rejects(reader.writeAt(-1, buffer), 'MPI_ERR_READ_ONLY')
      await rejects(reader.write(buffer), 'MPI_ERR_READ_ONLY')
      await rejects(reader.writeAtAll(0, buffer), 'MPI_ERR_READ_ONLY')
      await rejects(reader.writeAll(buffer), 'MPI_ERR_READ_ONLY')
    }
    await rejects(reader.setSize(0), 'MPI_ERR_READ_ONLY')
    assert.is(await reader.getSize(), 10)
    await reader.close()
  })
})

test('a sequential file knows no offsets', async () => {
  await using cluster = await startCluster({ iods: 1, inProcess: true })
  await onRanks(2, cluster, async (comm) => {
    await using file = await File.open(comm, '/f', Mode.CREATE | Mode.WRONLY | Mode.SEQUENTIAL)
    const code = 'MPI_ERR_UNSUPPORTED_OPERATION'
    await rejects(file.writeAt(0, GOOD), code)
    await rejects(file.write(GOOD), code)
    await rejects(file.writeAtAll(0, GOOD), code)
    await rejects(file.writeAll(GOOD), code)
    await rejects(file.seek(0), code)
    await rejects(file.setSize(0), code)
    await rejects(file.setView({ displacement: 0 }), code)
    throws(() => file.getPosition(), code)
    throws(() => file.getByteOffset(0), code)
    assert.is(await file.getSize(), 0)
  })
})

test('every method of a closed file is MPI_ERR_FILE, whatever its arguments', async () => {
  await using cluster = await startCluster({ iods: 1, inProcess: true })
  await onRanks(2, cluster, async (comm) => {
    const file = await File.open(comm, '/f', Mode.CREATE | Mode.WRONLY)
    await file.close()
    const nothing = null as never
    for (const access of ['readAt', 'writeAt', 'readAtAll', 'writeAtAll'] as const)
      await rejects(file[access](-1, nothing), 'MPI_ERR_FILE')
    for (const access of ['read', 'write', 'readAll', 'writeAll'] as const)
      await rejects(file[access](nothing), 'MPI_ERR_FILE')
    await rejects(file.setView(nothing), 'MPI_ERR_FILE')
    await rejects(file.seek(-1), 'MPI_ERR_FILE')
    await rejects(file.setSize(-1), 'MPI_ERR_FILE')
    await rejects(file.getSize(), 'MPI_ERR_FILE')
    await rejects(file.sync(), 'MPI_ERR_FILE')
    throws(() => file.getView(), 'MPI_ERR_FILE')
    throws(() => file.getPosition(), 'MPI_ERR_FILE')
    throws(() => file.getByteOffset(-1), 'MPI_ERR_FILE')
    throws(() => file.getTypeExtent(nothing), 'MPI_ERR_FILE')
    await file.close()
  })
})

test('the file is closed from the call of close on', async () => {
  await using cluster = await startCluster({ iods: 1, inProcess: true })
  await onRanks(2, cluster, async (comm) => {
    const file = await File.open(comm, '/f', CREATE)
    const write = file.writeAt(comm.rank * 100_000, new Uint8Array(100_000).fill(1))
    const all = file.readAtAll(0, new Uint8Array(10))
    const closing = file.close()
    assert.is(file.close(), closing)
    await rejects(file.readAt(0, GOOD), 'MPI_ERR_FILE')
    await closing
    assert.is((await write).bytes, 100_000)
    await all
    await file.close()
    await file[Symbol.asyncDispose]()
  })
})

test('getByteOffset and getTypeExtent refuse what is no offset and no type', async () => {
  await using cluster = await startCluster({ iods: 1, inProcess: true })
  await onRanks(1, cluster, async (comm) => {
    await using file = await File.open(comm, '/f', CREATE)
    for (const offset of [-1, 0.5, UNSAFE, undefined, '1'] as Offset[])
      throws(() => file.getByteOffset(offset), 'MPI_ERR_ARG')
    throws(() => file.getTypeExtent(4 as never), 'MPI_ERR_TYPE')
  })
})

test('an open that is not possible has one class on all ranks', async () => {
  await using cluster = await startCluster({ iods: 1, inProcess: true })
  await onRanks(3, cluster, async (comm) => {
    for (const [path, amode, info, code] of [
      ['/missing', Mode.RDONLY, {}, 'MPI_ERR_NO_SUCH_FILE'],
      ['/missing', Mode.RDWR, {}, 'MPI_ERR_NO_SUCH_FILE'],
      ['/no/folder', CREATE, {}, 'MPI_ERR_NO_SUCH_FILE'],
      ['/', Mode.RDWR, {}, 'MPI_ERR_BAD_FILE'],
      ['', CREATE, {}, 'MPI_ERR_BAD_FILE'],
      [`/${'x'.repeat(256)}`, CREATE, {}, 'MPI_ERR_BAD_FILE'],
      [`/${'x/'.repeat(2100)}`, CREATE, {}, 'MPI_ERR_BAD_FILE'],
      ['rankio://127.0.0.1:7300', CREATE, {}, 'MPI_ERR_BAD_FILE'],
      ['/\ud800', CREATE, {}, 'MPI_ERR_BAD_FILE'],
      [7, CREATE, {}, 'MPI_ERR_BAD_FILE'],
      [undefined, CREATE, {}, 'MPI_ERR_BAD_FILE'],
      ['ufs:/tmp/f', CREATE, {}, 'MPI_ERR_UNSUPPORTED_OPERATION'],
      ['foo://x/y', CREATE, {}, 'MPI_ERR_BAD_FILE'],
      ['/f', CREATE, { rankio_manager: 'foo://x/y' }, 'MPI_ERR_ARG'],
      ['/f', 0, {}, 'MPI_ERR_AMODE'],
      ['/f', Mode.RDONLY | Mode.CREATE, {}, 'MPI_ERR_AMODE'],
      ['/f', Mode.RDONLY | Mode.RDWR, {}, 'MPI_ERR_AMODE'],
      ['/f', CREATE, null, 'MPI_ERR_ARG'],
      ['/f', CREATE, { ['k'.repeat(300)]: 1 }, 'MPI_ERR_INFO_KEY'],
      ['/f', CREATE, { some: 'v'.repeat(2000) }, 'MPI_ERR_INFO_VALUE'],
    ] as readonly (readonly [unknown, number, unknown, ErrorCode])[])
      await fails(String(path), File.open(comm, path as string, amode, info as Info), code)
    // One rank's wrong argument is everybody's error.
    for (const bad of [0, 1, 2]) {
      const amode = comm.rank === bad ? Mode.RDONLY | Mode.CREATE : CREATE
      await rejects(File.open(comm, '/f', amode), 'MPI_ERR_AMODE')
      const info = comm.rank === bad ? (null as never) : {}
      await rejects(File.open(comm, '/f', CREATE, info), 'MPI_ERR_ARG')
    }
    await rejects(File.open(comm, '/f', Mode.RDONLY), 'MPI_ERR_NO_SUCH_FILE')
  })
})

test('a communicator that is none, or was freed, is MPI_ERR_COMM', async () => {
  await using cluster = await startCluster({ iods: 1, inProcess: true })
  await onRanks(2, cluster, async (comm) => {
    for (const none of [null, undefined, {}, 7]) {
      await rejects(File.open(none as unknown as Communicator, '/f', CREATE), 'MPI_ERR_COMM')
    }
    const freed = await comm.dup()
    await freed.free()
    await rejects(File.open(freed, '/f', CREATE), 'MPI_ERR_COMM')
  })
})

test('modes and hints that differ are MPI_ERR_NOT_SAME on all ranks, and make no file', async () => {
  await using cluster = await startCluster({ iods: 2, inProcess: true })
  await onRanks(3, cluster, async (comm) => {
    const amode = comm.rank === 2 ? CREATE | Mode.EXCL : CREATE
    const error = await rejects(File.open(comm, '/f', amode), 'MPI_ERR_NOT_SAME')
    assert.is(error.message, 'open: rank 2 gave mode 42, rank 0 mode 34')
    const info = { striping_unit: comm.rank === 1 ? 8192 : 4096 }
    const hints = await rejects(File.open(comm, '/f', CREATE, info), 'MPI_ERR_NOT_SAME')
    assert.match(hints.message, 'rank 1 gave the hints "striping_unit=8192"')
    await rejects(File.open(comm, '/f', Mode.RDONLY), 'MPI_ERR_NO_SUCH_FILE')
    // What is not accepted is not compared, nor what is not known.
    const odd = { striping_unit: comm.rank === 0 ? 4097 : '4 KiB', some: comm.rank }
    const file = await File.open(comm, '/f', CREATE, odd)
    await file.close()
  })
})

test('paths that differ are MPI_ERR_NOT_SAME on all ranks, and make no file', async () => {
  await using cluster = await startCluster({ iods: 2, inProcess: true })
  const info = { rankio_manager: cluster.url }
  await onRanks(3, cluster, async (comm) => {
    const own = `/out-${comm.rank}.dat`
    const error = await rejects(File.open(comm, own, CREATE), 'MPI_ERR_NOT_SAME')
    assert.is(error.message, 'open: rank 1 gave the path "/out-1.dat", rank 0 "/out-0.dat"')
    const none = await rejects(File.open(comm, comm.rank === 2 ? '' : '/f'), 'MPI_ERR_NOT_SAME')
    assert.is(none.message, 'open: rank 2 gave the path "", rank 0 "/f"')
    await rejects(File.open(comm, '/out-0.dat'), 'MPI_ERR_NO_SUCH_FILE')
    // Other words for one file: of the manager's name, and of slashes.
    const path = ['/d/f', `${cluster.url}/d/f`, 'd//f'][comm.rank] ?? ''
    await rejects(File.open(comm, path), 'MPI_ERR_NO_SUCH_FILE')
  })
  await rejects(File.delete('/out-0.dat', info), 'MPI_ERR_NO_SUCH_FILE')
})

test('delete refuses what is not there, and what is no file', async () => {
  await using cluster = await startCluster({ iods: 1, inProcess: true })
  const info = { rankio_manager: cluster.url }
  await rejects(File.delete('/missing', info), 'MPI_ERR_NO_SUCH_FILE')
  await rejects(File.delete('/', info), 'MPI_ERR_BAD_FILE')
  await rejects(File.delete('ufs:/tmp/x', info), 'MPI_ERR_UNSUPPORTED_OPERATION')
  await rejects(File.delete('/f', null as never), 'MPI_ERR_ARG')
  await rejects(File.delete(7 as never, info), 'MPI_ERR_BAD_FILE')
})

test('a path that begins like a URL of something else is refused in one sentence, with a manager or without', async () => {
  const why = 'there is no scheme foo://; write rankio://host:port/name, or a name such as /a/b'
  await using cluster = await startCluster({ iods: 1, inProcess: true })
  await using system = await FileSystem.connect(cluster.url)
  await using comm = await initialize({ env: {} })
  for (const refused of [
    File.open(comm, 'foo://x/y', CREATE),
    File.delete('foo://x/y'),
    system.stat('foo://x/y'),
    system.mkdir('foo://x/y', { recursive: true }),
  ])
    assert.is((await rejects(refused, 'MPI_ERR_BAD_FILE')).message, `path "foo://x/y": ${why}`)
  const own = await rejects(system.writeFile('rankio://host/x', 'x'), 'MPI_ERR_BAD_FILE')
  assert.match(own.message, ': a name on a manager is wanted here, without its URL')
  // It is no scheme where it is the name of a directory.
  await system.mkdir('/foo:/x', { recursive: true })
  assert.equal(
    (await system.readdir('/foo:/')).map(({ name }) => name),
    ['x'],
  )
})

for (const [what, spoil] of SPOILS) {
  test(`memory that is ${what} before the end is MPI_ERR_BUFFER, and the file goes on`, async () => {
    await using cluster = await startCluster({ iods: 2, inProcess: true })
    await onRanks(2, cluster, async (comm) => {
      await using file = await File.open(comm, '/f', CREATE)
      await file.writeAtAll(0, new Uint8Array(400_000).fill(1))
      for (const access of ['readAt', 'writeAt', 'readAtAll', 'writeAtAll'] as const) {
        const isBad = comm.rank === 1
        const data = resizable(400_000)
        new Uint8Array(data).fill(1)
        const moving = file[access](0, data)
        if (isBad) spoil(data)
        if (isBad) await rejects(moving, 'MPI_ERR_BUFFER')
        else if (access.endsWith('All')) await rejects(moving, 'MPI_ERR_IO')
        else await moving
      }
      assert.is((await file.readAtAll(0, new Uint8Array(400_001))).bytes, 400_000)
    })
  })
}

for (const [what, spoil] of SPOILS) {
  for (const isAtomic of [false, true]) {
    const mode = isAtomic ? ', in atomic mode' : ''
    test(`memory that is ${what} before its collective has its turn moves no byte on any rank${mode}`, async () => {
      await onCluster(2, async (comm) => {
        await using file = await File.open(comm, '/f', CREATE)
        await file.writeAtAll(0, new Uint8Array(1000).fill(7))
        await file.setAtomicity(isAtomic)
        for (const access of ['writeAtAll', 'readAtAll'] as const) {
          for (const bytes of [64, 1000, 400_000]) {
            const data = resizable(bytes)
            const before = file.sync()
            const moving = file[access](comm.rank * bytes, data)
            if (comm.rank === 1) {
              if (what === 'detached') spoil(data)
              else data.resize(bytes - 1)
            }
            await before
            await failsOn(1, comm, `${access} of ${bytes}`, moving, 'MPI_ERR_BUFFER')
          }
        }
        const all = new Uint8Array(1001)
        assert.is((await file.readAtAll(0, all)).bytes, 1000)
        assert.ok(all.subarray(0, 1000).every((byte) => byte === 7))
      })
    })
  }
}

test('memory that is detached while a little collective read is under way fails its own rank, and nobody waits', async () => {
  await onCluster(3, async (comm) => {
    await using file = await File.open(comm, '/f', CREATE)
    await file.writeAtAll(0, new Uint8Array(100).fill(7))
    const data = new ArrayBuffer(100)
    if (comm.rank === 1) {
      const reading = file.readAtAll(0, data)
      // Rank 0 is not in it yet, and this rank has told what it wants.
      await comm.recv(0)
      structuredClone(data, { transfer: [data] })
      await comm.send('gone', 0)
      await rejects(reading, 'MPI_ERR_BUFFER')
    } else {
      if (comm.rank === 0) {
        await comm.send('go', 1)
        await comm.recv(1)
      }
      assert.is((await file.readAtAll(0, data)).bytes, 100)
    }
    assert.is((await file.readAtAll(0, new Uint8Array(101))).bytes, 100)
  })
})

// Some, such as tmpfs, hold files of any size.
function holdsEverything(directory: string): boolean {
  const path = join(directory, 'largest')
  writeFileSync(path, '')
  try {
    truncateSync(path, Number.MAX_SAFE_INTEGER)
    return true
  } catch {
    return false
  } finally {
    rmSync(path)
  }
}

test.run()

/** The rejection of a call, which must not throw instead, has this class. */
async function fails(what: string, call: Promise<unknown>, code: ErrorCode): Promise<void> {
  const error = await rejects(call)
  assert.is(error.code, code, `${what}: ${error.message}`)
}

/** One rank's own class, and on the others MPI_ERR_IO that names it. */
async function failsOn(
  rank: number,
  comm: Communicator,
  what: string,
  call: Promise<unknown>,
  code: ErrorCode,
): Promise<void> {
  if (comm.rank === rank) return await fails(what, call, code)
  const error = await rejects(call)
  assert.equal(
    [error.code, error.context.reason, error.context.rank],
    ['MPI_ERR_IO', 'REMOTE', rank],
    `${what}: ${error.message}`,
  )
  assert.is((error.cause as IoError).code, code, what)
}

function indexed(displacements: readonly number[]): Datatype {
  return Datatype.indexedBlock({ blocklength: 1, displacements, type: INT32 })
}

function detached(): ArrayBuffer {
  const buffer = new ArrayBuffer(8)
  structuredClone(buffer, { transfer: [buffer] })
  return buffer
}
