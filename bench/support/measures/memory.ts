// Memory of iods and ranks, whatever has gone through them and however many pieces there were.
import { statfsSync } from 'node:fs'
import { GIB, MIB, numberText } from '../figures.js'
import { sizeOption } from '../options.js'
import { cyclic, extentOf, iorShared, type Shape } from '../shapes.js'
import { OVER_THE_WIRE, Stage } from '../stage.js'
import type { How } from '../tasks/move.js'
import { memoryOf } from '../usage.js'
import type { Found, MeasureContext } from './measure.js'

/** The default of `cb_buffer_size`, which an aggregator may hold. */
const CB_BUFFER_BYTES = 16 * MIB

/** A call is not larger than this. */
const CALL_BYTES = 16 * MIB

/** Peaks in MiB. */
interface Peaks {
  readonly label: string
  readonly iod: number
  /** Beyond the memory of the program and of its rounds. */
  readonly rank: number
}

/** Files of 1 MiB up to `--through`, then 1 to 10^6 pieces in one collective call. */
export async function memory(context: MeasureContext): Promise<Found> {
  const through = sizeOption(context.values, 'through', context.smoke ? 4 * MIB : GIB)
  const pieces = context.smoke ? [1, 100] : [1, 1000, 1_000_000]
  const peaks: Peaks[] = []
  const sizes = [1, 4, 64, 1024, 16_384].map((size) => size * MIB).filter((size) => size <= through)
  const roomy = sizes.filter((size) => size * 2 < freeBytes())
  for (const size of roomy) {
    const transferSize = Math.min(size, CALL_BYTES)
    const shape = iorShared({ ranks: 1, transferSize, calls: size / transferSize })
    peaks.push(await peaksOf(`${numberText(size / MIB)} MiB`, shape, 'independent'))
  }
  for (const count of pieces)
    peaks.push(await peaksOf(`${count} pieces`, cyclic(2, 64, count), 'collective'))
  const left = [16_384 * MIB].filter((size) => !roomy.includes(size))
  return {
    samples: {
      iod: [Math.max(...peaks.map(({ iod }) => iod))],
      rank: [Math.max(...peaks.map(({ rank }) => rank))],
    },
    notes: {
      iod: peaks.map(({ label, iod }) => `${label}: ${numberText(iod)}`).join(', '),
      rank: peaks.map(({ label, rank }) => `${label}: ${numberText(rank)}`).join(', '),
    },
    skipped:
      left.length === 0
        ? undefined
        : '16 GiB only with --through=16g, and where there is room twice',
  }
}

// Processes of its own for each: what one has left behind is not the next one's.
async function peaksOf(label: string, shape: Shape, how: How): Promise<Peaks> {
  await using stage = await Stage.start({ ranks: shape.ranks, iods: 1, transport: 'tcp' })
  const file = await stage.open('/memory', shape, OVER_THE_WIRE)
  const rest = Math.max(...(await stage.run('memory', undefined)).map(({ rss }) => rss))
  const isCompared = shape.of(0).calls <= 4
  if (isCompared) await file.verify([how])
  await file.move('write', how)
  await file.move('read', how)
  const ranks = await stage.run('memory', undefined)
  await file.close()
  // What the task itself holds: the buffer of its calls, and what they are compared with.
  const buffers = extentOf(shape.of(0).memory) * (isCompared ? 2 : 1)
  const own = buffers + (how === 'collective' ? CB_BUFFER_BYTES : 0)
  const peak = Math.max(...ranks.map((each) => each.peak))
  return {
    label,
    iod: memoryOf(stage.cluster.pidOf(0)).peak / MIB,
    rank: Math.max(rest, peak - own) / MIB,
  }
}

function freeBytes(): number {
  const { bavail, bsize } = statfsSync(process.env['TMPDIR'] ?? '/tmp')
  return bavail * bsize
}
