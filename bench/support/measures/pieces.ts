// Many pieces in one call: against a call a piece, against memory without gaps, over the HPIO grid, and beside ROMIO.
import { contestOf, type Outcome, type Rates, ratios, UNIX_C, WAYS } from '../contest.js'
import { MIB, numberText, spreadOf } from '../figures.js'
import {
  type Cell,
  cellsOf,
  type CellsOptions,
  cellText,
  gridShapes,
  warmGrid,
  worstCell,
} from '../hpio-grid.js'
import type { GapTimes } from '../peers.js'
import { inTurn, ratiosBetween } from '../rounds.js'
import { collPerf, cyclic, hpio, iorHard, passesFor, type Shape, tileIo } from '../shapes.js'
import { OVER_THE_WIRE, Stage } from '../stage.js'
import { geometricMean } from '../statistics.js'
import { ROMIO_WARM_UP_BYTES, warmUp } from '../warm-up.js'
import { type Found, judge, type MeasureContext, type Part, skipped } from './measure.js'

const KINDS = ['write', 'read'] as const

/** Repeats of a cell of the grid that looks short. */
const CELL_ROUNDS = 15

/** How often a round goes over 8 MiB of memory with gaps, and over as much without, for the reason of `passesBeside`. */
const GAPS_PASSES = 64

/** At least so many rounds give a figure of gaps: they differ by more than goal and pass do. */
const GAPS_ROUNDS = 15

/** What a round of ours and one of ROMIO move of a shape: at 20 GiB/s, as both read, 512 MiB would be half as long as two ranks may share a processor at first. */
const ROMIO_BYTES = 4 * 2 ** 30

/** 64 B pieces of four ranks in turn: one list of each against a call a piece. */
export async function listSpeedup(context: MeasureContext): Promise<Found> {
  await using stage = await Stage.start({ ranks: 4, iods: 4, transport: 'unix' })
  const shape = cyclic(4, 64, context.smoke ? 20 : 2000)
  const file = await stage.open('/cyclic', shape, { ...OVER_THE_WIRE, striping_factor: 4 })
  await file.verify(['pieces', 'independent'])
  const warmed = (['pieces', 'independent'] as const).flatMap((how) =>
    KINDS.map((kind) => ({ file, shape, kind, how })),
  )
  const [, , write, read] = await warmUp(context.smoke ? [] : warmed)
  const time = (kind: 'write' | 'read', how: 'pieces' | 'independent') => async () =>
    (await file.move(kind, how)).ms
  const found = await inTurn(context, {
    naiveWrite: time('write', 'pieces'),
    naiveRead: time('read', 'pieces'),
    write: time('write', 'independent'),
    read: time('read', 'independent'),
  })
  await file.close()
  const samples = {
    write: ratiosBetween(found.naiveWrite, found.write),
    read: ratiosBetween(found.naiveRead, found.read),
  }
  if (context.smoke) return { samples }
  const cold = {
    write: spreadOf(found.naiveWrite).median / (write?.ms ?? Number.NaN),
    read: spreadOf(found.naiveRead).median / (read?.ms ?? Number.NaN),
  }
  return { samples, cold }
}

/** Time with gaps between the pieces in memory against none; the file is contiguous. */
export async function memoryGaps(context: MeasureContext): Promise<Found> {
  await using stage = await Stage.start({ ranks: 1, iods: 4, transport: 'unix' })
  const samples: Record<string, number[]> = {}
  const cold: Record<string, number> = {}
  const notes: Record<string, string> = {}
  const { streamMissing } = context.peers
  const often = context.smoke
    ? context
    : { ...context, rounds: Math.max(context.rounds, GAPS_ROUNDS) }
  for (const size of [8, 512, 4096]) {
    const total = context.smoke ? 64 * 1024 : 8 * MIB
    const count = total / size
    const about = { ranks: 1, size, count, spacing: size, inFile: false }
    const info = { ...OVER_THE_WIRE, striping_factor: 4 }
    const shapes = [true, false].map((inMemory) => hpio({ ...about, inMemory }))
    const [scattered, joined] = shapes as [Shape, Shape]
    const gaps = await stage.open(`/gaps-${size}`, scattered, info)
    const none = await stage.open(`/none-${size}`, joined, info)
    for (const file of [gaps, none]) await file.verify(['independent'])
    for (const kind of KINDS) {
      const about = { kind, how: 'independent', passes: GAPS_PASSES } as const
      const warmed = [
        { ...about, file: gaps, shape: scattered },
        { ...about, file: none, shape: joined },
      ]
      const [first, second] = await warmUp(context.smoke ? [] : warmed)
      if (first !== undefined && second !== undefined)
        cold[`${kind} ${size} B`] = first.ms / second.ms
      const found = await inTurn(often, {
        gaps: async () => (await gaps.move(kind, 'independent', { passes: GAPS_PASSES })).ms,
        none: async () => (await none.move(kind, 'independent', { passes: GAPS_PASSES })).ms,
        c: async () =>
          kind === 'write' && streamMissing === undefined
            ? await context.peers.gaps(size, total)
            : undefined,
      })
      const name = `${kind} ${size} B`
      samples[name] = ratiosBetween(found.gaps, found.none)
      const ms = found.none.map((all) => all / GAPS_PASSES)
      const floors = found.c.flatMap((times) => times ?? [])
      if (floors.length > 0) notes[name] = gapsText(count, ms, floors)
    }
    for (const file of [gaps, none]) await file.close()
  }
  const skipped = streamMissing === undefined ? {} : { skipped: `what C takes: ${streamMissing}` }
  return { samples, cold, notes, ...skipped }
}

/** What C takes for so many pieces, by round, beside our milliseconds for as many bytes without gaps. */
export function gapsText(
  pieces: number,
  ours: readonly number[],
  floors: readonly GapTimes[],
): string {
  const median = (of: (times: GapTimes, round: number) => number): number =>
    spreadOf(floors.map(of)).median
  const piece = (way: 'gather' | 'copy'): string =>
    numberText(median((times) => (times[way] * 1e6) / pieces))
  const ways = {
    'ours and that memcpy': median(({ gather }, round) => 1 + gather / (ours[round] ?? Number.NaN)),
    'in C writev': median(({ writev, send }) => writev / send),
    'in C memcpy and write': median(({ gatherAndSend, send }) => gatherAndSend / send),
  }
  const words = Object.entries(ways).map(([way, ratio]) => `${way} ${numberText(ratio)}`)
  const least = numberText(Math.min(...Object.values(ways)))
  return `C gathers a piece in ${piece('gather')} ns by memcpy, side by side ${piece('copy')}; time with gaps ÷ without: ${words.join(', ')}; the least of them ${least}`
}

/** The worst cells of the HPIO grid; a cell that looks short is measured again, more often. */
export async function grid(context: MeasureContext, parts: readonly Part[]): Promise<Found> {
  const { smoke, peers } = context
  const iods = smoke ? 2 : 4
  const ranks = smoke ? 2 : 4
  await using stage = await Stage.start({ ranks, iods, transport: 'unix' })
  const sizes = smoke ? [64] : [64, 512, 4096, 65_536]
  const cells: Cell[] = []
  const about = { ranks, bytes: smoke ? 4096 : MIB, sizes, spacings: smoke ? [1] : [0, 1] }
  if (!smoke) await warmGrid(stage, iods)
  for (const shape of gridShapes(about)) {
    let found = (await cellsOf({ stage, shape, iods }, peers, context)).cells
    if (!smoke && found.some((cell) => parts.some((part) => isShort(part, cell)))) {
      const again = { ...context, rounds: CELL_ROUNDS }
      found = await foundAgain(found, { stage, shape, iods }, again, parts)
    }
    cells.push(...found)
  }
  return foundIn(cells, parts)
}

/**
 * What a grid comes to: every cell is judged, and of each part the worst is shown. A median that is worse, but in doubt, does
 * not hide a cell that is short beyond doubt.
 */
export function foundIn(cells: readonly Cell[], parts: readonly Part[]): Found {
  const samples: Record<string, readonly number[]> = {}
  const notes: Record<string, string> = {}
  for (const part of parts) {
    const of = figureOf(part.name)
    const worst = worstCell(cells, of, (cell) => judge(part, cell[of]).verdict === 'short')
    if (worst === undefined) continue
    samples[part.name] = worst[of]
    notes[part.name] = `worst of ${cells.length} cells: ${cellText(worst, of)}`
  }
  return { samples, notes }
}

// Ways that hints force take most of the time, and matter only where the automatic choice looks short.
async function foundAgain(
  before: readonly Cell[],
  options: CellsOptions,
  context: MeasureContext,
  parts: readonly Part[],
): Promise<readonly Cell[]> {
  const withoutForced = !before.some((cell) =>
    parts.some((part) => figureOf(part.name) === 'automatic' && isShort(part, cell)),
  )
  const { cells } = await cellsOf({ ...options, withoutForced }, context.peers, context)
  if (!withoutForced) return cells
  return cells.map((cell, i) => {
    const { automatic, best } = before[i] ?? cell
    return { ...cell, automatic, best }
  })
}

/** Collective calls of ours, as they are by default, against ROMIO's on a local directory: mean over five shapes. */
export async function besideRomio(context: MeasureContext): Promise<Found> {
  const { peers, smoke } = context
  const missing = peers.romioMissing
  if (missing !== undefined) return skipped(missing)
  await using stage = await Stage.start({ ranks: 2, iods: 4, transport: 'unix' })
  const logs: number[][] = []
  const beside: BesideRomio[] = []
  const firsts: number[] = []
  for (const shape of romioShapes(smoke)) {
    const cold = smoke ? undefined : new Map<string, Rates>()
    const passes = smoke ? 1 : passesFor(shape, ROMIO_BYTES)
    const outcome = await contestOf(
      {
        stage,
        shape,
        info: { striping_factor: 4 },
        ways: [{ ...WAYS.collective, info: { rankio_direct: 'read' } }],
        romio: ['collective'],
        withStream: false,
        withUnixC: true,
        passes,
        cold,
        warmBytes: ROMIO_WARM_UP_BYTES,
      },
      peers,
      context,
    )
    const both = KINDS.map((kind) => ratiosToRomio(outcome, WAYS.collective.label, kind))
    const c = UNIX_C in outcome ? KINDS.map((kind) => unixCToRomio(outcome, kind)) : undefined
    beside.push({ name: shape.name, ours: both, c })
    for (const kind of cold === undefined ? [] : KINDS)
      firsts.push(
        (cold?.get(WAYS.collective.label)?.[kind] ?? Number.NaN) / usualOfRomio(outcome, kind),
      )
    logs.push(...both)
  }
  const cold = firsts.length === 0 ? {} : { cold: { mean: geometricMean(firsts) } }
  return { samples: { mean: meansByRound(logs) }, ...cold, notes: { mean: romioText(beside) } }
}

/** What a shape has come to beside ROMIO: ratios by round, of its write and of its read. */
export interface BesideRomio {
  readonly name: string
  readonly ours: readonly (readonly number[])[]
  /** The same of C over unix sockets, where there is a compiler. */
  readonly c?: readonly (readonly number[])[] | undefined
}

/** The shapes in words, and what the mean would be if the better of ours and of C, by their medians, were taken of each. */
export function romioText(shapes: readonly BesideRomio[]): string {
  const medians = (figures: readonly (readonly number[])[]): string =>
    figures.map((ratios) => numberText(spreadOf(ratios).median)).join(' / ')
  const words = shapes.map(({ name, ours, c }) => {
    return `${name} ${medians(ours)}${c === undefined ? '' : ` (C ${medians(c)})`}`
  })
  const all = `write / read: ${words.join(', ')}`
  if (shapes.some(({ c }) => c === undefined)) return all
  const better = shapes.flatMap(({ ours, c = [] }) =>
    ours.map((ratios, i) => betterOf(ratios, c[i] ?? [])),
  )
  const mean = numberText(spreadOf(meansByRound(better)).median)
  return `${all}; with the better of ours and ${UNIX_C} each, for comparison: ${mean}`
}

function betterOf(one: readonly number[], other: readonly number[]): readonly number[] {
  return spreadOf(other).median > spreadOf(one).median ? other : one
}

// Of all figures, whose rounds are those of one run.
function meansByRound(figures: readonly (readonly number[])[]): number[] {
  return Array.from({ length: figures[0]?.length ?? 0 }, (_, round) =>
    geometricMean(figures.map((ratios) => ratios[round] ?? Number.NaN)),
  )
}

function romioShapes(smoke: boolean): Shape[] {
  const side = smoke ? 16 : 160
  const [sizeX, sizeY] = smoke ? [64, 48] : [1024, 768]
  return [
    iorHard({ ranks: 2, calls: smoke ? 4 : 256 }),
    collPerf(2, [side, side, side]),
    tileIo({ columns: 2, rows: 1, sizeX, sizeY, elementBytes: 3, overlapX: 16, overlapY: 0 }),
    cyclic(2, 64, smoke ? 100 : 131_072),
    cyclic(2, 4096, smoke ? 10 : 4096),
  ]
}

function usualOfRomio(outcome: Outcome, kind: 'write' | 'read'): number {
  return spreadOf((outcome['ROMIO, collective'] ?? []).map((each) => each[kind])).median
}

// C sends all bytes that are written over a unix socket; it reads as ROMIO does, and has one exchange to make.
function unixCToRomio(outcome: Outcome, kind: 'write' | 'read'): number[] {
  const c = ratiosToRomio(outcome, UNIX_C, kind)
  return kind === 'write' ? c : c.map((exchange) => exchange / (1 + exchange))
}

function ratiosToRomio(outcome: Outcome, name: string, kind: 'write' | 'read'): number[] {
  return ratios(outcome, name, 'ROMIO, collective', kind)
}

function isShort(part: Part, cell: Cell): boolean {
  return judge({ ...part, byInterval: false }, cell[figureOf(part.name)]).verdict === 'short'
}

function figureOf(name: string): 'collective' | 'automatic' {
  return name.startsWith('collective') ? 'collective' : 'automatic'
}
