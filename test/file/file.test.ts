// Opening, views, pointers, sizes, and the ways of access, on the ranks of live servers. Errors and the order
// of collectives have files of their own beside this one.
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { Datatype } from '../../lib/datatype/datatype.js'
import { FileSystem } from '../../lib/file/file-system.js'
import { File } from '../../lib/file/file.js'
import { Mode } from '../../lib/file/mode.js'
import { transportKind } from '../../lib/transport/kind.js'
import { startCluster } from '../../servers/cluster.js'
import { rejects, throws } from '../support/assertions.js'
import { onRanks } from '../support/ranks.js'

const test = suite('File')

const { BYTE, INT32, FLOAT64 } = Datatype

const CREATE = Mode.CREATE | Mode.RDWR

/** Every second etype of INT32, in tiles of two. */
const EVERY_SECOND = Datatype.resized(INT32, 0, 8)

for (const size of [1, 2, 3, 4, 8]) {
  test(`${size} ranks write each its blocks and read those of the others, in all eight ways`, async () => {
    await using cluster = await startCluster({ iods: 3, inProcess: true })
    await onRanks(size, cluster, async (comm) => {
      const { rank } = comm
      await using file = await File.open(comm, '/f', CREATE, { striping_unit: 4096 })
      await file.setView({ etype: INT32 })
      const block = 3000
      const values = (way: number, owner: number): Int32Array =>
        new Int32Array(block).map((_, i) => (way * size + owner) * block + i)
      const place = (way: number, owner: number): number => (way * size + owner) * block

      const status = await file.writeAt(place(0, rank), values(0, rank))
      assert.is(status.count(INT32), block)
      await file.writeAtAll(place(1, rank), values(1, rank))
      await file.seek(place(2, rank))
      await file.write(values(2, rank))
      await file.seek(place(3, rank))
      await file.writeAll(values(3, rank))
      assert.is(file.getPosition(), place(3, rank) + block)
      await file.sync()

      const other = (rank + 1) % size
      const buffer = new Int32Array(block)
      await file.readAt(place(3, other), buffer)
      assert.equal(buffer, values(3, other))
      await file.readAtAll(place(2, other), buffer)
      assert.equal(buffer, values(2, other))
      await file.seek(place(1, other))
      await file.read(buffer)
      assert.equal(buffer, values(1, other))
      await file.seek(place(0, other))
      const all = await file.readAll(buffer)
      assert.equal(buffer, values(0, other))
      assert.is(all.bytes, block * 4)
      assert.is(await file.getSize(), 4 * size * block * 4)
    })
  })
}

test('after open the view is bytes from the start, and the pointer stands there', async () => {
  await using cluster = await startCluster({ iods: 3, inProcess: true })
  await onRanks(2, cluster, async (comm) => {
    await using file = await File.open(comm, '/f', CREATE)
    const { displacement, etype, filetype, datarep } = file.getView()
    assert.is(displacement, 0)
    assert.is(etype, BYTE)
    assert.is(filetype, BYTE)
    assert.is(datarep, 'native')
    assert.is(file.getPosition(), 0)
    assert.is(await file.getSize(), 0)
    assert.is(file.getByteOffset(7), 7)
    assert.is(file.getTypeExtent(FLOAT64), 8)
    assert.is(file.getTypeExtent(EVERY_SECOND), 8)
  })
})

test('amode, group and info are told, and keep their last values after close', async () => {
  await using cluster = await startCluster({ iods: 3, inProcess: true })
  await onRanks(3, cluster, async (comm) => {
    const amode = CREATE | Mode.UNIQUE_OPEN
    const hints = { striping_unit: 8192, striping_factor: 2, start_iodevice: 1, unknown: 'x' }
    const file = await File.open(comm, '/f', amode, hints)
    await file.close()
    assert.is(file.amode, amode)
    assert.equal(file.group, comm.group)
    assert.equal(file.info, {
      striping_unit: '8192',
      striping_factor: '2',
      start_iodevice: '1',
      num_io_nodes: '3',
      filename: '/f',
      io_node_list: '1,2',
      collective_buffering: 'true',
      romio_cb_read: 'automatic',
      romio_cb_write: 'automatic',
      cb_nodes: '2',
      cb_config_list: '*:*',
      cb_buffer_size: '16777216',
      romio_ds_read: 'automatic',
      ind_rd_buffer_size: '4194304',
      romio_no_indep_rw: 'false',
      romio_ds_write: 'disable',
      ind_wr_buffer_size: '524288',
      romio_synchronized_flush: 'enabled',
      romio_visibility_immediate: 'true',
      romio_filesystem_type: 'rankio: striped over iods',
      rankio_operation_timeout: '120000',
      rankio_collective_timeout: '0',
      rankio_direct: 'read',
      rankio_combine: 'automatic',
      rankio_transport: await transportKind(),
    })
    assert.is.not(file.info, file.info)
  })
})

test('the layout of a file is told, not what a later open asks for; and may be fed in again', async () => {
  await using cluster = await startCluster({ iods: 3, inProcess: true })
  await onRanks(2, cluster, async (comm) => {
    const first = await File.open(comm, '/f', CREATE, { striping_unit: 4096, striping_factor: 2 })
    await first.close()
    const second = await File.open(comm, '/f', CREATE, { striping_unit: 65536, striping_factor: 3 })
    assert.is(second.info['striping_unit'], '4096')
    assert.is(second.info['striping_factor'], '2')
    await second.close()
    const third = await File.open(comm, '/g', CREATE, second.info)
    assert.equal({ ...third.info, filename: '' }, { ...second.info, filename: '' })
    await third.close()
  })
})

test('a list of hosts that no rank is on fails the open on all ranks, and makes no file', async () => {
  await using cluster = await startCluster({ iods: 2, inProcess: true })
  await onRanks(3, cluster, async (comm) => {
    const error = await rejects(File.open(comm, '/f', CREATE, { cb_config_list: 'nowhere:2' }))
    assert.is(error.code, 'MPI_ERR_IO')
    await rejects(File.open(comm, '/f', Mode.RDONLY), 'MPI_ERR_NO_SUCH_FILE')
    await using file = await File.open(comm, '/f', CREATE, { cb_config_list: '*:1', cb_nodes: 3 })
    assert.is(file.info['cb_nodes'], '1')
    await file.writeAtAll(comm.rank * 100_000, new Uint8Array(100_000))
  })
})

test('hints that are not possible are clamped or ignored', async () => {
  await using cluster = await startCluster({ iods: 2, inProcess: true })
  await onRanks(2, cluster, async (comm) => {
    const hints = { striping_unit: 5000, striping_factor: 50, start_iodevice: 77 }
    await using file = await File.open(comm, '/f', CREATE, hints)
    assert.is(file.info['striping_unit'], '65536')
    assert.is(file.info['striping_factor'], '2')
    assert.ok(Number(file.info['start_iodevice']) < 2)
    await file.writeAtAll(comm.rank * 10, new Uint8Array(10))
  })
})

test('a path is taken from the root, or names its manager', async () => {
  await using cluster = await startCluster({ iods: 1, inProcess: true })
  await onRanks(2, cluster, async (comm) => {
    for (const path of ['data', '/data', `${cluster.url}/data`]) {
      await using file = await File.open(comm, path, CREATE)
      assert.is(await file.getSize(), path === 'data' ? 0 : 5)
      await file.writeAtAll(0, new Uint8Array(5))
    }
    await using odd = await File.open(comm, 'nosuch_fstype:NAME', CREATE)
    assert.is(await odd.getSize(), 0)
  })
  await using fs = await FileSystem.connect(cluster.url)
  const names = (await fs.readdir('/')).map(({ name }) => name)
  assert.equal(names, ['data', 'nosuch_fstype:NAME'])
})

test('EXCL makes the file on one rank only, and EXCL alone is ignored', async () => {
  await using cluster = await startCluster({ iods: 2, inProcess: true })
  await onRanks(4, cluster, async (comm) => {
    const file = await File.open(comm, '/f', CREATE | Mode.EXCL)
    await file.close()
    await rejects(File.open(comm, '/f', CREATE | Mode.EXCL), 'MPI_ERR_FILE_EXISTS')
    const again = await File.open(comm, '/f', Mode.RDWR | Mode.EXCL)
    await again.close()
    await rejects(File.open(comm, '/g', Mode.RDWR | Mode.EXCL), 'MPI_ERR_NO_SUCH_FILE')
  })
})

test('file_perm is the mode of a new file', async () => {
  await using cluster = await startCluster({ iods: 1, inProcess: true })
  await onRanks(1, cluster, async (comm) => {
    await using file = await File.open(comm, '/f', CREATE, { file_perm: '0640' })
    assert.is(file.info['file_perm'], '0640')
  })
  await using fs = await FileSystem.connect(cluster.url)
  assert.is((await fs.stat('/f')).mode & 0o7777, 0o640)
})

test('APPEND only says where the pointer begins', async () => {
  await using cluster = await startCluster({ iods: 2, inProcess: true })
  await onRanks(2, cluster, async (comm) => {
    await using file = await File.open(comm, '/f', CREATE)
    await file.writeAtAll(0, new Uint8Array(100).fill(1))
    // The one who wrote has not closed: the size must be the present one.
    await using append = await File.open(comm, '/f', Mode.RDWR | Mode.APPEND)
    assert.is(append.getPosition(), 100)
    if (comm.rank === 0) await append.write(new Uint8Array(1).fill(2))
    await append.seek(0)
    if (comm.rank === 0) await append.write(new Uint8Array(1).fill(3))
    await append.sync()
    const buffer = new Uint8Array(101)
    await append.readAtAll(0, buffer)
    assert.equal([buffer[0], buffer[1], buffer[99], buffer[100]], [3, 1, 1, 2])
  })
})

test('a view counts etypes from its displacement on, tile by tile', async () => {
  await using cluster = await startCluster({ iods: 3, inProcess: true })
  await onRanks(2, cluster, async (comm) => {
    await using file = await File.open(comm, '/f', CREATE, { striping_unit: 4096 })
    const displacement = 100 + 4 * comm.rank
    await file.setView({ displacement, etype: INT32, filetype: EVERY_SECOND })
    const view = file.getView()
    assert.equal(
      [view.displacement, view.etype, view.filetype],
      [displacement, INT32, EVERY_SECOND],
    )
    assert.is(file.getByteOffset(0), displacement)
    assert.is(file.getByteOffset(10), displacement + 80)
    const values = new Int32Array(5000).map((_, i) => 2 * i + comm.rank)
    await file.writeAtAll(3, values)
    await file.setView({ displacement: 100, etype: INT32 })
    const all = new Int32Array(10_000)
    assert.is((await file.readAtAll(6, all)).count(INT32), 10_000)
    assert.equal(
      all,
      all.map((_, i) => i),
    )
    await file.setView()
    const hole = new Uint8Array(124).fill(9)
    await file.readAtAll(0, hole)
    assert.ok(hole.every((byte) => byte === 0))
  })
})

test('ranks may have views of different shape', async () => {
  await using cluster = await startCluster({ iods: 3, inProcess: true })
  await onRanks(3, cluster, async (comm) => {
    await using file = await File.open(comm, '/f', CREATE, { striping_unit: 4096 })
    const filetypes = [
      Datatype.contiguous(4, BYTE),
      Datatype.resized(Datatype.vector(2, 1, 2, BYTE), 0, 4),
      Datatype.contiguous(0, BYTE),
    ]
    const displacement = [0, 4000, 0][comm.rank] ?? 0
    await file.setView({ displacement, etype: BYTE, filetype: filetypes[comm.rank] ?? BYTE })
    const mine = new Uint8Array(comm.rank === 2 ? 0 : 4000).fill(comm.rank + 1)
    const status = await file.writeAll(mine)
    assert.is(status.bytes, mine.length)
    assert.is(file.getPosition(), mine.length)
    await file.setView()
    const all = new Uint8Array(12_000)
    assert.is((await file.readAtAll(0, all)).bytes, 11_999)
    for (const [at, byte] of all.entries()) {
      const want = at < 4000 ? 1 : at % 2 === 0 && at < 12_000 ? 2 : 0
      if (byte !== want) assert.is(byte, want, `byte ${at}`)
    }
  })
})

test('a view of a type without data holds nothing, and its position stays 0', async () => {
  await using cluster = await startCluster({ iods: 1, inProcess: true })
  await onRanks(2, cluster, async (comm) => {
    await using file = await File.open(comm, '/f', CREATE)
    const empty = Datatype.contiguous(0, INT32)
    await file.setView({ displacement: 40, etype: INT32, filetype: empty })
    assert.is((await file.writeAll(new Int32Array(0))).bytes, 0)
    assert.is((await file.read(new Int32Array(0))).count(INT32), 0)
    assert.is(file.getPosition(), 0)
    assert.is(file.getByteOffset(0), 40)
    assert.is(file.getByteOffset(9), 40)
    await file.seek(0, 'end')
    assert.is(file.getPosition(), 0)
    const refused = file.writeAtAll(0, new Int32Array(1))
    assert.is((await rejects(refused)).code, 'MPI_ERR_ARG')
  })
})

test('setView puts the pointer to 0, also with the same view', async () => {
  await using cluster = await startCluster({ iods: 1, inProcess: true })
  await onRanks(2, cluster, async (comm) => {
    await using file = await File.open(comm, '/f', CREATE)
    await file.seek(9)
    await file.setView()
    assert.is(file.getPosition(), 0)
  })
})

test('an operation keeps the view of its call', async () => {
  await using cluster = await startCluster({ iods: 2, inProcess: true })
  await onRanks(2, cluster, async (comm) => {
    await using file = await File.open(comm, '/f', CREATE)
    await file.setView({ displacement: 40 * comm.rank, etype: INT32 })
    const first = file.writeAll(new Int32Array(10).fill(1 + comm.rank))
    const view = file.setView({ displacement: 80 + 40 * comm.rank, etype: INT32 })
    // Called before the new view is in force: it still counts from the old one.
    const second = file.writeAt(5, new Int32Array(5).fill(7))
    await Promise.all([first, view, second])
    await file.writeAll(new Int32Array(10).fill(3 + comm.rank))
    await file.setView({ etype: INT32 })
    const all = new Int32Array(40)
    await file.readAtAll(0, all)
    const runs = [0, 5, 10, 15, 20, 30].map((at) => all[at])
    assert.is.not(runs[0], 0)
    assert.equal([runs[0], runs[2], runs[4], runs[5]], [1, 2, 3, 4])
    assert.ok([1, 7].includes(runs[1] ?? 0))
  })
})

test('a view that is refused leaves view and pointer on every rank', async () => {
  await using cluster = await startCluster({ iods: 1, inProcess: true })
  await onRanks(3, cluster, async (comm) => {
    await using file = await File.open(comm, '/f', CREATE)
    await file.setView({ displacement: 8, etype: INT32 })
    await file.seek(5)
    const bad = comm.rank === 1 ? { displacement: -1, etype: INT32 } : { etype: INT32 }
    await rejects(file.setView(bad), comm.rank === 1 ? 'MPI_ERR_ARG' : 'MPI_ERR_IO')
    assert.is(file.getView().displacement, 8)
    assert.is(file.getPosition(), 5)
  })
})

test('reading may go through a view that has bytes twice, in a tile or in two', async () => {
  await using cluster = await startCluster({ iods: 2, inProcess: true })
  await onRanks(1, cluster, async (comm) => {
    const numbers = new Int32Array(3000).map((_, i) => i)
    await using writer = await File.open(comm, '/f', CREATE, { striping_unit: 4096 })
    await writer.writeAt(0, numbers)
    await using file = await File.open(comm, '/f', Mode.RDONLY)
    const twice = Datatype.indexed({ blocklengths: [2, 2], displacements: [0, 1], type: INT32 })
    await file.setView({ etype: INT32, filetype: twice })
    const six = new Int32Array(6)
    await file.readAt(0, six)
    assert.equal([...six], [0, 1, 1, 2, 3, 4])
    const pair = Datatype.resized(Datatype.contiguous(2, INT32), 0, 4)
    await file.setView({ etype: INT32, filetype: pair })
    const many = new Int32Array(7000).fill(-1)
    const status = await file.read(many)
    // Elements 0 1 1 2 2 3 …: the last one before the end is 2999, which is seen twice, and then 3000.
    assert.is(status.count(INT32), 5999)
    assert.ok(many.subarray(0, 5999).every((value, i) => value === Math.ceil(i / 2)))
    assert.is(file.getPosition(), 5999)
  })
})

test('a view whose tiles begin before the data of the last one end is refused', async () => {
  await using cluster = await startCluster({ iods: 1, inProcess: true })
  await onRanks(1, cluster, async (comm) => {
    await using _ = await File.open(comm, '/f', CREATE)
    await using file = await File.open(comm, '/f', Mode.RDONLY)
    const apart = Datatype.indexedBlock({ blocklength: 1, displacements: [0, 3], type: INT32 })
    const filetype = Datatype.resized(apart, 0, 4)
    await rejects(file.setView({ etype: INT32, filetype }), 'MPI_ERR_IO')
  })
})

test('seek counts from the start, the pointer, or the end in the view, rounded up', async () => {
  await using cluster = await startCluster({ iods: 2, inProcess: true })
  await onRanks(2, cluster, async (comm) => {
    await using file = await File.open(comm, '/f', CREATE)
    await file.setSize(1060)
    await file.seek(10)
    await file.seek(5, 'cur')
    assert.is(file.getPosition(), 15)
    await file.seek(-15n, 'cur')
    assert.is(file.getPosition(), 0)
    await file.seek(-60, 'end')
    assert.is(file.getPosition(), 1000)
    await file.seek(10 ** 6, 'end')
    assert.is(file.getPosition(), 1_001_060)
    // 10 etypes, a gap of 10, …: the file ends in the first gap, so at etype 10, which is byte 1080.
    const filetype = Datatype.vector(10, 10, 20, INT32)
    await file.setView({ displacement: 1000, etype: INT32, filetype })
    await file.seek(0, 'end')
    assert.is(file.getPosition(), 10)
    assert.is(file.getByteOffset(10), 1080)
    await file.seek(-10, 'cur')
    assert.is(file.getByteOffset(file.getPosition()), 1000)
    await file.setView({ displacement: 1001, etype: INT32 })
    await file.seek(0, 'end')
    assert.is(file.getPosition(), 15)
    await file.setView({ displacement: 5000, etype: INT32 })
    await file.seek(0, 'end')
    assert.is(file.getPosition(), 0)
  })
})

test('a seek before the start is refused, and the pointer stays', async () => {
  await using cluster = await startCluster({ iods: 1, inProcess: true })
  await onRanks(1, cluster, async (comm) => {
    await using file = await File.open(comm, '/f', CREATE)
    await file.seek(3)
    await rejects(file.seek(-1), 'MPI_ERR_ARG')
    await rejects(file.seek(-4, 'cur'), 'MPI_ERR_ARG')
    await rejects(file.seek(-1, 'end'), 'MPI_ERR_ARG')
    await rejects(file.seek(0, 'start' as 'set'), 'MPI_ERR_ARG')
    await rejects(file.seek(Number.MAX_SAFE_INTEGER, 'cur'), 'MPI_ERR_VALUE_TOO_LARGE')
    assert.is(file.getPosition(), 3)
  })
})

test("seek moves in the call, but 'end' when it knows the size", async () => {
  await using cluster = await startCluster({ iods: 1, inProcess: true })
  await onRanks(1, cluster, async (comm) => {
    await using file = await File.open(comm, '/f', CREATE)
    await file.writeAt(0, new Uint8Array(50).fill(1))
    const seeking = file.seek(20)
    assert.is(file.getPosition(), 20)
    const end = file.seek(0, 'end')
    const read = file.read(new Uint8Array(10))
    assert.is(file.getPosition(), 30)
    await Promise.all([seeking, end, read])
    assert.is(file.getPosition(), 50)
  })
})

test('reading on until nothing comes ends at the end of the file', async () => {
  await using cluster = await startCluster({ iods: 3, inProcess: true })
  await onRanks(2, cluster, async (comm) => {
    await using file = await File.open(comm, '/f', CREATE, { striping_unit: 4096 })
    await file.writeAtAll(0, new Uint8Array(10_001).fill(1))
    // The last etype is cut by the end of the file: it counts as one, so that this loop ends.
    await file.setView({ etype: INT32 })
    const buffer = new Int32Array(700)
    let bytes = 0
    let reads = 0
    for (let status = await file.read(buffer); status.bytes > 0; status = await file.read(buffer)) {
      bytes += status.bytes
      reads++
    }
    assert.is(bytes, 10_001)
    assert.is(reads, 4)
    assert.is(file.getPosition(), 2501)
    await file.seek(2000)
    const status = await file.readAll(buffer)
    assert.is(status.bytes, 2001)
    assert.is(status.count(INT32), undefined)
    assert.is(status.elements(INT32), 500)
    assert.is(file.getPosition(), 2501)
  })
})

test('held accesses lie one behind the other, and only the last corrects the pointer', async () => {
  await using cluster = await startCluster({ iods: 2, inProcess: true })
  await onRanks(2, cluster, async (comm) => {
    await using file = await File.open(comm, '/f', CREATE)
    await file.seek(100 * comm.rank)
    const writes = [1, 2, 3, 4].map((value) => file.write(new Uint8Array(25).fill(value)))
    assert.is(file.getPosition(), 100 * comm.rank + 100)
    await Promise.all(writes)
    await file.sync()
    await file.seek(150)
    const buffers = [new Uint8Array(40), new Uint8Array(40)] as const
    const reads = [file.read(buffers[0]), file.read(buffers[1])] as const
    assert.is(file.getPosition(), 230)
    const [first, second] = await Promise.all(reads)
    assert.equal([first.bytes, second.bytes], [40, 10])
    assert.is(file.getPosition(), 200)
    assert.equal([buffers[0][0], buffers[0][30], buffers[1][0]], [3, 4, 4])
  })
})

test('a short read does not correct a pointer that was used since', async () => {
  await using cluster = await startCluster({ iods: 1, inProcess: true })
  await onRanks(1, cluster, async (comm) => {
    await using file = await File.open(comm, '/f', CREATE)
    await file.writeAt(0, new Uint8Array(10))
    const read = file.read(new Uint8Array(100))
    await file.seek(3)
    await read
    assert.is(file.getPosition(), 3)
    const held = file.readAll(new Uint8Array(100))
    await file.setView({ displacement: 2 })
    await held
    assert.is(file.getPosition(), 0)
  })
})

test('what is refused at the call does not move the pointer, nor keep another from it', async () => {
  await using cluster = await startCluster({ iods: 1, inProcess: true })
  await onRanks(2, cluster, async (comm) => {
    await using file = await File.open(comm, '/f', CREATE)
    await file.writeAtAll(0, new Uint8Array(10))
    const short = file.read(new Uint8Array(100))
    await rejects(file.read({ data: new Uint8Array(10), count: -1 }), 'MPI_ERR_COUNT')
    await rejects(file.readAll({ data: new Uint8Array(10), count: -1 }), 'MPI_ERR_COUNT')
    assert.is((await short).bytes, 10)
    assert.is(file.getPosition(), 10)
    await file.seek(4)
    const bad = { data: new Uint8Array(5), count: comm.rank === 0 ? 6 : 5 }
    await rejects(file.writeAll(bad), comm.rank === 0 ? 'MPI_ERR_BUFFER' : 'MPI_ERR_IO')
    assert.is(file.getPosition(), 4)
  })
})

test('nothing asked for is nothing moved, with a status of its own', async () => {
  await using cluster = await startCluster({ iods: 1, inProcess: true })
  await onRanks(2, cluster, async (comm) => {
    await using file = await File.open(comm, '/f', CREATE)
    for (const status of [
      await file.read(new Uint8Array(0)),
      await file.write(new Uint8Array(0)),
      await file.readAt(10 ** 9, { data: new Uint8Array(5), count: 0 }),
      await file.writeAtAll(10 ** 9, new Float64Array(0)),
      await file.readAll({ data: new Uint8Array(5), offset: 5 }),
      await file.writeAt(0, { data: new ArrayBuffer(0), datatype: INT32 }),
    ]) {
      assert.is(status.bytes, 0)
      assert.is(status.count(INT32), 0)
    }
    assert.is(await file.getSize(), 0)
    assert.is(file.getPosition(), 0)
  })
})

test('every kind of buffer is taken, and a part of one', async () => {
  await using cluster = await startCluster({ iods: 1, inProcess: true })
  await onRanks(1, cluster, async (comm) => {
    await using file = await File.open(comm, '/f', CREATE)
    const bytes = Uint8Array.from({ length: 64 }, (_, i) => i)
    await file.writeAt(0, bytes)
    const { buffer } = bytes
    const shared = new Uint8Array(new SharedArrayBuffer(64))
    shared.set(bytes)
    const specs = [
      [buffer, 64],
      [shared, 64],
      [shared.buffer, 64],
      [new DataView(buffer, 8, 16), 16],
      [bytes.subarray(8, 24), 16],
      [Buffer.from(buffer, 8, 16), 16],
      [new Int16Array(buffer, 2, 3), 6],
      [new BigInt64Array(buffer, 8, 2), 16],
      [{ data: new Float32Array(buffer), offset: 2, count: 3 }, 12],
      [{ data: buffer, offset: 4n, count: 5n }, 5],
      [{ data: new Float64Array(buffer), offset: 1, datatype: BYTE, count: 3 }, 3],
      [{ data: bytes, datatype: Datatype.vector(3, 2, 4, BYTE), count: 1 }, 6],
    ] as const
    for (const [spec, length] of specs) assert.is((await file.writeAt(100, spec)).bytes, length)
    const there = new Uint8Array(6)
    await file.readAt(100, there)
    assert.equal([...there], [0, 1, 4, 5, 8, 9])
  })
})

test('a read leaves the holes of memory and what is beyond the end of the file', async () => {
  await using cluster = await startCluster({ iods: 2, inProcess: true })
  await onRanks(2, cluster, async (comm) => {
    await using file = await File.open(comm, '/f', CREATE)
    await file.writeAtAll(0, Uint8Array.of(1, 2, 3, 4, 5))
    const data = new Uint8Array(20).fill(99)
    const datatype = Datatype.resized(BYTE, 0, 3)
    const status = await file.readAtAll(0, { data, offset: 1, datatype, count: 6 })
    assert.is(status.bytes, 5)
    assert.equal(
      [...data],
      [99, 1, 99, 99, 2, 99, 99, 3, 99, 99, 4, 99, 99, 5, 99, 99, 99, 99, 99, 99],
    )
  })
})

test('memory that goes backwards or repeats is written in its order', async () => {
  await using cluster = await startCluster({ iods: 2, inProcess: true })
  await onRanks(1, cluster, async (comm) => {
    await using file = await File.open(comm, '/f', CREATE)
    const data = Uint8Array.of(1, 2, 3, 4, 5, 6)
    const backwards = Datatype.vector(6, 1, -1, BYTE)
    await file.writeAt(0, { data, offset: 5, datatype: backwards, count: 1 })
    const repeat = Datatype.hvector(3, 2, 0, BYTE)
    await file.writeAt(6, { data, offset: 1, datatype: repeat, count: 1 })
    const there = new Uint8Array(12)
    await file.readAt(0, there)
    assert.equal([...there], [6, 5, 4, 3, 2, 1, 2, 3, 2, 3, 2, 3])
  })
})

test('setSize cuts and extends with zeros, and no pointer moves', async () => {
  await using cluster = await startCluster({ iods: 3, inProcess: true })
  await onRanks(3, cluster, async (comm) => {
    await using file = await File.open(comm, '/f', CREATE, { striping_unit: 4096 })
    await file.writeAtAll(comm.rank * 5000, new Uint8Array(5000).fill(comm.rank + 1))
    await file.seek(14_000)
    await file.setSize(6000n)
    assert.is(await file.getSize(), 6000)
    assert.is(file.getPosition(), 14_000)
    const buffer = new Uint8Array(15_000).fill(9)
    assert.is((await file.readAtAll(0, buffer)).bytes, 6000)
    await file.setSize(15_000)
    assert.is((await file.readAtAll(0, buffer)).bytes, 15_000)
    for (const [at, byte] of buffer.entries()) {
      const want = at < 5000 ? 1 : at < 6000 ? 2 : 0
      if (byte !== want) assert.is(byte, want, `byte ${at}`)
    }
    await file.setSize(0)
    assert.is(await file.getSize(), 0)
  })
  await using fs = await FileSystem.connect(cluster.url)
  assert.is((await fs.stat('/f')).size, 0)
})

test('setSize waits for what its rank called before', async () => {
  await using cluster = await startCluster({ iods: 2, inProcess: true })
  await onRanks(2, cluster, async (comm) => {
    await using file = await File.open(comm, '/f', CREATE)
    const writes = [0, 1, 2].map((i) =>
      file.writeAt((3 * comm.rank + i) * 100_000, new Uint8Array(100_000).fill(1)),
    )
    await file.setSize(10)
    assert.is(await file.getSize(), 10)
    await Promise.all(writes)
    assert.is(await file.getSize(), 10)
  })
})

test('an acknowledged write is seen by a read on any rank and through any open', async () => {
  await using cluster = await startCluster({ iods: 3, inProcess: true })
  await onRanks(3, cluster, async (comm) => {
    const file = await File.open(comm, '/f', CREATE, { striping_unit: 4096 })
    const other = await File.open(comm, '/f', Mode.RDONLY)
    for (let round = 0; round < 10; round++) {
      const writer = round % comm.size
      if (comm.rank === writer) await file.writeAt(0, new Uint8Array(10_000).fill(round + 1))
      await comm.barrier()
      for (const each of [file, other]) {
        const buffer = new Uint8Array(10_000)
        await each.readAt(0, buffer)
        assert.ok(buffer.every((byte) => byte === round + 1))
      }
      await comm.barrier()
    }
    await file.close()
    await other.close()
  })
})

test('sync is a barrier, also on a file that is only read', async () => {
  await using cluster = await startCluster({ iods: 2, inProcess: true })
  await onRanks(3, cluster, async (comm) => {
    const file = await File.open(comm, '/f', CREATE)
    let isSynced = false
    const syncing = comm.rank === 0 ? undefined : file.sync().then(() => (isSynced = true))
    await comm.barrier()
    assert.not(isSynced)
    await (syncing ?? file.sync())
    await file.close()
    const reader = await File.open(comm, '/f', Mode.RDONLY)
    await reader.sync()
    await reader.close()
  })
})

test('after close the size is known to all, without asking the iods', async () => {
  await using cluster = await startCluster({ iods: 3, inProcess: true })
  await onRanks(3, cluster, async (comm) => {
    const file = await File.open(comm, '/f', CREATE, { striping_unit: 4096 })
    await file.writeAtAll(comm.rank * 4096, new Uint8Array(100))
    await file.close()
  })
  await using fs = await FileSystem.connect(cluster.url)
  assert.is((await fs.stat('/f')).size, 2 * 4096 + 100)
})

test('offsets beyond 32 bits reach the byte they name, and beyond 53 none', async () => {
  await using cluster = await startCluster({ iods: 3, inProcess: true })
  await onRanks(2, cluster, async (comm) => {
    await using file = await File.open(comm, '/f', CREATE)
    await file.setView({ displacement: 2 ** 40 + comm.rank * 8, etype: FLOAT64 })
    await file.writeAtAll(2 ** 33, Float64Array.of(1.5 + comm.rank))
    assert.is(file.getByteOffset(2 ** 33), 2 ** 40 + 2 ** 36 + comm.rank * 8)
    await file.setView()
    const pair = new Float64Array(2)
    await file.readAtAll(2 ** 40 + 2 ** 36, pair)
    assert.equal([...pair], [1.5, 2.5])
    assert.is(await file.getSize(), 2 ** 40 + 2 ** 36 + 16)
    await file.setView({ displacement: 2 ** 52, etype: FLOAT64 })
    throws(() => file.getByteOffset(2 ** 50), 'MPI_ERR_VALUE_TOO_LARGE')
    await rejects(file.readAt(2 ** 50, pair), 'MPI_ERR_VALUE_TOO_LARGE')
    await rejects(file.writeAtAll(2 ** 52, pair), 'MPI_ERR_VALUE_TOO_LARGE')
  })
})

test('a communicator of some of the ranks opens a file of its own', async () => {
  await using cluster = await startCluster({ iods: 2, inProcess: true })
  await onRanks(4, cluster, async (comm) => {
    const half = await comm.split(comm.rank % 2, -comm.rank)
    const file = await File.open(half, `/half-${comm.rank % 2}`, CREATE)
    assert.is(file.group.size, 2)
    assert.equal(file.group.ranks, [2 + (comm.rank % 2), comm.rank % 2])
    await file.writeAtAll(half.rank, Uint8Array.of(comm.rank))
    const both = new Uint8Array(2)
    await file.readAtAll(0, both)
    assert.equal([...both], [2 + (comm.rank % 2), comm.rank % 2])
    await file.close()
    await half.free()
  })
})

test('many files may be open at once', async () => {
  await using cluster = await startCluster({ iods: 2, inProcess: true })
  await onRanks(2, cluster, async (comm) => {
    const names = Array.from({ length: 30 }, (_, i) => `/f${i}`)
    const files: File[] = []
    for (const name of names) files.push(await File.open(comm, name, CREATE))
    await Promise.all(files.map((file, i) => file.writeAtAll(comm.rank, Uint8Array.of(i + 1))))
    for (const [i, file] of files.entries()) {
      const both = new Uint8Array(2)
      await file.readAtAll(0, both)
      assert.equal([...both], [i + 1, i + 1])
    }
    await Promise.all(files.map((file) => file.close()))
  })
})

test('a small read past the iod is like any other, whatever the view, the pointer and the mode are', async () => {
  await using cluster = await startCluster({ iods: 1, inProcess: true })
  await onRanks(1, cluster, async (comm) => {
    await using file = await File.open(comm, '/f', CREATE)
    const values = new Int32Array(100).map((_, i) => i * 77)
    await file.writeAt(0, values)
    const into = new Int32Array(10)
    const part = (first: number): Int32Array => values.subarray(first, first + 10)
    const readAt = async (offset: number): Promise<number> => {
      into.fill(-1)
      return (await file.readAt(offset, into)).bytes
    }
    // The first ones go through the iod.
    for (let i = 0; i < 5; i++) assert.is(await readAt(4 * 50), 40)
    const { reads } = file.directCounts
    assert.is(await readAt(4 * 50), 40)
    assert.equal(into, part(50))
    await file.setView({ displacement: 4 * 10, etype: INT32 })
    assert.is(await readAt(20), 40)
    assert.equal(into, part(30))
    await file.seek(40)
    for (const first of [50, 60]) {
      assert.is((await file.read(into)).count(INT32), 10)
      assert.equal(into, part(first))
    }
    assert.is(file.getPosition(), 60)
    assert.is(
      await file.readAt(5, { data: into, offset: 5, count: 5 }).then(({ bytes }) => bytes),
      20,
    )
    assert.equal(into.subarray(5), values.subarray(15, 20))
    assert.is(file.directCounts.reads, reads + 5)
    // The end of the file is told by the iod, and the pointer goes back to it.
    await file.seek(85)
    assert.is((await file.read(into)).bytes, 20)
    assert.is(file.getPosition(), 90)
    await file.setView({ displacement: 0, etype: INT32, filetype: EVERY_SECOND })
    assert.is(await readAt(5), 40)
    assert.equal(
      into,
      Int32Array.from({ length: 10 }, (_, i) => (5 + i) * 2 * 77),
    )
    await file.setView({ etype: INT32, datarep: 'external32' })
    assert.is(await readAt(3), 40)
    const swapped = new DataView(values.slice(3, 13).buffer)
    assert.equal(
      into,
      Int32Array.from({ length: 10 }, (_, i) => swapped.getInt32(4 * i)),
    )
    await file.setView()
    await file.setAtomicity(true)
    const before = file.directCounts.reads
    assert.is(await readAt(4 * 50), 40)
    assert.equal(into, part(50))
    // It has a lock, and shows its token to the iod.
    assert.is(file.directCounts.reads, before)
    await rejects(file.readAt(Number.MAX_SAFE_INTEGER, into), 'MPI_ERR_VALUE_TOO_LARGE')
  })
})

test.run()
