// The grid of HPIO: regions of several sizes, with and without gaps between them, in the file and in memory. In each
// cell all ways take turns; what counts is whether acting together, or choosing automatically, is ever the slower way.
import { contestOf, hintsOf, MANUAL, type Outcome, ratios, WAYS } from './contest.js'
import { numberText, spreadOf } from './figures.js'
import type { Peers } from './peers.js'
import type { RoundOptions } from './rounds.js'
import { hpio, passesFor, type Shape } from './shapes.js'
import type { ShapedFile, Stage } from './stage.js'
import { warmUp } from './warm-up.js'

/** One cell of the grid, in one direction. */
export interface Cell {
  readonly name: string
  readonly shape: Shape
  readonly kind: 'write' | 'read'
  /** Rate of the collective call ÷ rate of independent ones, both as they are by default. */
  readonly collective: readonly number[]
  /** The same of independent calls between barriers, for comparison. */
  readonly fenced: readonly number[]
  /** Time of the automatic choice ÷ time of the best forced way. */
  readonly automatic: readonly number[]
  readonly best: string
}

/** What a grid is made of. */
export interface GridOptions {
  readonly ranks: number
  /** Bytes of each rank in a cell. */
  readonly bytes: number
  readonly sizes: readonly number[]
  /** Gaps, in regions. */
  readonly spacings: readonly number[]
}

/** Ways that hints force; the automatic choice is compared with the best of them. */
const FORCED = [
  { label: 'two-phase', how: 'collective', info: MANUAL.twoPhase },
  { label: 'list', how: 'collective', info: MANUAL.list },
  { label: 'sieving', how: 'collective', info: MANUAL.sieving },
] as const

/** What shows whether a collective call is slower than independent ones, and what they come to if they wait as often. */
const IN_STEP = [WAYS.independent, WAYS.collective, WAYS.fenced]

/** The ways of a cell besides the naive one. */
const TAKEN = [...IN_STEP, ...FORCED]

/** 64 MiB of all ranks in one round of a cell: tens of milliseconds, and more where regions are small. */
const PASS_BYTES = 2 ** 26

/** Bytes of each rank in what makes the grid warm: as in its cells. */
const WARM_BYTES = 2 ** 20

/** The shapes of a grid; those that have gaps nowhere are left out. */
export function gridShapes({ ranks, bytes, sizes, spacings }: GridOptions): Shape[] {
  const modes = [
    { inMemory: false, inFile: true },
    { inMemory: true, inFile: false },
    { inMemory: true, inFile: true },
  ]
  return sizes.flatMap((size) =>
    spacings.flatMap((gap) =>
      modes.map((mode) =>
        hpio({ ranks, size, count: Math.ceil(bytes / size), spacing: gap * size, ...mode }),
      ),
    ),
  )
}

/** Has the ranks go each way for some time before the first cell, for the compiler; none of it counts. */
export async function warmGrid(stage: Stage, iods: number): Promise<void> {
  const shapes = gridShapes({ ranks: stage.size, bytes: WARM_BYTES, sizes: [4096], spacings: [1] })
  const files: [ShapedFile, Shape][] = []
  for (const [i, shape] of shapes.entries())
    files.push([await stage.open(`/warm-${i}`, shape, { striping_factor: iods }), shape])
  await warmUp(
    files.flatMap(([file, shape]) =>
      TAKEN.flatMap((way) =>
        (['write', 'read'] as const).map((kind) => ({
          file,
          shape,
          kind,
          how: way.how,
          info: hintsOf(way),
          passes: passesFor(shape, PASS_BYTES),
        })),
      ),
    ),
  )
  for (const [file] of files) await file.close()
}

/** Where a shape is measured. */
export interface CellsOptions {
  readonly stage: Stage
  readonly shape: Shape
  readonly iods: number
  /** Without the ways that hints force, where they are known already: of a cell nothing is then found about the automatic choice. */
  readonly withoutForced?: boolean
}

/** Measures one shape in both directions. */
export async function cellsOf(
  { stage, shape, iods, withoutForced = false }: CellsOptions,
  peers: Peers,
  options: RoundOptions & { readonly smoke: boolean },
): Promise<{ readonly cells: readonly Cell[]; readonly outcome: Outcome }> {
  const ways = withoutForced ? IN_STEP : [WAYS.pieces, ...TAKEN]
  const info = { striping_factor: iods }
  const passes = options.smoke ? 1 : passesFor(shape, PASS_BYTES)
  const contest = {
    stage,
    shape,
    info,
    ways,
    romio: [],
    withStream: false,
    requestsMax: 512,
    passes,
  }
  const outcome = await contestOf(contest, peers, options)
  const cells = (['write', 'read'] as const).map((kind) => cellOf(shape, kind, outcome))
  return { cells, outcome }
}

/** The cell to show: of those that are short the worst by its median; where none is, the worst of all. */
export function worstCell(
  cells: readonly Cell[],
  of: 'collective' | 'automatic',
  isShort: (cell: Cell) => boolean = () => false,
): Cell | undefined {
  const badness = (cell: Cell): number => {
    const { median } = spreadOf(cell[of])
    return of === 'collective' ? -median : median
  }
  const short = cells.filter(isShort)
  return (short.length > 0 ? short : cells).toSorted((a, b) => badness(b) - badness(a))[0]
}

/** A cell in words. */
export function cellText(
  { name, kind, best, fenced }: Cell,
  of: 'collective' | 'automatic',
): string {
  if (of === 'automatic') return `${kind} ${name}, best is ${best}`
  const between = numberText(spreadOf(fenced).median)
  return `${kind} ${name}, where independent calls between barriers reach ${between}`
}

function cellOf(shape: Shape, kind: 'write' | 'read', outcome: Outcome): Cell {
  const rateOf = (label: string): number =>
    spreadOf((outcome[label] ?? []).map((r) => r[kind])).median
  const best = FORCED.map(({ label }) => label).toSorted((a, b) => rateOf(b) - rateOf(a))[0] ?? ''
  const { collective, independent, fenced } = WAYS
  return {
    name: shape.name,
    shape,
    kind,
    collective: ratios(outcome, collective.label, independent.label, kind),
    fenced: ratios(outcome, fenced.label, independent.label, kind),
    automatic: ratios(outcome, best, collective.label, kind),
    best: `${best}, ${numberText(rateOf(best))} MiB/s`,
  }
}
