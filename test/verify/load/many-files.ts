// Each rank with many files of its own, each on one iod: some are written by requests of 1 MiB, all are read.
import { File, Mode } from '../../../lib/index.js'
import { Random } from '../../support/random.js'
import { CELL_BYTES } from './cells.js'
import { Hand } from './hand.js'
import { type Bench, closeAll, type Work } from './work.js'

/** Files of a rank that are written again and again. */
const HOT = 8

/** Opens that are under way at a time. */
const OPENS = 8

/** The iod of a file. */
export function iodOfFile(file: number, iods: number): number {
  return file % iods
}

/** Opens every file whose number falls to this rank, and writes a cell of each. */
export async function manyFiles({ world, task, writer, tell }: Bench): Promise<Work> {
  const random = new Random(task.seed + writer.number)
  const self = await world.split(world.rank)
  const share = Math.ceil(task.names.length / world.size)
  const mine = task.names.map((name, number) => ({ name, number }))
  const chosen = mine.slice(world.rank * share, (world.rank + 1) * share)
  const hands: Hand[] = []
  const open = async ({ name, number }: (typeof mine)[number]): Promise<void> => {
    const info = {
      striping_unit: task.cells * CELL_BYTES,
      striping_factor: 1,
      start_iodevice: iodOfFile(number, 4),
    }
    const file = await File.open(self, name, Mode.CREATE | Mode.RDWR, info)
    const hand = new Hand(writer, file, task.firstFile + number)
    await hand.write(0, 1)
    hands.push(hand)
  }
  for (let at = 0; at < chosen.length; at += OPENS)
    await Promise.all(chosen.slice(at, at + OPENS).map(open))
  const hot = random.shuffle(hands).slice(0, HOT)
  const round = async (): Promise<void> => {
    await Promise.all([
      random.pick(hot).write(0, task.cells),
      random.pick(hot).write(0, task.cells),
      random.pick(hands).read(0, 1),
      random.pick(hot).read(0, task.cells),
    ])
    tell({ kind: 'progress', writes: writer.writes })
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
