// MPICH's harness of parallel files on servers in this process: every way of access on 1, 2, 3, 4 and 8 ranks and
// strips of three sizes. The same ways on servers in processes, by ranks in reverse order and without the first as well, are in
// test/system/collective.test.ts and test/system/shared.test.ts; by ranks in processes in test/system/ranks.test.ts.
import { suite } from 'uvu'
import { File } from '../../lib/file/file.js'
import { onCluster } from '../support/ranks.js'
import { CREATE } from '../system/harness.js'
import { checkWays } from '../system/ways.js'

const test = suite("MPICH's harness, on many ranks and strips")

const RANKS = [1, 2, 3, 4, 8]

const STRIP_SIZES = [4096, 65_536, 2 ** 20]

/** Blocks of each rank. */
const BLOCKS = 4

for (const size of RANKS) {
  test(`every way of access, on ${size} ranks and strips of ${STRIP_SIZES.join(', ')} bytes`, async () => {
    await onCluster(size, async (comm) => {
      for (const stripSize of STRIP_SIZES) {
        // Blocks end in the middle of strips, and all of them together are a little more than one.
        const n = Math.ceil((1.2 * stripSize) / (4 * BLOCKS * size)) + 1
        const info = { striping_unit: stripSize }
        await using file = await File.open(comm, `/f-${stripSize}`, CREATE, info)
        await checkWays(file, comm, n, BLOCKS)
      }
    })
  })
}

test.run()
