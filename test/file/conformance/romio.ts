// The conformance tests of ROMIO, written afresh; names are theirs. Those that need the shared pointer, atomic mode
// or hints are in shared.ts.
import * as assert from 'uvu/assert'
import { Datatype } from '../../../lib/datatype/datatype.js'
import { File } from '../../../lib/file/file.js'
import type { Info } from '../../../lib/file/hints.js'
import { Mode } from '../../../lib/file/mode.js'
import { darrayMap, basicPair, bytesOf } from '../../datatype/typemap.js'
import { rejects } from '../../support/assertions.js'
import { type Case, casesInto, ONE_STRIP, RANKS } from './case.js'

/** ROMIO's tests. */
export const ROMIO_CASES: Case[] = []

const conforms = casesInto(ROMIO_CASES)

const { CHAR, INT32, FLOAT64 } = Datatype

const CREATE = Mode.CREATE | Mode.RDWR

/** How the independent tests access a file, awaited or held, and their collective twins. */
const WAYS = [
  ['noncontig: independent', 'write', 'readAt', 'writeAt', false],
  ['i_noncontig: independent and held', 'write', 'readAt', 'writeAt', true],
  ['noncontig_coll: collective', 'writeAll', 'readAtAll', 'writeAtAll', false],
  ['i_noncontig_coll: collective and held', 'writeAll', 'readAtAll', 'writeAtAll', true],
] as const

/** Hints of the tests that are not contiguous; the lists of hosts are those that one host can have. */
const NONCONTIG: readonly Info[] = [
  { ind_rd_buffer_size: 1209, ind_wr_buffer_size: 1107 },
  ...['*:1', '*:2', '*', '*:*'].map((list) => ({
    cb_config_list: list,
    romio_cb_write: 'enable',
    romio_cb_read: 'enable',
  })),
]

conforms('simple: a private file of each rank is written, closed and read', RANKS, async (at) => {
  const { comm } = at
  await using alone = await at.alone()
  const values = new Int32Array(16_384).map((_, i) => comm.rank * 100_000 + i)
  await alone.inFile('/simple', CREATE, async (file) => {
    assert.is((await file.write(values)).bytes, 65_536)
  })
  await alone.inFile('/simple', Mode.RDWR, async (file) => {
    const buffer = new Int32Array(16_384)
    await file.read(buffer)
    assert.equal(buffer, values)
  })
})

conforms(
  'async-multiple: 32 pieces are written, then read, all of them pending together',
  RANKS,
  async (at) => {
    const { comm } = at
    await using alone = await at.alone()
    const values = new Int32Array(16_384).map((_, i) => comm.rank * 100_000 + i)
    const pieces = Array.from({ length: 32 }, (_, i) => i * 512)
    await alone.inFile('/multiple', CREATE, async (file) => {
      await file.setView({ etype: INT32 })
      await Promise.all(pieces.map((at) => file.writeAt(at, values.subarray(at, at + 512))))
    })
    await alone.inFile('/multiple', Mode.RDWR, async (file) => {
      await file.setView({ etype: INT32 })
      const buffer = new Int32Array(16_384)
      await Promise.all(pieces.map((at) => file.readAt(at, buffer.subarray(at, at + 512))))
      assert.equal(buffer, values)
    })
  },
)

/** What ROMIO's tests of aggregation ask for; the third is no legal value, and is ignored. */
const AGGREGATED: Info = {
  romio_cb_write: 'enable',
  romio_cb_read: 'enable',
  romio_no_indep_rw: '1',
  cb_nodes: 1,
  cb_buffer_size: 4_194_304,
}

for (const [how, info] of [
  ['', {}],
  [', by one aggregator', AGGREGATED],
] as const) {
  conforms(
    `aggregation1: four objects of each rank, all writes pending${how}`,
    [4],
    async (at) => {
      const { comm } = at
      const objects = [0, 1, 2, 3].map((i) => {
        const offset = comm.rank * 4 * 2 ** 20 + i * 2 ** 20
        const data = new Uint8Array(2 ** 20)
        data.set(new TextEncoder().encode(`Hello from ${comm.rank} at ${offset}\n`))
        return { offset, data }
      })
      await at.inFile(
        '/aggregation1',
        CREATE,
        async (file) => {
          await Promise.all(objects.map(({ offset, data }) => file.writeAtAll(offset, data)))
          assert.is(file.info['romio_no_indep_rw'], 'false')
        },
        info,
      )
      await at.inFile(
        '/aggregation1',
        Mode.RDONLY,
        async (file) => {
          for (const { offset, data } of objects) {
            const buffer = new Uint8Array(2 ** 20)
            await file.readAtAll(offset, buffer)
            assert.is(Buffer.compare(buffer, data), 0)
          }
        },
        info,
      )
    },
    { strips: ONE_STRIP },
  )

  conforms(`aggregation2: a block of each rank behind the other${how}`, RANKS, async (at) => {
    const { comm } = at
    await at.inFile(
      '/aggregation2',
      CREATE,
      async (file) => {
        await file.writeAtAll(comm.rank * 2048, new Int32Array(512).fill(10_000 + comm.rank))
      },
      info,
    )
    await at.inFile(
      '/aggregation2',
      Mode.RDONLY,
      async (file) => {
        const buffer = new Int32Array(512)
        await file.readAtAll(comm.rank * 2048, buffer)
        assert.ok(buffer.every((value) => value === 10_000 + comm.rank))
      },
      info,
    )
  })
}

/** Processes in each of three dimensions. */
function gridOf(size: number): readonly number[] {
  return size === 8 ? [2, 2, 2] : size === 4 ? [2, 2, 1] : [size, 1, 1]
}

for (const order of ['C', 'Fortran'] as const) {
  for (const name of ['coll_test', 'split_coll, i_coll_test']) {
    const isSplit = name !== 'coll_test'
    conforms(
      `${name}: ranks write an array in blocks, order ${order}, and it lies as a whole`,
      RANKS,
      async (at) => {
        const { comm } = at
        const n = 32
        const spec = {
          size: comm.size,
          rank: comm.rank,
          gsizes: [n, n, n],
          distribs: ['block', 'block', 'block'] as const,
          dargs: [undefined, undefined, undefined],
          psizes: gridOf(comm.size),
          order,
        }
        const filetype = Datatype.darray({ ...spec, type: INT32 })
        // Each element is its own place in the array.
        const places = bytesOf(darrayMap(basicPair(6).map, spec), 1)
        const values = Int32Array.from(
          places.filter((_, i) => i % 4 === 0),
          (at) => at / 4,
        )
        await at.inFile('/coll_test', CREATE, async (file) => {
          await file.setView({ etype: INT32, filetype })
          const writing = file.writeAll(values)
          // MPI allows independent accesses between the two halves of a split collective.
          if (isSplit) await file.readAt(0, new Int32Array(1))
          await writing
        })
        await using alone = await at.alone()
        if (comm.rank === 0) {
          await using file = await File.open(alone.comm, at.path('/coll_test'), Mode.RDONLY)
          const all = new Int32Array(n ** 3)
          assert.is((await file.read(all)).bytes, 4 * n ** 3)
          assert.ok(all.every((value, i) => value === i))
        }
        await at.inFile('/coll_test', Mode.RDONLY, async (file) => {
          await file.setView({ etype: INT32, filetype })
          const buffer = new Int32Array(values.length)
          const reading = file.readAll(buffer)
          const some = new Int32Array(1)
          if (isSplit) await file.readAt(0, some)
          await reading
          assert.equal(buffer, values)
          if (isSplit) assert.is(some[0], values[0])
        })
      },
    )
  }
}

conforms(
  'darray_read, i_darray_read: a cyclic distribution in Fortran order reads what its definition says',
  [4],
  async (at) => {
    const { comm } = at
    const spec = {
      size: 4,
      rank: comm.rank,
      gsizes: [5, 5],
      distribs: ['cyclic', 'cyclic'] as const,
      dargs: [3, 3],
      psizes: [2, 2],
      order: 'Fortran',
    } as const
    const filetype = Datatype.darray({ ...spec, type: FLOAT64 })
    await using file = await at.open('/darray_read', CREATE)
    if (comm.rank === 0) await file.write(new Float64Array(25).map((_, i) => i))
    await file.sync()
    await file.setView({ etype: FLOAT64, filetype })
    const expected = bytesOf(darrayMap(basicPair(11).map, spec), 1).filter((_, i) => i % 8 === 0)
    const buffer = new Float64Array(filetype.size / 8)
    const again = new Float64Array(filetype.size / 8)
    const reading = file.readAll(buffer)
    for (const status of await Promise.all([reading, file.readAtAll(0, again)]))
      assert.is(status.count(FLOAT64), expected.length)
    assert.equal(
      [...buffer],
      expected.map((at) => at / 8),
    )
    assert.equal(again, buffer)
  },
)

for (const name of ['hindexed', 'i_hindexed']) {
  conforms(
    `${name}: four ranks interleave small blocks, twice${name === 'hindexed' ? '' : ', the first of them held'}`,
    [4],
    async (at) => {
      const { comm } = at
      const { rank } = comm
      const start = Math.floor(rank / 2) * 100 + (rank % 2) * 10
      const displacements = [0, 1].flatMap((i) => [0, 1].map((j) => start + 40 * i + 5 * j))
      const filetype = Datatype.hindexedBlock({ blocklength: 3, displacements, type: CHAR })
      await using file = await at.open('/hindexed', CREATE)
      await file.setSize(400)
      const buffer = new Uint8Array(12).map((_, k) => 48 + 20 * rank + k)
      await file.setView({ etype: CHAR, filetype })
      const first = file.writeAll(buffer)
      if (name === 'hindexed') await first
      await file.setView({ displacement: 200, etype: CHAR, filetype })
      await Promise.all([first, file.writeAll(buffer)])
      await file.setView()
      const all = new Uint8Array(400)
      assert.is((await file.readAtAll(0, all)).bytes, 400)
      const rows = Array.from({ length: 20 }, (_, row) =>
        Buffer.from(all.subarray(row * 20, row * 20 + 20))
          .toString('latin1')
          .replaceAll('\0', '·'),
      )
      const copy = [
        '012··345··DEF··GHI··',
        '····················',
        '678··9:;··JKL··MNO··',
        '····················',
        '····················',
        'XYZ··[\\]··lmn··opq··',
        '····················',
        '^_`··abc··rst··uvw··',
        '····················',
        '····················',
      ]
      assert.equal(rows, [...copy, ...copy])
    },
  )
}

/** The three things that the tests do that are not contiguous: they write, read, and look at what has moved. */
const HOLES = ['in memory and in the file', 'in memory', 'in the file'] as const

for (const [name, write, readAt, writeAt, isHeld] of WAYS) {
  // Lists of hosts matter to aggregators only.
  for (const info of write === 'writeAll' ? NONCONTIG : NONCONTIG.slice(0, 1)) {
    for (const where of HOLES) {
      const hosts = info['cb_config_list'] ?? 'any'
      conforms(`${name}, holes ${where}, hosts ${hosts}`, [2, 3, 4, 8], async (at) => {
        const { rank, size } = at.comm
        const n = Math.floor(5000 / size) * size
        const every = Datatype.vector(n / size, 1, size, INT32)
        const moved = Datatype.struct([{ count: 1, displacement: rank * 4, type: every }])
        const type = Datatype.resized(moved, 0, n * 4)
        const fresh = new Int32Array(n).map((_, i) => i + rank * n)
        const isInFile = where !== 'in memory'
        const isInMemory = where !== 'in the file'
        const place = isInFile ? 0 : rank * (n / size) * 4
        const part = isInMemory ? { datatype: type, count: 1 } : {}
        await using file = await at.open('/noncontig', CREATE | Mode.DELETE_ON_CLOSE, info)
        if (isInFile) await file.setView({ etype: INT32, filetype: type })
        const data = { data: fresh, ...part }
        const writing = isInFile ? file[write](data) : file[writeAt](place, data)
        if (!isHeld) await writing
        await Promise.all([writing, file.sync()])
        const buffer = new Int32Array(n).fill(-1)
        const status = await file[readAt](place, { data: buffer, ...part })
        assert.is(status.count(INT32), isInMemory ? n / size : n)
        const expected = isInMemory ? fresh.map((v, i) => (i % size === rank ? v : -1)) : fresh
        assert.equal(buffer, expected)
        // Of holes in the file alone there are two tiles of each rank.
        if (!isInMemory) assert.is(await file.getSize(), n * size * 4)
      })
    }
  }
}

conforms(
  'big_extents: the second tile of a type of gigabytes is where it has to be',
  RANKS,
  async (at) => {
    const { comm } = at
    const base = Datatype.indexedBlock({ blocklength: 1, displacements: [0, 262_143], type: INT32 })
    for (const gib of [1, 3, 6]) {
      const types = [
        Datatype.contiguous(1024 * gib, base),
        Datatype.subarray({
          sizes: [16_384, 16_384 * gib],
          subsizes: [256, 256],
          starts: [0, 0],
          order: 'C',
          type: INT32,
        }),
      ]
      for (const [index, filetype] of types.entries()) {
        for (const write of ['writeAt', 'writeAtAll'] as const) {
          const path = `/big-${gib}-${index}-${write}`
          assert.is(filetype.extent, gib * 2 ** 30)
          await using file = await at.open(path, CREATE)
          await file.setView({ displacement: comm.rank * 4, filetype })
          await file[write](filetype.size, Int32Array.of(comm.rank + 1_000_000))
          await file.setView({ etype: INT32 })
          const value = new Int32Array(1)
          await file.readAtAll(filetype.extent / 4 + comm.rank, value)
          assert.is(value[0], comm.rank + 1_000_000)
        }
      }
    }
  },
)

conforms(
  'types_with_zeros, i_types_with_zeros: blocks without length are no blocks',
  [2],
  async (at) => {
    const { comm } = at
    const mine = comm.rank === 0 ? [4, 5, 7] : [0, 1, 2, 3, 6, 8]
    const blocklengths = Array.from({ length: 9 }, (_, i) => (mine.includes(i) ? 1 : 0))
    const displacements = blocklengths.map((_, i) => i)
    const types = [
      Datatype.indexed({ blocklengths, displacements, type: INT32 }),
      Datatype.hindexed({
        blocklengths,
        displacements: displacements.map((i) => i * 4),
        type: INT32,
      }),
      Datatype.struct(
        blocklengths.map((count, i) => ({ count, displacement: i * 4, type: INT32 })),
      ),
    ]
    for (const [index, filetype] of types.entries()) {
      const path = `/zeros-${index}`
      await at.inFile(path, Mode.CREATE | Mode.WRONLY, async (file) => {
        if (comm.rank === 0) await file.writeAt(0, new Int32Array(9).fill(-999))
        await file.sync()
        await file.setView({ etype: INT32, filetype })
        const writing = file.writeAll(new Int32Array(mine.length).fill(1))
        assert.is(file.getPosition(), mine.length)
        assert.is((await writing).count(INT32), mine.length)
      })
      await at.inFile(path, Mode.RDONLY, async (file) => {
        const all = new Int32Array(9)
        await file.readAll(all)
        assert.ok(all.every((value) => value === 1))
      })
    }
  },
)

conforms('status: count and elements of a write', RANKS, async (each) => {
  await using at = await each.alone()
  await using file = await at.open('/status', CREATE)
  const status = await file.write(new Int32Array(16_384))
  assert.is(status.count(INT32), 16_384)
  assert.is(status.elements(INT32), 16_384)
})

conforms(
  'creat_excl, excl: of a file that exists no rank makes another, with aggregators either',
  RANKS,
  async (at) => {
    const { comm } = at
    for (const info of [{}, { romio_no_indep_rw: 'true' }]) {
      if (comm.rank === 0) await at.delete('/excl').catch(() => {})
      await comm.barrier()
      await at.inFile('/excl', CREATE, async () => {}, info)
      await rejects(at.open('/excl', CREATE | Mode.EXCL, info), 'MPI_ERR_FILE_EXISTS')
      if (comm.rank === 0) await at.delete('/excl')
      await comm.barrier()
      await at.inFile('/excl', CREATE | Mode.EXCL, async () => {}, info)
      await rejects(at.open('/excl', CREATE | Mode.EXCL, info), 'MPI_ERR_FILE_EXISTS')
    }
  },
)

conforms(
  'external32: 123456789 is 07 5B CD 15 in external32, and as in memory elsewhere',
  RANKS,
  async (each) => {
    await using at = await each.alone()
    for (const [datarep, expected] of [
      ['external32', [0x07, 0x5b, 0xcd, 0x15]],
      ['native', [0x15, 0xcd, 0x5b, 0x07]],
      ['internal', [0x15, 0xcd, 0x5b, 0x07]],
    ] as const) {
      await using file = await at.open(`/${datarep}`, CREATE)
      await file.setView({ etype: INT32, datarep })
      assert.is(file.getView().datarep, datarep)
      await file.write(Int32Array.of(123_456_789))
      await file.setView()
      const raw = new Uint8Array(4)
      await file.read(raw)
      assert.equal([...raw], expected)
    }
  },
  { strips: ONE_STRIP },
)

conforms(
  'fstype_prefix: an unknown prefix belongs to the name, and one without a driver is refused',
  RANKS,
  async (at) => {
    await at.inFile('nosuch_fstype:x', CREATE, async () => {})
    await at.inFile('/nosuch_fstype:x', Mode.RDONLY, async (file) => {
      assert.match(file.info['filename'] ?? '', /nosuch_fstype:x$/)
    })
    await rejects(File.open(at.comm, 'ufs:/x', CREATE), 'MPI_ERR_UNSUPPORTED_OPERATION')
  },
  { strips: ONE_STRIP },
)

conforms('error: a view with a negative displacement', RANKS, async (each) => {
  await using at = await each.alone()
  await using file = await at.open('/error', CREATE)
  await rejects(file.setView({ displacement: -1, etype: INT32 }), 'MPI_ERR_ARG')
})

conforms('misc: what a file tells of itself', RANKS, async (at) => {
  const { comm } = at
  await using file = await at.open('/misc', CREATE)
  await file.write(new Int32Array(1024))
  await file.sync()
  assert.is(file.amode, CREATE)
  assert.equal(file.group, comm.group)
  const filetype = Datatype.vector(10, 20, 30, INT32)
  await file.setView({ displacement: 1000, etype: INT32, filetype })
  const view = file.getView()
  assert.equal([view.displacement, view.datarep], [1000, 'native'])
  assert.equal([view.etype.size, view.filetype.size], [4, 800])
  assert.is(file.getByteOffset(20), 1000 + 30 * 4)
  await file.setSize(1000 + 25 * 4)
  assert.is(await file.getSize(), 1100)
  await file.seek(0, 'end')
  assert.is(file.getPosition(), 20)
  assert.is(file.getByteOffset(file.getPosition()), 1120)
  await file.seek(-20, 'cur')
  assert.is(file.getByteOffset(file.getPosition()), 1000)
})

conforms(
  'large_array: an array in blocks of three dimensions is read as it was written, at a scale of 64^3',
  RANKS,
  async (at) => {
    const { comm } = at
    const filetype = Datatype.darray({
      size: comm.size,
      rank: comm.rank,
      gsizes: [64, 64, 64],
      distribs: ['block', 'block', 'block'],
      psizes: gridOf(comm.size),
      order: 'C',
      type: INT32,
    })
    const values = new Int32Array(filetype.size / 4).map((_, i) => comm.rank * 64 + i)
    await at.inFile('/large_array', CREATE, async (file) => {
      await file.setView({ etype: INT32, filetype })
      await file.writeAll(values)
    })
    await at.inFile('/large_array', Mode.RDONLY, async (file) => {
      assert.is(await file.getSize(), 64 ** 3 * 4)
      await file.setView({ etype: INT32, filetype })
      const back = new Int32Array(values.length)
      assert.is((await file.readAll(back)).count(INT32), values.length)
      assert.equal(back, values)
    })
  },
)

conforms(
  'large_file: sequential writes of one rank, at a scale of 64 MiB',
  [1],
  async (at) => {
    const block = 2 ** 17
    await at.inFile('/large_file', CREATE, async (file) => {
      for (let i = 0; i < 64; i++)
        await file.write(new Float64Array(block).map((_, j) => i * block + j))
    })
    await at.inFile('/large_file', Mode.RDONLY, async (file) => {
      assert.is(await file.getSize(), 64 * block * 8)
      const buffer = new Float64Array(block)
      for (let i = 0; i < 64; i++) {
        await file.read(buffer)
        assert.ok(buffer.every((value, j) => value === i * block + j))
      }
    })
  },
  { strips: ONE_STRIP },
)
