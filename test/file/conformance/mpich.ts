// The conformance tests of MPICH's test/mpi/io and test/mpi/errors, written afresh; names are theirs. Those that
// need the shared pointer, atomic mode or hints are in shared.ts.
import * as assert from 'uvu/assert'
import { Datatype } from '../../../lib/datatype/datatype.js'
import { Mode } from '../../../lib/file/mode.js'
import { rejects } from '../../support/assertions.js'
import { type Case, casesInto, ONE_STRIP, RANKS } from './case.js'

/** MPICH's tests of I/O. */
export const MPICH_CASES: Case[] = []

const conforms = casesInto(MPICH_CASES)

const { BYTE, CHAR, INT32 } = Datatype

const CREATE = Mode.CREATE | Mode.RDWR

conforms('async: a private file is written and read by held operations', RANKS, async (at) => {
  const { comm } = at
  await using alone = await at.alone()
  const values = valuesOf(comm.rank, 16_384)
  await alone.inFile('/async', CREATE, async (file) => {
    await file.setView({ etype: INT32, filetype: INT32 })
    const write = file.write(values)
    await write
  })
  await alone.inFile('/async', Mode.RDWR, async (file) => {
    await file.setView({ etype: INT32, filetype: INT32 })
    const buffer = new Int32Array(16_384)
    const read = file.read(buffer)
    assert.is((await read).count(INT32), 16_384)
    assert.equal(buffer, values)
  })
})

conforms(
  'async_any: ten writes and ten reads of one buffer are pending together',
  RANKS,
  async (at) => {
    const { comm } = at
    await using alone = await at.alone()
    const values = valuesOf(comm.rank, 16_384)
    await alone.inFile('/async_any', CREATE, async (file) => {
      await file.setView({ etype: INT32 })
      await Promise.all(Array.from({ length: 10 }, () => file.write(values)))
      assert.is(file.getPosition(), 163_840)
    })
    await alone.inFile('/async_any', Mode.RDWR, async (file) => {
      await file.setView({ etype: INT32 })
      const buffer = new Int32Array(16_384)
      const statuses = await Promise.all(Array.from({ length: 10 }, () => file.read(buffer)))
      assert.ok(statuses.every((status) => status.count(INT32) === 16_384))
      assert.equal(buffer, values)
    })
  },
)

conforms('rd_end: a collective read across the end counts what is there', RANKS, async (at) => {
  const { comm } = at
  await using file = await at.open('/rd_end', CREATE)
  if (comm.rank === 0) await file.write(Uint8Array.of(0, 1, 2, 3, 4))
  const buffer = new Uint8Array(10).fill(99)
  await file.sync()
  await file.seek(0)
  const status = await file.readAll(buffer)
  assert.is(status.count(CHAR), 5)
  assert.equal([...buffer], [0, 1, 2, 3, 4, 99, 99, 99, 99, 99])
})

conforms(
  'zero_count: ranks that ask for nothing are told so, in a collective as well',
  RANKS,
  async (at) => {
    const { comm } = at
    await at.inFile('/zero_count', CREATE, async (file) => {
      await file.writeAtAll(0, new Uint8Array(20))
    })
    await using file = await at.open('/zero_count', Mode.RDONLY)
    const status = await file.readAll(new Uint8Array(comm.rank === 0 ? 10 : 0))
    assert.is(status.count(BYTE), comm.rank === 0 ? 10 : 0)
  },
)

conforms('getextent: the extent of a type in the file is the one in memory', RANKS, async (at) => {
  await using file = await at.open('/getextent', CREATE | Mode.DELETE_ON_CLOSE)
  assert.is(file.getTypeExtent(INT32), INT32.extent)
})

conforms('setview_zero: a rank may have a view of nothing', [3], async (at) => {
  const { comm } = at
  const displacements = [[0, 4, 5], [1, 2, 3], []][comm.rank] ?? []
  const values = Int32Array.from([[10, 20, 30], [-1, -2, -3], []][comm.rank] ?? [])
  const some = Datatype.indexedBlock({ blocklength: 1, displacements, type: INT32 })
  await using file = await at.open('/setview_zero', CREATE)
  await file.setView({ etype: INT32, filetype: Datatype.resized(some, 0, 24) })
  for (let round = 1; round <= 2; round++) {
    await file.writeAll(values)
    assert.is(file.getPosition(), comm.rank === 2 ? 0 : 3 * round)
    assert.is(await file.getPositionShared(), 0)
  }
  await file.setView({ etype: INT32 })
  const all = new Int32Array(12)
  await file.readAtAll(0, all)
  assert.equal([...all], [10, -1, -2, -3, 20, 30, 10, -1, -2, -3, 20, 30])
})

for (const name of ['resized', 'resized2']) {
  conforms(`${name}: the lower bound of a filetype does not move its data`, RANKS, async (each) => {
    await using at = await each.alone()
    const once = Datatype.resized(INT32, 4, 12)
    const filetype = name === 'resized' ? once : Datatype.resized(once, 4, 12)
    await at.inFile('/resized', CREATE, async (file) => {
      await file.write(new Int32Array(4).fill(55))
    })
    await at.inFile('/resized', Mode.RDWR, async (file) => {
      await file.setView({ etype: INT32, filetype })
      await file.write(Int32Array.of(10, 20))
    })
    await at.inFile('/resized', Mode.RDONLY, async (file) => {
      await file.setView({ etype: INT32, filetype })
      const buffer = new Int32Array(4).fill(100)
      await file.read({ data: buffer, count: 2 })
      assert.equal([...buffer], [10, 20, 100, 100])
    })
    await at.inFile('/resized', Mode.RDONLY, async (file) => {
      assert.is(await file.getSize(), 16)
      const buffer = new Int32Array(4)
      await file.read(buffer)
      assert.equal([...buffer], [10, 55, 55, 20])
    })
  })
}

for (const name of ['hindexed_io', 'i_hindexed_io']) {
  conforms(
    `${name}: memory that is written three times goes to three blocks behind a hole`,
    RANKS,
    async (each) => {
      await using at = await each.alone()
      const data = new Int32Array(324).map((_, i) => i)
      const filetype = Datatype.hindexedBlock({
        blocklength: 1296,
        displacements: [256, 1552, 2848],
        type: BYTE,
      })
      const datatype = Datatype.hvector(3, 1296, 0, BYTE)
      await using file = await at.open('/hindexed_io', CREATE)
      await file.setView({ displacement: 144, etype: BYTE, filetype })
      const writing = file.writeAtAll(0, { data, datatype, count: 1 })
      if (name === 'hindexed_io') await writing
      const viewing = file.setView({ etype: BYTE })
      await Promise.all([writing, viewing])
      const there = new Int32Array((144 + 256 + 3 * 1296) / 4).fill(7)
      await file.readAtAll(0, there)
      assert.ok(there.subarray(0, 100).every((value) => value === 0))
      assert.ok(there.subarray(100).every((value, i) => value === i % 324))
    },
  )
}

conforms(
  'i_hindexed: a write that is pending keeps its view when the next one is set',
  RANKS,
  async (at) => {
    const { comm } = at
    await using file = await at.open('/i_hindexed', CREATE)
    const filetype = Datatype.resized(INT32, 0, 4 * comm.size)
    await file.setView({ displacement: 4 * comm.rank, etype: INT32, filetype })
    const first = file.writeAll(new Int32Array(100).fill(comm.rank))
    const view = file.setView({
      displacement: 400 * comm.size + 4 * comm.rank,
      etype: INT32,
      filetype,
    })
    await view
    const second = file.writeAll(new Int32Array(100).fill(10 + comm.rank))
    await Promise.all([first, second])
    await file.setView({ etype: INT32 })
    const all = new Int32Array(200 * comm.size)
    await file.readAtAll(0, all)
    assert.ok(all.every((value, i) => value === (i % comm.size) + (i < 100 * comm.size ? 0 : 10)))
  },
)

conforms(
  'bigtype: a type of one large and one small part, at a scale of 64 MiB',
  [1],
  async (at) => {
    const ints = 2 ** 24
    const data = new Int32Array(ints).map((_, i) => i)
    const datatype = largeAndSmall(4 * ints)
    const filetype = Datatype.vector(1, ints, 1, Datatype.contiguous(4, BYTE))
    await using file = await at.open('/bigtype', CREATE)
    await file.setView({ displacement: 2144, etype: BYTE, filetype })
    const status = await file.writeAtAll(0, { data, datatype, count: 1 })
    assert.is(status.count(datatype), 1)
    const again = new Int32Array(ints)
    await file.readAtAll(0, { data: again, datatype, count: 1 })
    assert.is(Buffer.compare(new Uint8Array(again.buffer), new Uint8Array(data.buffer)), 0)
  },
  { strips: ONE_STRIP },
)

conforms('i_bigtype: the same, held, in a view that begins beyond 4 GiB', RANKS, async (each) => {
  await using at = await each.alone()
  const ints = 2 ** 16
  const data = new Int32Array(ints).map((_, i) => i)
  const datatype = largeAndSmall(4 * ints)
  const filetype = Datatype.vector(1, ints, 1, Datatype.contiguous(4, BYTE))
  const view = { displacement: 5 * 2 ** 30 + 2144, etype: BYTE, filetype }
  await using file = await at.open('/i_bigtype', CREATE)
  await file.setView(view)
  const writing = file.writeAtAll(0, { data, datatype, count: 1 })
  const viewing = file.setView(view)
  const again = new Int32Array(ints)
  const reading = file.readAtAll(0, { data: again, datatype, count: 1 })
  await Promise.all([writing, viewing, reading])
  assert.is(Buffer.compare(new Uint8Array(again.buffer), new Uint8Array(data.buffer)), 0)
  assert.is(await file.getSize(), 5 * 2 ** 30 + 2144 + 4 * ints)
})

for (const [name, isHeld] of [
  ['large_count', false],
  ['large_dtype', true],
] as const) {
  conforms(
    `${name}: items of many subarrays in memory and file, at a scale of 20 variables of 32 x 32`,
    [4],
    async (at) => {
      const { comm } = at
      const [length, variables] = [16, 20]
      const [row, column] = [Math.floor(comm.rank / 2), comm.rank % 2]
      const global = 2 * length
      const types = (sizes: number, starts: readonly number[]): Datatype => {
        const subsizes = [length - 1, length - 1]
        const spec = { sizes: [sizes, sizes], subsizes, starts, order: 'C', type: BYTE } as const
        const type = Datatype.subarray(spec)
        return Datatype.struct(
          Array.from({ length: variables }, (_, i) => ({
            count: 1,
            displacement: i * sizes ** 2,
            type,
          })),
        )
      }
      const filetype = types(global, [row * length, column * length])
      const datatype = types(length, [0, 0])
      const fresh = (): Uint8Array => new Uint8Array(variables * length ** 2)
      const first = fresh().map((_, i) => 1 + comm.rank + (i % 61))
      const second = first.map((byte) => byte + 100)
      await using file = await at.open('/large', CREATE)
      await file.setView({ etype: BYTE, filetype })
      const [one, two] = [first, second].map((data) => ({ data, datatype, count: 1 }))
      if (isHeld) await Promise.all([file.writeAll(one ?? first), file.writeAll(two ?? second)])
      else {
        await file.writeAll(one ?? first)
        await file.seek(filetype.size)
        await file.writeAll(two ?? second)
      }
      for (const read of ['readAll', 'read'] as const) {
        await file.seek(0)
        for (const data of [first, second]) {
          const back = fresh()
          const status = await file[read]({ data: back, datatype, count: 1 })
          assert.is(status.count(datatype), 1)
          // The last row and column of each variable are no part of the type.
          const isPart = (i: number): boolean =>
            i % length < length - 1 && Math.floor(i / length) % length < length - 1
          assert.equal(
            back,
            data.map((byte, i) => (isPart(i) ? byte : 0)),
          )
        }
      }
    },
  )
}

conforms(
  'external32_derived_dtype: characters of a derived type are as they were',
  RANKS,
  async (at) => {
    const pair = indexedOf(CHAR, [1, 1], [0, 1])
    const view = { etype: pair, filetype: pair, datarep: 'external32' } as const
    const { rank } = at.comm
    await at.inFile('/external32', Mode.WRONLY | Mode.CREATE, async (file) => {
      await file.setSize(0)
      await file.setView(view)
      const data = Uint8Array.of(1 + rank, 100 + rank)
      await file.writeAtAll(rank, { data, datatype: pair })
    })
    await at.inFile('/external32', Mode.RDONLY, async (file) => {
      await file.setView(view)
      const there = new Uint8Array(2)
      await file.readAtAll(rank, { data: there, datatype: pair })
      assert.equal([...there], [1 + rank, 100 + rank])
    })
  },
  { strips: ONE_STRIP },
)

conforms(
  'tst_fileview: filetypes that go back, or overlap where one writes, are refused',
  RANKS,
  async (each) => {
    await using at = await each.alone()
    const negative = indexed([1, 1], [-2, 2])
    const decreasing = indexed([1, 1], [3, 0])
    // MPICH's third type, [3, 1] at [0, 1], goes back by the standard's definition: 0, 1, 2, 1.
    const back = indexed([3, 1], [0, 1])
    const overlapping = indexed([2, 1], [0, 1])
    await at.inFile('/tst_fileview', CREATE, async (file) => {
      for (const filetype of [negative, decreasing, back, overlapping]) {
        await rejects(file.setView({ etype: filetype, filetype }), 'MPI_ERR_IO')
        await rejects(file.setView({ etype: INT32, filetype }), 'MPI_ERR_IO')
      }
    })
    await at.inFile('/tst_fileview', Mode.RDONLY, async (file) => {
      for (const filetype of [negative, decreasing, back]) {
        await rejects(file.setView({ etype: filetype, filetype }), 'MPI_ERR_IO')
        await rejects(file.setView({ etype: INT32, filetype }), 'MPI_ERR_IO')
      }
      await file.setView({ etype: overlapping, filetype: overlapping })
      await file.setView({ etype: INT32, filetype: overlapping })
    })
  },
)

conforms(
  'simple_collective: zero bytes behind each other, in a new file, with a hint of many iods',
  RANKS,
  async (at) => {
    const { comm } = at
    const path = '/simple_collective'
    for (const info of [{}, { striping_factor: '50' }]) {
      const amode = Mode.CREATE | Mode.WRONLY | Mode.EXCL
      const file = await at.open(path, amode, info)
      const status = await file.writeAtAll(comm.rank * 700, new Uint8Array(700))
      assert.is(status.bytes, 700)
      assert.is(await file.getSize(), 700 * comm.size)
      await file.close()
      if (comm.rank === 0) await at.delete(path)
      await comm.barrier()
    }
  },
)

conforms('striped_hints: what info tells may be fed in again', RANKS, async (at) => {
  const amode = Mode.CREATE | Mode.WRONLY
  const file = await at.open('/striped_hints', amode, { romio_no_indep_rw: 'true' })
  await file.setView({ etype: BYTE, filetype: BYTE, info: file.info })
  await file.close()
  const again = await at.open('/striped_hints_2', amode, file.info)
  assert.equal({ ...again.info, filename: '' }, { ...file.info, filename: '' })
  await again.close()
})

conforms(
  'openerr: errors of open, and a file that is gone after its close',
  RANKS,
  async (each) => {
    await using at = await each.alone()
    const { comm } = at
    await rejects(at.open('/openerr', Mode.RDONLY), 'MPI_ERR_NO_SUCH_FILE')
    await at.inFile('/openerr', Mode.CREATE | Mode.WRONLY, async (file) => {
      await file.writeAt(comm.rank * 10, new Uint8Array(10).fill(65 + comm.rank))
    })
    const file = await at.open('/openerr', Mode.RDONLY | Mode.DELETE_ON_CLOSE)
    const buffer = new Uint8Array(10)
    await file.readAt(comm.rank * 10, buffer)
    assert.ok(buffer.every((byte) => byte === 65 + comm.rank))
    await rejects(file.writeAt(comm.rank * 10, buffer), 'MPI_ERR_READ_ONLY')
    await file.close()
    await rejects(at.open('/openerr', Mode.RDONLY), 'MPI_ERR_NO_SUCH_FILE')
  },
)

conforms(
  'userioerr, uerrhand, throwtestfile: an error is one rejection, and nothing is thrown',
  RANKS,
  async (each) => {
    await using at = await each.alone()
    const amode = Mode.CREATE | Mode.WRONLY | Mode.DELETE_ON_CLOSE
    await using file = await at.open('/userioerr', amode)
    await rejects(file.readAt(0, new Uint8Array(80)), 'MPI_ERR_ACCESS')
    await rejects(file.writeAt(-100, new Uint8Array(80)), 'MPI_ERR_ARG')
    await rejects(file.writeAt(-2, new Uint8Array(80)), 'MPI_ERR_ARG')
    await rejects(file.write({ data: null as never, count: -1 }), 'MPI_ERR_BUFFER')
  },
)

function valuesOf(rank: number, count: number): Int32Array {
  return new Int32Array(count).map((_, i) => rank * 100_000 + i)
}

/** A type of `bytes` bytes: all but the last one are one part. */
function largeAndSmall(bytes: number): Datatype {
  return Datatype.struct([
    { count: 1, displacement: 0, type: Datatype.contiguous(bytes - 1, BYTE) },
    { count: 1, displacement: bytes - 1, type: BYTE },
  ])
}

function indexed(blocklengths: readonly number[], displacements: readonly number[]): Datatype {
  return indexedOf(INT32, blocklengths, displacements)
}

function indexedOf(
  type: Datatype,
  blocklengths: readonly number[],
  displacements: readonly number[],
): Datatype {
  return Datatype.indexed({ blocklengths, displacements, type })
}
