// What is done to a whole file: storage, hints that change, and who may do it.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { Datatype } from '../../lib/datatype/datatype.js'
import { File } from '../../lib/file/file.js'
import type { Info } from '../../lib/file/hints.js'
import { Mode } from '../../lib/file/mode.js'
import { rejects } from '../support/assertions.js'
import { onCluster } from '../support/ranks.js'

const test = suite('file management')

const CREATE = Mode.CREATE | Mode.RDWR

for (const size of [1, 2, 4]) {
  test(`preallocate on ${size} ranks lengthens, never cuts, and keeps what is there`, async () => {
    await onCluster(size, async (comm) => {
      await using file = await File.open(comm, '/f', CREATE, { striping_unit: 4096 })
      await file.preallocate(0)
      assert.is(await file.getSize(), 0)
      await file.sync()
      const mine = new Uint8Array(100).fill(comm.rank + 1)
      await file.writeAtAll(comm.rank * 5000, mine)
      await file.seek(7)
      for (const [wanted, expected] of [
        [1, 5000 * (size - 1) + 100],
        [100_000, 100_000],
        [10, 100_000],
      ] as const) {
        await file.preallocate(wanted)
        assert.is(await file.getSize(), expected)
      }
      assert.is(file.getPosition(), 7)
      const all = new Uint8Array(100_001)
      assert.is((await file.readAtAll(0, all)).bytes, 100_000)
      for (const [at, byte] of all.entries()) {
        const rank = Math.floor(at / 5000)
        assert.is(byte, rank < size && at % 5000 < 100 ? rank + 1 : 0)
      }
    })
  })
}

test('preallocate is told what is wrong before anything is allocated, on all ranks', async () => {
  await onCluster(3, async (comm) => {
    {
      await using file = await File.open(comm, '/f', CREATE)
      await rejects(file.preallocate(comm.rank === 2 ? 11 : 10), 'MPI_ERR_NOT_SAME')
      const error = await rejects(file.preallocate(comm.rank === 1 ? -1 : 10))
      assert.is(error.code, comm.rank === 1 ? 'MPI_ERR_ARG' : 'MPI_ERR_IO')
      await rejects(file.preallocate(0.5), 'MPI_ERR_ARG')
      assert.is(await file.getSize(), 0)
      await file.sync()
      const held = file.writeAt(0, new Uint8Array(50))
      await file.preallocate(20)
      assert.is(await file.getSize(), 50)
      await held
    }
    const file = await File.open(comm, '/f')
    await rejects(file.preallocate(100), 'MPI_ERR_READ_ONLY')
    await file.close()
    await rejects(file.preallocate(100), 'MPI_ERR_FILE')
    await using last = await File.open(comm, '/f', Mode.WRONLY | Mode.SEQUENTIAL)
    await rejects(last.preallocate(100), 'MPI_ERR_UNSUPPORTED_OPERATION')
  })
})

test('setInfo changes what an open file takes, and what is in force may be given again', async () => {
  await onCluster(2, async (comm) => {
    await using file = await File.open(comm, '/f', CREATE, { cb_buffer_size: 4096, cb_nodes: 1 })
    const before = file.info
    await file.setInfo(before)
    assert.equal(file.info, before)
    await file.setInfo({})
    assert.equal(file.info, before)
    await file.setInfo({
      cb_buffer_size: 8192,
      cb_nodes: 2,
      striping_unit: 4096,
      romio_cb_read: 'disable',
      access_style: comm.rank === 0 ? 'random' : 'read_once',
      unknown: 'x',
    })
    assert.equal(file.info, {
      ...before,
      cb_buffer_size: '8192',
      romio_cb_read: 'disable',
      access_style: comm.rank === 0 ? 'random' : 'read_once',
    })
  })
})

test('hints that must be the same and are not, or are none, change nothing on any rank', async () => {
  await onCluster(3, async (comm) => {
    await using file = await File.open(comm, '/f', CREATE)
    const before = file.info
    const differing = { cb_buffer_size: comm.rank === 1 ? 4096 : 8192 }
    const error = await rejects(file.setInfo(differing), 'MPI_ERR_NOT_SAME')
    assert.match(error.message, /setInfo: rank 1 gave/)
    await rejects(file.setView({ info: differing }), 'MPI_ERR_NOT_SAME')
    const bad = comm.rank === 2 ? (null as unknown as Info) : {}
    const none = await rejects(file.setInfo(bad))
    assert.is(none.code, comm.rank === 2 ? 'MPI_ERR_ARG' : 'MPI_ERR_IO')
    assert.equal(file.info, before)
    assert.equal(file.getView().etype, Datatype.BYTE)
    await file.setInfo({ cb_buffer_size: 4096, access_style: comm.rank === 0 ? 'random' : '' })
    assert.is(file.info['cb_buffer_size'], '4096')
  })
})

test('a view brings hints along, in force with it', async () => {
  await onCluster(2, async (comm) => {
    await using file = await File.open(comm, '/f', CREATE)
    const info = { romio_cb_write: 'enable', striping_unit: 4096 }
    await file.setView({ displacement: 4, info })
    assert.is(file.info['romio_cb_write'], 'enable')
    assert.is(file.info['striping_unit'], '65536')
    await file.setView()
    assert.is(file.info['romio_cb_write'], 'enable')
  })
})

test('defaults come from the file that ROMIO_HINTS names, and what the program gives comes first', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'hints-'))
  const path = join(directory, 'hints')
  writeFileSync(path, 'striping_unit 8192\nromio_cb_read disable\ncb_buffer_size 5000\n')
  process.env['ROMIO_HINTS'] = path
  try {
    await onCluster(2, async (comm) => {
      await using file = await File.open(comm, '/f', CREATE, { cb_buffer_size: 6000 })
      const { striping_unit, romio_cb_read, cb_buffer_size } = file.info
      assert.equal([striping_unit, romio_cb_read, cb_buffer_size], ['8192', 'disable', '6000'])
    })
  } finally {
    delete process.env['ROMIO_HINTS']
    rmSync(directory, { recursive: true })
  }
})

test.run()
