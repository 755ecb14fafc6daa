// Servers that die and come back, as real processes on real disks: what a program sees of it is nothing.
import { execFileSync } from 'node:child_process'
import { existsSync, mkdirSync, readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { type Communicator, File, FileSystem, localRanks, Mode } from '../../lib/index.js'
import { type Cluster, startCluster } from '../../servers/index.js'
import { deadline, rejects, until } from '../support/assertions.js'
import { temporaryFolder } from '../support/command.js'
import { missingCommand, unlessMissing } from '../support/optional.js'
import { Random } from '../support/random.js'
import { get, LAYOUT, Place, put } from './place.js'

const test = suite('recovery')

const MIB = 2 ** 20
test('an iod that is killed and started again between two requests is not noticed', async () => {
  await using place = await Place.start()
  const bytes = new Random(1).bytes(MIB)
  await put(place.file, bytes, 0)
  for (let iod = 0; iod < 3; iod++) {
    await place.cluster.kill(iod)
    await place.cluster.restart(iod)
    assert.equal(await get(place.file, bytes.length, 0), bytes)
    bytes.set(new Random(iod).bytes(200_000), iod * 100_000)
    await put(place.file, bytes.subarray(iod * 100_000, iod * 100_000 + 200_000), iod * 100_000)
  }
  await place.file.close()
  assert.equal(await place.files.readFile('/f'), bytes)
  await place.expectUnnoticed()
})

test('iods that are killed while a file is written and read leave every byte right', async () => {
  await using place = await Place.start()
  const random = new Random()
  const size = 8 * MIB
  const expected = new Uint8Array(size)
  let over = false
  const work = async (): Promise<void> => {
    while (!over) {
      const at = random.int(0, size - MIB)
      const bytes = random.bytes(random.int(1, MIB))
      await put(place.file, bytes, at)
      expected.set(bytes, at)
      const from = random.int(0, size - MIB)
      const read = await get(place.file, MIB, from)
      assert.equal(read, expected.subarray(from, from + read.length), `seed ${random.seed}`)
    }
  }
  await put(place.file, expected, 0)
  const working = work()
  for (let round = 0; round < 6; round++) {
    await place.cluster.kill(round % 3)
    await place.cluster.restart(round % 3)
  }
  over = true
  await deadline('reads and writes', 30_000, working)
  await place.file.close()
  assert.equal(await place.files.readFile('/f'), expected)
  await place.expectUnnoticed()
})

test('all iods at once are not noticed either, and what is on their disks is what was written', async () => {
  await using place = await Place.start()
  const bytes = new Random(3).bytes(6 * 65_536)
  const writing = put(place.file, bytes, 0)
  await Promise.all([0, 1, 2].map((iod) => place.cluster.kill(iod)))
  await Promise.all([0, 1, 2].map((iod) => place.cluster.restart(iod)))
  await deadline('write', 30_000, writing)
  for (let iod = 0; iod < 3; iod++) {
    const datafile = readFileSync(place.cluster.datafile(iod, place.file.handle))
    const [first, second] = [iod, iod + 3].map((strip) =>
      bytes.subarray(strip * 65_536, (strip + 1) * 65_536),
    )
    assert.is(
      Buffer.compare(datafile, Buffer.concat([first as Uint8Array, second as Uint8Array])),
      0,
    )
  }
  await place.file.close()
  await place.expectUnnoticed()
})

for (const [way, choice] of [
  ['each rank by itself', 'disable'],
  ['aggregators in rounds', 'enable'],
] as const) {
  test(`a collective write during which an iod is killed is written by all ranks: ${way}`, async () => {
    await using cluster = await startCluster({ iods: 3 })
    const ranks = 4
    const block = 3 * 65_536
    let killed: Promise<void> | undefined
    const program = async (world: Communicator): Promise<void> => {
      const info = {
        striping_unit: 65_536,
        romio_cb_read: choice,
        romio_cb_write: choice,
        cb_buffer_size: 100_000,
      }
      await using file = await File.open(world, '/c', Mode.CREATE | Mode.RDWR, info)
      for (let round = 0; round < 4; round++) {
        if (world.rank === 0) killed = killAndStart(cluster, round % 3)
        const bytes = new Random(world.rank * 10 + round).bytes(block)
        await file.writeAtAll((round * ranks + world.rank) * block, bytes)
        const back = new Uint8Array(block)
        await file.readAtAll((round * ranks + world.rank) * block, back)
        assert.equal(back, bytes)
        if (world.rank === 0) await killed
        await world.barrier()
      }
    }
    const worlds = localRanks(ranks, { managerUrl: cluster.url })
    await Promise.all(worlds.map(program))
    await Promise.all(worlds.map((world) => world.free()))
    await using files = await FileSystem.connect(cluster.url)
    const { reopens } = await files.status()
    assert.is(reopens, 0)
  })
}

const noMount =
  process.getuid?.() === 0 ? missingCommand('mount', 'umount') : 'only root may mount a small disk'
const ifMount = unlessMissing(test, noMount)

ifMount(
  'a full disk of one iod is an error that names it; old bytes are intact, and it works again when there is space',
  async () => {
    await using folder = await temporaryFolder()
    await using disk = smallDisk(join(folder.path, 'cluster', 'iod-1'))
    await using cluster = await startCluster({ iods: 3, directory: join(folder.path, 'cluster') })
    await using files = await FileSystem.connect(cluster.url)
    const old = new Random(7).bytes(3 * MIB)
    await files.writeFile('/old', old, LAYOUT)
    await using big = await files.open('/big', 'w+', LAYOUT)
    const error = await rejects(put(big, new Uint8Array(48 * MIB).fill(1), 0), 'MPI_ERR_NO_SPACE')
    assert.is(error.context.iod, 1)
    assert.is(error.context.errno, 'ENOSPC')
    assert.equal(await files.readFile('/old'), old)
    await big.close().catch(() => {})
    await files.unlink('/big')
    await until(() => !existsSync(cluster.datafile(1, big.handle)))
    await files.writeFile('/new', old, LAYOUT)
    assert.equal(await files.readFile('/new'), old)
    assert.ok(disk.path.endsWith('iod-1'))
  },
)

async function killAndStart(cluster: Cluster, iod: number): Promise<void> {
  await cluster.kill(iod)
  await cluster.restart(iod)
}

/** A disk of 8 MiB at a path. */
function smallDisk(path: string): AsyncDisposable & { readonly path: string } {
  mkdirSync(path, { recursive: true })
  execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=8m,mode=700', 'tmpfs', path])
  return {
    path,
    [Symbol.asyncDispose]: async () => {
      execFileSync('umount', ['-l', path])
      rmSync(path, { recursive: true, force: true })
    },
  }
}

test.run()
