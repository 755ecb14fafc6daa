// A rank that is a process of its own: MPICH's harness in every way of access, on strips of two sizes, then a word.
import { initialize } from '../../lib/comm/initialize.js'
import { File } from '../../lib/file/file.js'
import { CREATE } from './harness.js'
import { checkWays } from './ways.js'

/** Blocks of each rank, and integers of a block. */
const [BLOCKS, LENGTH] = [4, 1500]

const world = await initialize()
for (const stripSize of [4096, 65_536]) {
  const info = { striping_unit: stripSize }
  await using file = await File.open(world, `/ways-${stripSize}`, CREATE, info)
  await checkWays(file, world, LENGTH, BLOCKS)
}
if (world.rank === 0) process.stdout.write(`all ways of ${world.size} ranks\n`)
await world.free()
