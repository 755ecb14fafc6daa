// All ranks on a few files: accesses alone and together, syncs, and files that are made, written, read and removed.
import * as assert from 'uvu/assert'
import { type Communicator, File, Mode } from '../../../lib/index.js'
import { Random } from '../../support/random.js'
import { CELL_BYTES, cellsOf, seenIn } from './cells.js'
import { Hand } from './hand.js'
import { type Bench, closeAll, type Work } from './work.js'

/** Cells of one access, at most: 512 KiB. */
const ACCESS_CELLS = 32

/** Accesses of one rank in one round that it makes alone. */
const ALONE = 4

/** Opens the files together. */
export async function mixed({ world, task, writer }: Bench): Promise<Work> {
  const own = new Random(task.seed + writer.number)
  // The same on all ranks.
  const common = new Random(task.seed)
  const self = await world.split(world.rank)
  const hands: Hand[] = []
  for (const [index, name] of task.names.entries()) {
    // Strips of 64 KiB and of one cell: accesses touch one iod, or all.
    const info = { striping_unit: index % 2 === 0 ? 65_536 : CELL_BYTES }
    const file = await File.open(world, name, Mode.CREATE | Mode.RDWR, info)
    hands.push(new Hand(writer, file, task.firstFile + index))
  }
  let rounds = 0
  const alone = async (): Promise<void> => {
    const hand = own.pick(hands)
    const cells = own.int(1, ACCESS_CELLS)
    const cell = own.int(0, task.cells - cells)
    if (own.chance()) await hand.write(cell, cells)
    else await hand.read(cell, cells)
  }
  const together = async (): Promise<void> => {
    const hand = common.pick(hands)
    const cells = common.int(1, 4)
    const first = common.int(0, task.cells - cells * world.size)
    await hand.write(first + world.rank * cells, cells, 'together')
    const other = (world.rank + 1) % world.size
    await hand.read(first + other * cells, cells, 'together')
    if (common.chance(0.25)) await hand.sync()
  }
  const round = async (): Promise<void> => {
    await Promise.all(Array.from({ length: ALONE }, alone))
    if (rounds++ % 3 === 0) await makeAndRemove(self, `/own-${writer.number}`, writer.next())
    await together()
  }
  return {
    round,
    close: async () => {
      await closeAll(hands.map(({ file }) => file))
      await self.free()
    },
    counts: () => hands[0]?.file.counts ?? { reconnects: 0, resends: 0, resentBytes: 0 },
  }
}

// A file of this rank alone, through its whole life.
async function makeAndRemove(self: Communicator, name: string, write: number): Promise<void> {
  const bytes = cellsOf(write, 0, 3)
  const made = await File.open(self, name, Mode.CREATE | Mode.EXCL | Mode.WRONLY)
  await made.writeAt(0, bytes)
  await made.close()
  const file = await File.open(self, name, Mode.RDONLY | Mode.DELETE_ON_CLOSE)
  const back = new Uint8Array(bytes.length)
  await file.readAt(0, back)
  assert.equal(seenIn(back, 0), [{ cells: 3, writes: [write] }], `${name} holds something else`)
  await file.close()
}
