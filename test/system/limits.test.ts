// What is far beyond the usual: it is correct, or a clear error, in bounded memory. `npm run verify:large` makes the same calls
// as large as they get.
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { Datatype } from '../../lib/datatype/datatype.js'
import { FileSystem } from '../../lib/file/file-system.js'
import { File } from '../../lib/file/file.js'
import { Mode } from '../../lib/file/mode.js'
import { startCluster } from '../../servers/cluster.js'
import { deadline } from '../support/assertions.js'
import { onRanks } from '../support/ranks.js'
import {
  expectBounded,
  moveBuffer,
  movePieces,
  moveSparsely,
  type Needed,
  type Stand,
  writeRepeated,
} from '../verify/large/calls.js'

const test = suite('limits')

const MIB = 2 ** 20

const CALLS: readonly (readonly [string, (stand: Stand) => Promise<Needed>])[] = [
  ['a call that takes 200 MB from a megabyte of memory', (stand) => writeRepeated(stand, 2e8)],
  ['a call of 300,000 pieces', (stand) => movePieces(stand, 300_000)],
  ['a buffer of 100 MB', (stand) => moveBuffer(stand, 1e8)],
  ['a few bytes of a buffer of 3 GiB', (stand) => moveSparsely(stand, 3 * 2 ** 30)],
]

for (const [name, call] of CALLS)
  test(`${name} is right, alone and collective, and needs little memory`, async () => {
    await using cluster = await startCluster({ iods: 2 })
    const iodPids = [0, 1].map((iod) => cluster.pidOf(iod))
    for (const isCollective of [false, true])
      for (const needed of await onRanks(1, cluster, (comm) =>
        call({ comm, isCollective, iodPids }),
      ))
        expectBounded(needed)
  })

test('a cb_buffer_size below a strip, and more cb_nodes than ranks, only mean more rounds', async () => {
  await using cluster = await startCluster({ iods: 3, inProcess: true })
  await onRanks(3, cluster, async (comm) => {
    const { rank, size } = comm
    const info = {
      striping_unit: 65_536,
      cb_buffer_size: 1000,
      cb_nodes: 1000,
      romio_cb_write: 'enable',
      romio_cb_read: 'enable',
    }
    await using file = await File.open(comm, '/f', Mode.RDWR | Mode.CREATE, info)
    assert.is(file.info['cb_nodes'], String(size))
    const [length, pieces] = [100, 200]
    const filetype = Datatype.resized(Datatype.contiguous(length, Datatype.BYTE), 0, length * size)
    await file.setView({ displacement: rank * length, filetype })
    const mine = new Uint8Array(length * pieces).map((_, i) => i * 7 + rank)
    await file.writeAtAll(0, mine)
    const back = new Uint8Array(mine.length)
    assert.is((await file.readAtAll(0, back)).bytes, mine.length)
    assert.equal(back, mine)
    await file.setView()
    const all = new Uint8Array(mine.length * size)
    assert.is((await file.readAtAll(0, all)).bytes, all.length)
    for (let i = 0; i < all.length; i++) {
      const [piece, at] = [Math.floor(i / length), i % length]
      const [owner, nth] = [piece % size, Math.floor(piece / size)]
      if (all[i] !== (((nth * length + at) * 7 + owner) & 0xff)) assert.unreachable(`byte ${i}`)
    }
  })
})

test('an iod that stands still keeps only those waiting who need it, and then has all', async () => {
  await using cluster = await startCluster({ iods: 2 })
  await using files = await FileSystem.connect(cluster.url)
  const on = async (firstIod: number): ReturnType<FileSystem['open']> =>
    await files.open(`/f${firstIod}`, 'w+', { direct: 'off', iodCount: 1, firstIod })
  await using stopped = await on(0)
  await using other = await on(1)
  const bytes = new Uint8Array(32 * MIB).map((_, i) => i >>> 10)
  const back = new Uint8Array(bytes.length)
  await stopped.write(bytes, 0, 10, 0)
  process.kill(cluster.pidOf(0), 'SIGSTOP')
  let isOver = false
  try {
    const writing = stopped.write(bytes, 0, bytes.length, 0).finally(() => {
      isOver = true
    })
    // Enough to be through with it, if it did not wait.
    for (let round = 0; round < 3; round++) {
      await deadline('a write to the other iod', 30_000, other.write(bytes, 0, bytes.length, 0))
      await deadline('a read of it', 30_000, other.read(back, 0, back.length, 0))
    }
    assert.is(Buffer.compare(back, bytes), 0)
    assert.not(isOver)
    process.kill(cluster.pidOf(0), 'SIGCONT')
    await deadline('the write to the iod that goes on', 60_000, writing)
  } finally {
    process.kill(cluster.pidOf(0), 'SIGCONT')
  }
  await stopped.read(back.fill(0), 0, back.length, 0)
  assert.is(Buffer.compare(back, bytes), 0)
})

test.run()
