// What a disk may refuse a write with: each is told as what it is, and does no damage.
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { pattern, readAt, World, writeAt } from '../sim/world.js'

const test = suite('disk errors')

for (const [errno, code] of [
  ['ENOSPC', 'MPI_ERR_NO_SPACE'],
  ['EDQUOT', 'MPI_ERR_QUOTA'],
  ['EFBIG', 'MPI_ERR_NO_SPACE'],
  ['EROFS', 'MPI_ERR_READ_ONLY'],
  ['EIO', 'MPI_ERR_IO'],
] as const) {
  test(`${errno} at a write is ${code} of that iod; old bytes are intact, and the next write works`, async () => {
    await using world = await World.start({ iods: 2 })
    const open = await world.run(world.open(world.client(), '/f'))
    const old = pattern(40_000, 1)
    await world.run(writeAt(open, 0, old))
    world.hostOf(1).disk.faults = {
      fault: (operation, path) =>
        operation === 'write' && path.includes('/data/') ? { kind: 'error', errno } : undefined,
    }
    const { context } = await world.refused(writeAt(open, 40_000, pattern(40_000, 2)), code)
    assert.equal({ errno: context.errno, iod: context.iod }, { errno, iod: 1 })
    assert.equal(await world.run(readAt(open, 0, old.length)), old)
    world.hostOf(1).disk.faults = {}
    const again = pattern(80_000, 3)
    await world.run(writeAt(open, 0, again))
    assert.equal(await world.run(readAt(open, 0, again.length)), again)
  })
}

test.run()
