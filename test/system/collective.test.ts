// MPICH's harness of parallel files, on servers in processes of their own: three communicators, several sizes,
// every way of access, and the whole file has to be the integers from 0 on.
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { File } from '../../lib/file/file.js'
import type { Status } from '../../lib/file/status.js'
import { startCluster } from '../../servers/cluster.js'
import { onRanks } from '../support/ranks.js'
import { CREATE, onCommunicators } from './harness.js'
import { OWN_WAYS } from './ways.js'

const test = suite('collective access of processes')

/** Elements of a block, and blocks of a rank. */
const SIZES = [
  [1, 400],
  [400, 8],
  [4096, 8],
  [16_384, 8],
] as const

for (const [name, way] of Object.entries(OWN_WAYS)) {
  test(name, async () => {
    await using cluster = await startCluster({ iods: 3 })
    await onRanks(4, cluster, async (world) => {
      await onCommunicators(world, way, SIZES, cluster)
    })
  })
}

test('an iod that is killed and comes back is not seen, and has lost nothing', async () => {
  await using cluster = await startCluster({ iods: 3 })
  await onRanks(3, cluster, async (comm) => {
    await using file = await File.open(comm, '/f', CREATE, { striping_unit: 4096 })
    const { rank, size } = comm
    const block = 40_000
    const write = (value: number): Promise<Status> =>
      file.writeAtAll(rank * block, new Uint8Array(block).fill(value + rank))
    for (const iod of [0, 1, 2]) {
      await write(10 * iod)
      const pending = write(10 * iod + 5)
      if (rank === 0) {
        await cluster.kill(iod)
        await cluster.restart(iod)
      }
      // Waits while the iod is away, and goes on.
      assert.is((await pending).bytes, block)
      // The system holds what a killed process has written.
      await file.sync()
      const buffer = new Uint8Array(size * block)
      assert.is((await file.readAtAll(0, buffer)).bytes, size * block)
      assert.ok(buffer.every((byte, at) => byte === 10 * iod + 5 + Math.floor(at / block)))
    }
  })
})

test.run()
