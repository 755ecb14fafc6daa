// MPICH's harness of parallel files: every way of access, in blocks that end in the middle of strips. By ranks in reverse
// order and without the first as well they are in test/system/collective.test.ts and test/system/shared.test.ts.
import { OWN_WAYS, SHARED_WAYS, checkWay } from '../../system/ways.js'
import { CREATE } from '../../system/harness.js'
import { type Case, casesInto, RANKS } from './case.js'

/** MPICH's harness. */
export const HARNESS_CASES: Case[] = []

const conforms = casesInto(HARNESS_CASES)

/** Blocks of each rank. */
const BLOCKS = 4

for (const [name, way] of Object.entries({ ...OWN_WAYS, ...SHARED_WAYS })) {
  conforms(`harness: ${name}`, RANKS, async (at) => {
    await using file = await at.open('/harness', CREATE)
    // All blocks together are a little more than one strip.
    const stripSize = Number(file.info['striping_unit'])
    const n = Math.ceil((1.2 * stripSize) / (4 * BLOCKS * at.comm.size)) + 1
    await checkWay(file, at.comm, way, n, BLOCKS)
  })
}
