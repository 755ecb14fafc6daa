// The conformance tests of MPICH and ROMIO that need the shared pointer, atomic mode, or hints, written afresh;
// names are theirs.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import * as assert from 'uvu/assert'
import { Datatype } from '../../../lib/datatype/datatype.js'
import type { Info } from '../../../lib/file/hints.js'
import { Mode } from '../../../lib/file/mode.js'
import { type Case, casesInto, RANKS } from './case.js'

/** MPICH's and ROMIO's tests of shared pointers, atomic mode and hints. */
export const SHARED_CASES: Case[] = []

const conforms = casesInto(SHARED_CASES)

const { CHAR, INT32 } = Datatype

const CREATE = Mode.CREATE | Mode.RDWR

for (const name of ['rdwrord', 'i_rdwrord']) {
  conforms(
    `${name}: what was written in the order of the ranks is read so, and moves no other pointer`,
    RANKS,
    async (at) => {
      const { comm } = at
      const { rank, size } = comm
      await at.inFile('/f', CREATE | Mode.DELETE_ON_CLOSE, async (file) => {
        await file.writeOrdered(Int32Array.of(rank))
        await comm.barrier()
        await file.seek(0)
        const all = new Int32Array(size)
        const held = file.readAll(all)
        if (name === 'i_rdwrord') assert.is(file.getPosition(), 4 * size)
        await held
        assert.equal(
          [...all],
          Array.from({ length: size }, (_, i) => i),
        )
        await file.seekShared(0)
        const own = new Int32Array(1)
        await file.readOrdered(own)
        assert.is(own[0], rank)
      })
    },
  )
}

conforms(
  'rdwrord -large-count: many bytes of each rank, and places beyond 4 GiB',
  [2],
  async (at) => {
    const { comm } = at
    await at.inFile('/f', CREATE, async (file) => {
      const far = 3 * 2 ** 31
      await file.seekShared(far)
      const mine = new Uint8Array(2_000_003).fill(comm.rank + 1)
      await file.writeOrdered({ data: mine, datatype: CHAR })
      assert.is(await file.getPositionShared(), far + 4_000_006)
      await file.seekShared(far)
      const back = new Uint8Array(mine.length)
      await file.readOrdered(back)
      assert.equal(back, mine)
    })
  },
)

conforms('rdwrzero: accesses of nothing touch no data and no pointer', RANKS, async (at) => {
  const { comm } = at
  await at.inFile('/f', CREATE, async (file) => {
    const nothing = new Int32Array(0)
    assert.is((await file.writeOrdered(Int32Array.of(comm.rank))).count(INT32), 1)
    await file.seek(0)
    assert.is((await file.read(nothing)).count(INT32), 0)
    assert.is((await file.write(nothing)).count(INT32), 0)
    await file.seekShared(0)
    assert.is((await file.readShared(nothing)).count(INT32), 0)
    assert.is((await file.writeShared(nothing)).count(INT32), 0)
    await comm.barrier()
    await file.seekShared(0)
    const own = new Int32Array(1)
    await file.readOrdered(own)
    assert.is(own[0], comm.rank)
  })
})

conforms('setinfo: a style that is set again, between ordered accesses', RANKS, async (at) => {
  const { comm } = at
  const info = { access_style: 'write_once,random' }
  await at.inFile(
    '/f',
    CREATE,
    async (file) => {
      await file.writeOrdered(Int32Array.of(comm.rank))
      await file.seekShared(0)
      await file.setInfo({ access_style: 'read_once' })
      const own = new Int32Array(1)
      assert.is((await file.readOrdered(own)).count(INT32), 1)
      assert.is(own[0], comm.rank)
      assert.is(file.info['access_style'], 'read_once')
    },
    info,
  )
})

for (const name of ['setviewcur', 'i_setviewcur']) {
  conforms(
    `${name}: behind a header the view begins where the shared pointer is`,
    RANKS,
    async (at) => {
      const { comm } = at
      const { rank, size } = comm
      await at.inFile('/f', Mode.WRONLY | Mode.CREATE, async (file) => {
        const held = file.writeAll(Int32Array.of(size))
        if (name === 'setviewcur') await held
        const position = file.getPosition()
        assert.is(position, 4)
        await file.seekShared(position)
        await file.writeOrdered(Int32Array.of(rank))
        await held
      })
      const amode = Mode.RDONLY | Mode.SEQUENTIAL | Mode.DELETE_ON_CLOSE
      await at.inFile('/f', amode, async (file) => {
        const one = new Int32Array(1)
        if (rank === 0) {
          await file.readShared(one)
          assert.is(one[0], size)
        }
        await comm.barrier()
        await file.setView({ displacement: 'current', etype: INT32, filetype: INT32 })
        assert.is(file.getView().displacement, 4)
        await file.readOrdered(one)
        assert.is(one[0], rank)
      })
    },
  )
}

conforms(
  'shposition: each rank in its turn, and all see where the pointer is',
  RANKS,
  async (at) => {
    const { comm } = at
    await at.inFile('/f', CREATE, async (file) => {
      for (let turn = 0; turn < comm.size; turn++) {
        if (comm.rank === turn) await file.writeShared(Int32Array.of(turn))
        await comm.barrier()
        assert.is(await file.getPositionShared(), 4 * (turn + 1))
        await comm.barrier()
      }
    })
  },
)

for (const [name, count, write, read] of [
  ['ordered_fp', 200, 'writeOrdered', 'readOrdered'],
  ['shared_fp', 1024, 'writeShared', 'readShared'],
] as const) {
  conforms(
    `${name}: the sum of all that was written is the sum of all that is read`,
    RANKS,
    async (at) => {
      const { comm } = at
      const { rank, size } = comm
      await at.inFile('/f', CREATE, async (file) => {
        const mine = new Int32Array(count).map((_, i) => count * rank + i)
        await file[write](mine)
        await comm.barrier()
        await file.seekShared(0)
        const back = new Int32Array(count)
        await file[read](back)
        if (name === 'ordered_fp') assert.equal(back, mine)
        const sum = await comm.allreduce(
          back.reduce((one, other) => one + other, 0),
          'sum',
        )
        const total = count * size
        assert.is(sum, (total * (total - 1)) / 2)
      })
    },
  )
}

conforms(
  'atomicity: ranks read while one writes, and see all of it or nothing',
  [2, 3, 4, 8],
  async (at) => {
    const { comm } = at
    const count = 10_000
    const every = Datatype.vector(count, 1, 2, INT32)
    const info = { ind_rd_buffer_size: 1209, ind_wr_buffer_size: 1107 }
    for (const filetype of [INT32, every]) {
      await at.inFile(
        '/f',
        CREATE,
        async (file) => {
          await file.setView({ etype: INT32, filetype })
          if (comm.rank === 0) await file.writeAt(0, new Int32Array(count))
          await file.setAtomicity(true)
          const values = new Int32Array(count).fill(comm.rank === 0 ? 10 : 20)
          if (comm.rank === 0) await file.writeAt(0, values)
          else await file.readAt(0, values)
          const [first] = values
          assert.ok(first === 0 || first === 10)
          assert.ok(values.every((value) => value === first))
        },
        info,
      )
    }
  },
)

conforms(
  'misc, filemisc: atomicity and preallocation as a file tells of them',
  RANKS,
  async (at) => {
    await at.inFile('/f', CREATE, async (file) => {
      await file.write(new Int32Array(1024))
      await file.sync()
      assert.is(file.atomicity, false)
      await file.setAtomicity(true)
      assert.is(file.atomicity, true)
      await file.setAtomicity(false)
      const filetype = Datatype.vector(10, 10, 20, INT32)
      await file.setView({ displacement: 1000, etype: INT32, filetype })
      assert.is(file.getByteOffset(10), 1000 + 80)
      await file.setSize(1060)
      await file.sync()
      assert.is(await file.getSize(), 1060)
      await file.seek(0, 'end')
      assert.is(file.getPosition(), 10)
      assert.is(file.getByteOffset(10), 1080)
      await file.seek(-10, 'cur')
      assert.is(file.getByteOffset(file.getPosition()), 1000)
      await file.preallocate(8192)
      assert.is(await file.getSize(), 8192)
    })
  },
)

conforms('fileinfo: the name that info tells is the one that was opened', RANKS, async (at) => {
  await using file = await at.open('/iotest.txt', CREATE)
  await file.setInfo({ access_style: 'read_once,write_once' })
  assert.is(file.info['filename'], at.path('/iotest.txt'))
})

conforms('file_info: defaults, and what is given', RANKS, async (at) => {
  const { comm } = at
  const cases: readonly (readonly [Info | undefined, Readonly<Record<string, string>>])[] = [
    [
      undefined,
      {
        cb_buffer_size: '16777216',
        ind_rd_buffer_size: '4194304',
        ind_wr_buffer_size: '524288',
        romio_cb_read: 'automatic',
        romio_cb_write: 'automatic',
        cb_config_list: '*:*',
        romio_no_indep_rw: 'false',
        romio_ds_read: 'automatic',
      },
    ],
    [
      {
        cb_buffer_size: 8_388_608,
        cb_nodes: Math.ceil(comm.size / 2),
        ind_rd_buffer_size: 2_097_152,
        ind_wr_buffer_size: 1_048_576,
        striping_unit: 131_072,
        cb_config_list: '*:*',
        start_iodevice: 1,
        pfs_svr_buf: true,
      },
      {
        cb_buffer_size: '8388608',
        cb_nodes: String(Math.ceil(comm.size / 2)),
        ind_rd_buffer_size: '2097152',
        ind_wr_buffer_size: '1048576',
        striping_unit: '131072',
        cb_config_list: '*:*',
        start_iodevice: '1',
        romio_no_indep_rw: 'false',
      },
    ],
  ]
  for (const [index, [info, expected]] of cases.entries()) {
    await using file = await at.open(`/info-${index}`, CREATE, info)
    for (const [key, value] of Object.entries(expected)) assert.is(file.info[key], value, key)
    assert.is(file.info['pfs_svr_buf'], undefined)
  }
})

conforms(
  'syshints: the first of two lines counts, the program comes first, and one promise has the last word',
  [1],
  async (at) => {
    const directory = mkdtempSync(join(tmpdir(), 'syshints-'))
    const path = join(directory, 'hints')
    const lines = ['romio_cb_read enable', 'ind_rd_buffer_size 49', 'romio_no_indep_rw true']
    writeFileSync(path, [...lines, 'ind_rd_buffer_size 60'].join('\n'))
    process.env['ROMIO_HINTS'] = path
    try {
      await at.inFile(
        '/f',
        CREATE,
        async (file) => {
          const { romio_cb_read, ind_rd_buffer_size, romio_no_indep_rw } = file.info
          assert.equal(
            [romio_cb_read, ind_rd_buffer_size, romio_no_indep_rw],
            ['enable', '49', 'true'],
          )
        },
        { romio_cb_read: 'disable' },
      )
    } finally {
      delete process.env['ROMIO_HINTS']
      rmSync(directory, { recursive: true })
    }
  },
)
