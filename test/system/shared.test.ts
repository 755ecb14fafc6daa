// MPICH's harness on servers in processes of their own, as far as it uses the shared pointer, held collectives, and
// atomic mode.
import { suite } from 'uvu'
import { startCluster } from '../../servers/cluster.js'
import { onRanks } from '../support/ranks.js'
import { onCommunicators } from './harness.js'
import { SHARED_WAYS } from './ways.js'

const test = suite('shared pointers and atomic mode of processes')

/** Elements of a block, and blocks of a rank. */
const SIZES = [
  [1, 20],
  [400, 4],
  [4096, 4],
] as const

for (const [name, way] of Object.entries(SHARED_WAYS)) {
  test(name, async () => {
    await using cluster = await startCluster({ iods: 3 })
    await onRanks(4, cluster, async (world) => {
      await onCommunicators(world, way, SIZES, cluster)
    })
  })
}

test.run()
