// Time against the number of pieces.
import { spreadOf } from '../figures.js'
import { inTurn, type RoundOptions } from '../rounds.js'
import { cyclic, requestsOf } from '../shapes.js'
import { OVER_THE_WIRE, Stage } from '../stage.js'
import type { Transport } from '../targets.js'

/** What the curve is made of. */
export interface PiecesOptions extends RoundOptions {
  readonly transport: Transport
  readonly iods: number
  readonly ranks: number
  /** Bytes of a piece. */
  readonly piece: number
  /** Pieces of a rank, at most. */
  readonly most: number
}

/** Milliseconds of one access of so many pieces by each rank. */
export interface PiecesPoint {
  readonly pieces: number
  /** By way and direction, of each round. */
  readonly times: Readonly<Record<string, readonly number[]>>
  readonly median: (way: string) => number
}

/** Beyond so many calls for single pieces the figure is known well enough. */
const REQUESTS_MAX = 2000

/** Measures 1, 10, 100 … pieces. */
export async function piecesCurve(options: PiecesOptions): Promise<PiecesPoint[]> {
  const { transport, iods, ranks, piece, most } = options
  await using stage = await Stage.start({ ranks, iods, transport })
  const points: PiecesPoint[] = []
  for (let pieces = 1; pieces <= most; pieces *= 10) {
    const shape = cyclic(ranks, piece, pieces)
    const file = await stage.open(`/pieces-${pieces}`, shape, {
      ...OVER_THE_WIRE,
      striping_factor: iods,
    })
    const hows = (['pieces', 'independent', 'collective'] as const).filter(
      (how) => how !== 'pieces' || requestsOf(shape) <= REQUESTS_MAX,
    )
    await file.verify(hows)
    const cases = hows.flatMap((how) =>
      (['write', 'read'] as const).map((kind) => {
        const label = `${how === 'pieces' ? 'a call a piece' : how}, ${kind}`
        return [label, async () => (await file.move(kind, how)).ms] as const
      }),
    )
    const times = await inTurn(options, Object.fromEntries(cases))
    await file.close()
    points.push({ pieces, times, median: (way) => spreadOf(times[way] ?? []).median })
  }
  return points
}
