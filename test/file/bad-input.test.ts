// What is wrong is said with MPI's error class, on the rank that is wrong by itself and on the others as its
// failure, by every access method, before any byte or pointer moves.
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import type { ErrorCode } from '../../lib/base/errors.js'
import type { BufferSpec } from '../../lib/datatype/buffer.js'
import { Datatype } from '../../lib/datatype/datatype.js'
import { File } from '../../lib/file/file.js'
import { Mode } from '../../lib/file/mode.js'
import type { Status } from '../../lib/file/status.js'
import { rejects } from '../support/assertions.js'
import { onCluster } from '../support/ranks.js'

const test = suite('bad input')

const { INT32 } = Datatype

const AT = ['readAt', 'writeAt', 'readAtAll', 'writeAtAll'] as const
const NEXT = ['read', 'write', 'readAll', 'writeAll'] as const
const SHARED = ['readShared', 'writeShared', 'readOrdered', 'writeOrdered'] as const

/** Every access method, at etype 0 where it takes an offset. */
const METHODS = [...AT, ...NEXT, ...SHARED]

type Method = (typeof METHODS)[number]

const COLLECTIVE = new Set<Method>([
  ...['readAtAll', 'writeAtAll', 'readAll', 'writeAll'].values(),
  ...['readOrdered', 'writeOrdered'].values(),
] as Method[])

const isAt = (method: Method): method is (typeof AT)[number] => AT.some((at) => at === method)

function call(file: File, method: Method, buffer: BufferSpec): Promise<Status> {
  return isAt(method) ? file[method](0, buffer) : file[method](buffer)
}

function detached(): Uint8Array {
  const bytes = new Uint8Array(8)
  structuredClone(bytes.buffer, { transfer: [bytes.buffer] })
  return bytes
}

const WRONG: readonly (readonly [string, () => unknown, ErrorCode])[] = [
  ['nothing', () => null, 'MPI_ERR_BUFFER'],
  ['a number', () => 7, 'MPI_ERR_BUFFER'],
  ['an array', () => [1, 2, 3, 4], 'MPI_ERR_BUFFER'],
  ['memory that was detached', () => detached().buffer, 'MPI_ERR_BUFFER'],
  ['an offset beyond its memory', () => ({ data: new Int32Array(2), offset: 3 }), 'MPI_ERR_BUFFER'],
  ['a negative offset', () => ({ data: new Int32Array(2), offset: -1 }), 'MPI_ERR_BUFFER'],
  ['a count that does not fit', () => ({ data: new Int32Array(2), count: 3 }), 'MPI_ERR_BUFFER'],
  ['a negative count', () => ({ data: new Int32Array(2), count: -1 }), 'MPI_ERR_COUNT'],
  ['a count with a fraction', () => ({ data: new Int32Array(2), count: 0.5 }), 'MPI_ERR_COUNT'],
  ['an unsafe count', () => ({ data: new Int32Array(2), count: 2 ** 53 }), 'MPI_ERR_COUNT'],
  ['no datatype', () => ({ data: new Int32Array(2), datatype: null }), 'MPI_ERR_TYPE'],
  [
    'memory that is no whole number of items',
    () => ({ data: new Uint8Array(5), datatype: INT32 }),
    'MPI_ERR_ARG',
  ],
  ['no whole number of etypes', () => new Uint8Array(6), 'MPI_ERR_IO'],
]

for (const isAtomic of [false, true]) {
  test(`a wrong buffer${isAtomic ? ', in atomic mode' : ''}: its class on its rank, before anything moves`, async () => {
    await onCluster(2, async (comm) => {
      await using file = await File.open(comm, '/f', Mode.CREATE | Mode.RDWR)
      await file.setView({ etype: INT32 })
      await file.setAtomicity(isAtomic)
      for (const method of METHODS) {
        for (const [what, make, code] of WRONG) {
          const isWrong = comm.rank === 1
          const buffer = isWrong ? (make() as BufferSpec) : new Int32Array(1)
          // Alone the other rank has nothing to do with it.
          if (!COLLECTIVE.has(method) && !isWrong) continue
          const error = await rejects(call(file, method, buffer))
          const expected = isWrong ? code : 'MPI_ERR_IO'
          assert.is(error.code, expected, `${method} of ${what}: ${error.message}`)
          if (!isWrong) assert.equal([error.context.reason, error.context.rank], ['REMOTE', 1])
        }
      }
      await file.sync()
      assert.equal(
        [await file.getSize(), file.getPosition(), await file.getPositionShared()],
        [0, 0, 0],
      )
    })
  })
}

test('count and datatype behind a buffer, as MPI has them, are refused before anything moves', async () => {
  await onCluster(2, async (comm) => {
    await using file = await File.open(comm, '/f', Mode.CREATE | Mode.RDWR)
    for (const method of METHODS) {
      const isWrong = comm.rank === 1
      if (!COLLECTIVE.has(method) && !isWrong) continue
      const place = isAt(method) ? [0] : []
      const more = isWrong ? [2, INT32] : []
      const access = Reflect.apply(file[method], file, [...place, new Int32Array(4), ...more])
      const error = await rejects(access as Promise<Status>, isWrong ? 'MPI_ERR_ARG' : 'MPI_ERR_IO')
      if (!isWrong) assert.is(error.context.reason, 'REMOTE')
      else
        assert.match(error.message, 'count and datatype go with it, as { data, count, datatype }')
    }
    await file.sync()
    assert.equal(
      [await file.getSize(), file.getPosition(), await file.getPositionShared()],
      [0, 0, 0],
    )
  })
})

test('a wrong offset is refused by every method that takes one', async () => {
  await onCluster(2, async (comm) => {
    await using file = await File.open(comm, '/f', Mode.CREATE | Mode.RDWR)
    const one = new Uint8Array(1)
    for (const method of AT) {
      for (const [offset, code] of [
        [-1, 'MPI_ERR_ARG'],
        [0.5, 'MPI_ERR_ARG'],
        [Number.NaN, 'MPI_ERR_ARG'],
        [2 ** 53, 'MPI_ERR_ARG'],
        [2n ** 60n, 'MPI_ERR_ARG'],
        [Number.MAX_SAFE_INTEGER, 'MPI_ERR_VALUE_TOO_LARGE'],
      ] as const) {
        const error = await rejects(file[method](offset, one))
        assert.is(error.code, code, `${method} at ${offset}`)
      }
    }
    for (const whence of ['set', 'cur', 'end'] as const) {
      await rejects(file.seek(-1, whence), 'MPI_ERR_ARG')
      await rejects(file.seekShared(-1, whence), 'MPI_ERR_ARG')
    }
    await file.sync()
    assert.equal(
      [await file.getSize(), file.getPosition(), await file.getPositionShared()],
      [0, 0, 0],
    )
  })
})

test('the mode of the file is asked first, by every method', async () => {
  await onCluster(2, async (comm) => {
    const nothing = null as unknown as BufferSpec
    for (const [amode, way, code] of [
      [Mode.WRONLY | Mode.CREATE, 'read', 'MPI_ERR_ACCESS'],
      [Mode.RDONLY, 'write', 'MPI_ERR_READ_ONLY'],
    ] as const) {
      await using file = await File.open(comm, '/f', amode)
      for (const method of METHODS.filter((name) => name.startsWith(way)))
        await rejects(call(file, method, nothing), code)
      await file.sync()
      assert.is(await file.getSize(), 0)
    }
    await using file = await File.open(comm, '/f', Mode.WRONLY | Mode.SEQUENTIAL)
    for (const method of [...AT, ...NEXT].filter((name) => name.startsWith('write')))
      await rejects(call(file, method, nothing), 'MPI_ERR_UNSUPPORTED_OPERATION')
  })
})

test('everything of a closed file is MPI_ERR_FILE, and nobody is waited for', async () => {
  await onCluster(2, async (comm) => {
    const file = await File.open(comm, '/f', Mode.CREATE | Mode.RDWR)
    await file.close()
    // One rank only: a closed file has no collectives.
    if (comm.rank === 0) return
    const nothing = null as unknown as BufferSpec
    for (const method of METHODS) await rejects(call(file, method, nothing), 'MPI_ERR_FILE')
    for (const later of [
      () => file.setInfo({}),
      () => file.setView(),
      () => file.setSize(0),
      () => file.preallocate(0),
      () => file.setAtomicity(true),
      () => file.seekShared(0),
      () => file.getPositionShared(),
      () => file.sync(),
      () => file.getSize(),
      () => file.seek(0),
      () => file.blocks({ count: 1 }).next(),
    ])
      await rejects(later(), 'MPI_ERR_FILE')
    assert.is(file.atomicity, false)
    assert.is(file.info['filename'], '/f')
  })
})

test('a filetype that is illegal is refused on all ranks, and the view before stays', async () => {
  await onCluster(2, async (comm) => {
    await using file = await File.open(comm, '/f', Mode.CREATE | Mode.RDWR)
    const places = (...displacements: number[]): Datatype =>
      Datatype.indexedBlock({ blocklength: 1, displacements, type: INT32 })
    for (const [filetype, code] of [
      [places(0, 0), 'MPI_ERR_IO'],
      [places(2, 1), 'MPI_ERR_IO'],
      [places(-1, 1), 'MPI_ERR_IO'],
      [Datatype.resized(Datatype.contiguous(2, INT32), 0, 4), 'MPI_ERR_IO'],
      [Datatype.contiguous(3, Datatype.INT16), 'MPI_ERR_ARG'],
      [null as unknown as Datatype, 'MPI_ERR_TYPE'],
    ] as const) {
      const isWrong = comm.rank === 0
      const error = await rejects(
        file.setView({ etype: INT32, filetype: isWrong ? filetype : INT32 }),
      )
      assert.is(error.code, isWrong ? code : 'MPI_ERR_IO')
      assert.is(file.getView().filetype, Datatype.BYTE)
    }
    for (const displacement of [-1, 0.5, 2 ** 53])
      await rejects(file.setView({ displacement }), 'MPI_ERR_ARG')
  })
})

test.run()
