// The curves of growth: time, rate and memory against pieces, ranks, iods, size, strip and files.
import { cpus, tmpdir } from 'node:os'
import { statfsSync } from 'node:fs'
import { GIB, MIB } from '../figures.js'
import { inTurn } from '../rounds.js'
import { iorShared, type Shape } from '../shapes.js'
import { OVER_THE_WIRE, Stage, type Stretch } from '../stage.js'
import { memoryOf } from '../usage.js'
import type { Curve, CurveOptions, Point } from './curve.js'
import { piecesCurve } from './pieces.js'

/** A curve that can be measured. */
export interface CurveMaker {
  readonly name: string
  readonly make: (options: CurveOptions) => Promise<Curve>
}

/** Files do not get larger than this. */
const SIZE_MAX = 16 * GIB

/** All curves. */
export const CURVES: readonly CurveMaker[] = [
  { name: 'pieces', make: pieces },
  { name: 'ranks', make: ranks },
  { name: 'iods', make: iods },
  { name: 'size', make: size },
  { name: 'memory', make: memory },
  { name: 'strip', make: strip },
  { name: 'files', make: files },
]

async function pieces(options: CurveOptions): Promise<Curve> {
  const about = { transport: 'unix', iods: 4, ranks: 2, piece: 64 } as const
  const found = await piecesCurve({ ...about, most: options.smoke ? 100 : 1_000_000, ...options })
  return {
    name: 'pieces',
    title: 'One access of n pieces of 64 B by each of 2 ranks, 4 iods',
    xLabel: 'pieces of a rank',
    yLabel: 'ms',
    reading:
      '1 = every piece costs the same; from 10^4 on, where the request itself no longer shows',
    from: options.smoke ? 0 : 10_000,
    points: found.map(({ pieces: x, times }) => ({ x, values: times })),
  }
}

async function ranks(options: CurveOptions): Promise<Curve> {
  const points: Point[] = []
  for (const count of options.smoke ? [1, 2] : [1, 2, 4, 8, 16, 32, 64]) {
    await using stage = await Stage.start({ ranks: count, iods: 2, transport: 'unix' })
    const calls = options.smoke ? 5 : 100
    const path = '/ranks'
    await stage.run('open', { path, info: OVER_THE_WIRE })
    const order = { path, bytes: 64 * count, count: calls, kind: 'write', verify: true } as const
    const each = async (stretch: Promise<Stretch>): Promise<number> =>
      ((await stretch).ms * 1000) / calls
    const values = await inTurn(options, {
      barrier: async () => await each(stage.time('barriers', { count: calls })),
      'collective of 64 B a rank': async () => await each(stage.time('collectives', order)),
    })
    await stage.run('close', { path })
    points.push({ x: count, values })
  }
  return {
    name: 'ranks',
    title: `Exchanges of n ranks on ${cpus().length} processors`,
    xLabel: 'ranks',
    yLabel: 'µs',
    reading:
      '1 = each rank takes its turn on the same processors; from 4 ranks on, which keep them busy; messages are 2(n - 1)',
    from: options.smoke ? 0 : 4,
    points,
  }
}

async function iods(options: CurveOptions): Promise<Curve> {
  const points: Point[] = []
  for (const count of options.smoke ? [1, 2] : [1, 2, 4, 8, 16, 24]) {
    points.push({ x: count, values: await rates(count, {}, options) })
  }
  return {
    name: 'iods',
    title: 'Rate of 2 ranks over n iods on one host, calls of 1 MiB',
    xLabel: 'iods',
    yLabel: 'MiB/s',
    reading: '0 = as fast with many iods as with one: all share the same processors',
    points,
  }
}

async function size(options: CurveOptions): Promise<Curve> {
  const points: Point[] = []
  for (const bytes of sizesOf(options)) {
    const shape = wholeFile(bytes, 16 * MIB)
    await using stage = await Stage.start({ ranks: 1, iods: 2, transport: 'tcp' })
    const file = await stage.open('/size', shape, OVER_THE_WIRE)
    if (bytes <= 64 * MIB) await file.verify(['independent'])
    // A large file once: what is looked for is whether it costs more a byte.
    const rounds = bytes > 256 * MIB ? { rounds: 1, warmUps: 0 } : options
    const found = await inTurn(rounds, {
      write: async () => await file.move('write', 'independent'),
      read: async () => await file.move('read', 'independent'),
    })
    await file.close()
    const cpu = (stretches: readonly Stretch[]): number[] =>
      stretches.map(({ cpuSecondsPerGiB }) => cpuSecondsPerGiB)
    points.push({ x: bytes / MIB, values: { write: cpu(found.write), read: cpu(found.read) } })
  }
  return {
    name: 'size',
    title: 'CPU of client and 2 iods against the size of a file',
    xLabel: 'MiB',
    yLabel: 'CPU-s/GiB',
    reading: `0 = a byte costs the same in every file; small ones pay for their few requests${leftOutOf(points)}`,
    from: options.smoke ? 0 : 64,
    points,
  }
}

async function memory(options: CurveOptions): Promise<Curve> {
  const points: Point[] = []
  for (const bytes of sizesOf(options)) {
    const shape = wholeFile(bytes, MIB)
    await using stage = await Stage.start({ ranks: 1, iods: 1, transport: 'tcp' })
    const file = await stage.open('/memory', shape, OVER_THE_WIRE)
    await file.move('write', 'independent')
    await file.move('read', 'independent')
    const [rank] = await stage.run('memory', undefined)
    const iod = memoryOf(stage.cluster.pidOf(0))
    await file.close()
    const values = { rank: [(rank?.peak ?? 0) / MIB], iod: [iod.peak / MIB] }
    points.push({ x: bytes / MIB, values })
  }
  return {
    name: 'memory',
    title: 'Peak memory against the size of a file, calls of 1 MiB',
    xLabel: 'MiB',
    yLabel: 'MiB',
    reading: `0 = memory does not depend on what has gone through${leftOutOf(points)}`,
    from: options.smoke ? 0 : 64,
    points,
  }
}

async function strip(options: CurveOptions): Promise<Curve> {
  const points: Point[] = []
  for (
    let bytes = 4096;
    bytes <= (options.smoke ? 8192 : 4 * MIB);
    bytes *= options.smoke ? 2 : 4
  ) {
    points.push({
      x: bytes / 1024,
      values: await rates(4, { striping_unit: bytes }, options),
    })
  }
  return {
    name: 'strip',
    title: 'Rate of 2 ranks over 4 iods, calls of 1 MiB',
    xLabel: 'KiB of a strip',
    yLabel: 'MiB/s',
    reading: '0 = small strips cost nothing',
    points,
  }
}

async function files(options: CurveOptions): Promise<Curve> {
  const points: Point[] = []
  await using stage = await Stage.start({ ranks: 2, iods: 2, transport: 'unix' })
  const place = { path: '/files', local: false, shared: true }
  await stage.run('directories', place)
  let there = 0
  // The directory is filled up to each size; the last hundred creations of each rank are timed, and as many looks.
  const first = options.smoke ? 10 : 100
  for (let count = first; count <= options.files; count *= options.smoke ? 2 : 10) {
    const timed = Math.min(options.smoke ? 5 : 100, count / 4)
    const more = count / 2 - there - timed
    const order = { ...place, bytes: 0, shift: 0, depth: 16 }
    if (more > 0)
      await stage.time('metadata', { ...order, phase: 'create', files: more, first: there })
    const rest = { ...order, files: timed, first: count / 2 - timed }
    const create = await stage.time('metadata', { ...rest, phase: 'create' })
    const looks: number[] = []
    for (let round = 0; round < options.rounds; round++)
      looks.push(perSecond(await stage.time('metadata', { ...rest, phase: 'stat' })))
    there = count / 2
    points.push({ x: count, values: { create: [perSecond(create)], stat: looks } })
  }
  return {
    name: 'files',
    title: 'Names in one directory, 2 ranks, 16 calls at a time each',
    xLabel: 'files there',
    yLabel: 'a second',
    reading: '0 = as fast in a full directory as in an empty one',
    points,
  }
}

// Of two ranks in calls of 1 MiB.
async function rates(
  iodCount: number,
  hints: Readonly<Record<string, number>>,
  options: CurveOptions,
): Promise<Readonly<Record<string, readonly number[]>>> {
  const span = options.smoke ? 2 * MIB : 32 * MIB
  const shape = iorShared({ ranks: 2, transferSize: MIB, calls: span / MIB })
  await using stage = await Stage.start({ ranks: shape.ranks, iods: iodCount, transport: 'tcp' })
  const info = { ...OVER_THE_WIRE, striping_factor: iodCount, ...hints }
  const file = await stage.open('/rates', shape, info)
  await file.verify(['independent'])
  const values = await inTurn(options, {
    write: async () => (await file.move('write', 'independent')).MiBps,
    read: async () => (await file.move('read', 'independent')).MiBps,
  })
  await file.close()
  return values
}

/** 1 MiB, then four times as much each time, as far as asked for and as there is room twice. */
function sizesOf({ through }: CurveOptions): number[] {
  const { bavail, bsize } = statfsSync(tmpdir())
  const sizes: number[] = []
  for (
    let bytes = MIB;
    bytes <= Math.min(through, SIZE_MAX) && bytes * 2 < bavail * bsize;
    bytes *= 4
  )
    sizes.push(bytes)
  return sizes
}

// One rank, one call behind the other.
function wholeFile(bytes: number, callMax: number): Shape {
  const transferSize = Math.min(bytes, callMax)
  return iorShared({ ranks: 1, transferSize, calls: bytes / transferSize })
}

// A sentence about what the curve does not show.
function leftOutOf(points: readonly Point[]): string {
  if ((points.at(-1)?.x ?? 0) * MIB >= SIZE_MAX) return ''
  return '; up to 16 GiB only with --through=16g, and where there is room twice'
}

function perSecond({ bytes, ms }: Stretch): number {
  return bytes / (ms / 1000)
}
