// Large transfers beside a C stream: one client and one iod, shared files, the way around the iods, CPU, and the layer on
// top of the native call. A stream is a C sender and receiver over one loopback TCP pair, messages of 1 MiB.
import type { Info } from '../../../lib/file/hints.js'
import { FileSystem } from '../../../lib/file/file-system.js'
import { BarePeers, type BareStretch } from '../bare.js'
import { MIB, numberText, spreadOf } from '../figures.js'
import type { StreamFigures } from '../peers.js'
import { inTurn, ratiosBetween } from '../rounds.js'
import { iorShared, passesFor, type Shape } from '../shapes.js'
import { OVER_THE_WIRE, type ShapedFile, Stage, type Stretch } from '../stage.js'
import type { Transport } from '../targets.js'
import type { How } from '../tasks/move.js'
import { STREAM_WARM_UP_BYTES, WARM_UP, warmUp } from '../warm-up.js'
import { type Found, type MeasureContext, skipped } from './measure.js'

/** Accesses that are compared with a stream: their figures are named `write <name>` and `read <name>`. */
interface Streamed {
  readonly name: string
  readonly shape: Shape
  readonly how: How
  readonly info: Info
  /** How often all its calls are made in one round; once by default. */
  readonly passes?: number
}

/** What all rounds have given. */
interface StreamRounds {
  /** Ratios of rates, by `write <name>` and `read <name>`. */
  readonly ratios: Record<string, number[]>
  /** What was divided, in MiB/s. */
  readonly rates: Record<string, number[]>
  /** The same of the first pass ÷ the median of all streams. */
  readonly cold: Record<string, number>
  readonly stretches: Readonly<Record<string, readonly Stretch[]>>
  readonly streams: readonly StreamFigures[]
  /** Of others that took turns, by their names. */
  readonly bare: Readonly<Record<string, readonly BareStretch[]>>
}

/** Before the names of bare processes in a round. */
const BARE = 'bare '

const KINDS = ['write', 'read'] as const

/** What a stream moves in one round. */
const STREAM_BYTES = 512 * MIB

const STRIP_BYTES = 64 * 1024

const STRIP: Info = { striping_unit: STRIP_BYTES }

/** Iods of the shared file, and as many servers of bare processes. */
const SHARED_IODS = 4

/** What bare processes are compared in. */
const BARE_BYTES = 4096

/** Calls of each of them in a round: as many as ours. */
const BARE_CALLS = (8 * MIB) / BARE_BYTES

/** One client and one iod, calls of 1 and of 16 MiB. */
export function oneClient(transport: Transport): (context: MeasureContext) => Promise<Found> {
  return async (context) => {
    const missing = context.peers.streamMissing
    if (missing !== undefined) return skipped(missing)
    await using stage = await Stage.start({ ranks: 1, iods: 1, transport })
    const sizes = [1, 16].map((size): Streamed => {
      const shape = shapeOf(1, size * MIB, context.smoke ? 16 * MIB : 64 * MIB)
      const passes = context.smoke ? 1 : passesBeside(shape)
      return { name: `${size} MiB`, shape, how: 'independent', info: OVER_THE_WIRE, passes }
    })
    const { ratios, rates, cold } = await besideStream(stage, sizes, context)
    return { samples: ratios, rates, cold }
  }
}

/**
 * Passes that move what a stream moves in a round. Some kernels of virtual machines leave two processes that begin to talk after
 * others had the processors on one of them, though the other is idle, for some 45 ms: of one pass of 64 MiB that is all, of eight less than half, and a client
 * and its iod write .81, .85 and .99 of a stream in 1, 2 and 8 passes (measured).
 */
export function passesBeside(shape: Shape): number {
  return passesFor(shape, STREAM_BYTES)
}

/** Two ranks and one file over four iods, independently and collectively, over TCP. */
export async function sharedFile(context: MeasureContext): Promise<Found> {
  const missing = context.peers.streamMissing
  if (missing !== undefined) return skipped(missing)
  await using stage = await Stage.start({ ranks: 2, iods: SHARED_IODS, transport: 'tcp' })
  await using bare = await BarePeers.start(SHARED_IODS)
  const info = { ...OVER_THE_WIRE, ...STRIP, striping_factor: SHARED_IODS }
  const samples: Record<string, readonly number[]> = {}
  const rates: Record<string, readonly number[]> = {}
  const cold: Record<string, number> = {}
  const notes: Record<string, string> = {}
  for (const [label, bytes, span] of [
    ['1 MiB', MIB, 32 * MIB],
    ['64 KiB', 64 * 1024, 32 * MIB],
    ['4 KiB', 4096, 8 * MIB],
  ] as const) {
    const shape = shapeOf(2, bytes, context.smoke ? 4 * bytes : span)
    const hows = (['independent', 'collective'] as const).map((how): Streamed => {
      return { name: `${how} ${label}`, shape, how, info }
    })
    const isBare = bytes === BARE_BYTES
    const others = isBare ? await bareCases(bare, context) : {}
    const found = await besideStream(stage, hows, context, others)
    Object.assign(samples, found.ratios)
    Object.assign(rates, found.rates)
    Object.assign(cold, found.cold)
    for (const name of isBare ? Object.keys(found.ratios) : [])
      notes[name] = bareText(name, found, shape, context.peers.callsMissing)
  }
  return { samples, rates, cold, notes }
}

// The smallest calls of shared files, as bare Node processes make them and processes of C; compared first, and Node made warm.
async function bareCases(
  bare: BarePeers,
  { smoke, peers }: MeasureContext,
): Promise<Record<string, () => Promise<BareStretch>>> {
  const cases: Record<string, () => Promise<BareStretch>> = {}
  const calls = smoke ? 4 : BARE_CALLS
  for (const how of ['independent', 'collective'] as const) {
    const about = { how, bytes: BARE_BYTES, calls, stripBytes: STRIP_BYTES, verify: false }
    for (const kind of KINDS) await bare.move({ ...about, kind, verify: true })
    for (const kind of KINDS) {
      if (!smoke) await bare.move({ ...about, kind, calls: WARM_UP.calls })
      const name = `${kind} ${how} 4 KiB`
      cases[`Node ${name}`] = async () => await bare.move({ ...about, kind })
      if (peers.callsMissing === undefined)
        cases[`C ${name}`] = async () => await peers.calls({ ...about, kind }, SHARED_IODS)
    }
  }
  return cases
}

function bareText(
  name: string,
  { bare, stretches, streams }: StreamRounds,
  shape: Shape,
  missing: string | undefined,
): string {
  const calls = shape.ranks * shape.of(0).calls
  const ours = (stretches[name] ?? []).map(
    ({ clientCpuSeconds, serverCpuSeconds }) => (clientCpuSeconds + serverCpuSeconds) / calls,
  )
  const cpu = (seconds: readonly number[]): string => numberText(spreadOf(seconds).median * 1e6)
  const reach = (who: 'Node' | 'C'): string => {
    const rounds = bare[`${who} ${name}`] ?? []
    const ratios = ratiosBetween(
      rounds.map(({ MiBps }) => MiBps),
      streams.map(({ MiBps }) => MiBps),
    )
    const theirs = cpu(rounds.map(({ cpuSecondsPerCall }) => cpuSecondsPerCall))
    return `${numberText(spreadOf(ratios).median)} (${theirs} µs)`
  }
  const inC = missing === undefined ? `processes of C ${reach('C')}` : `C is left out: ${missing}`
  return `with as many messages bare Node processes reach ${reach('Node')}, ${inC}; in brackets CPU of clients and servers for a call of one client, ours ${cpu(ours)} µs`
}

/** Two ranks on one host, four iods: reads around the iods, then writes as well. */
export async function defaults(context: MeasureContext): Promise<Found> {
  const missing = context.peers.streamMissing
  if (missing !== undefined) return skipped(missing)
  await using stage = await Stage.start({ ranks: 2, iods: 4, transport: 'unix' })
  const shape = shapeOf(2, MIB, context.smoke ? 4 * MIB : 64 * MIB)
  const passes = context.smoke ? 1 : passesBeside(shape)
  const ways = [
    { name: '1 MiB', direct: 'read' },
    { name: '1 MiB, rw', direct: 'rw' },
  ].map(({ name, direct }): Streamed => {
    const info = { ...STRIP, striping_factor: 4, rankio_direct: direct }
    return { name, shape, how: 'independent', info, passes }
  })
  const { ratios, rates, cold } = await besideStream(stage, ways, context)
  return (await isDirect(stage)) ? { samples: ratios, rates, cold } : onlyWrites(ratios, rates)
}

function onlyWrites(
  ratios: Readonly<Record<string, number[]>>,
  rates: Readonly<Record<string, number[]>>,
): Found {
  const name = 'write 1 MiB'
  const only = (all: Readonly<Record<string, number[]>>) => ({ [name]: all[name] ?? [] })
  return { samples: only(ratios), rates: only(rates), skipped: NO_LEAVE }
}

const NO_LEAVE = 'the iods gave no leave to use their datafiles'

// Whether anything went around the iods: a hint that is not followed is no error.
async function isDirect(stage: Stage): Promise<boolean> {
  const counts = await stage.run('direct', undefined)
  return counts.every(({ reads, writes }) => reads + writes > 0)
}

/** One client that goes around its one iod, in large calls and in small ones. */
export async function shortCircuit(context: MeasureContext): Promise<Found> {
  const missing = context.peers.streamMissing
  if (missing !== undefined) return skipped(missing)
  await using stage = await Stage.start({ ranks: 1, iods: 1, transport: 'unix' })
  const shape = shapeOf(1, MIB, context.smoke ? 4 * MIB : 64 * MIB)
  const info = { rankio_direct: 'rw' }
  const passes = context.smoke ? 1 : passesBeside(shape)
  const large: Streamed = { name: '1 MiB', shape, how: 'independent', info, passes }
  const { ratios, rates, cold } = await besideStream(stage, [large], context)
  if (!(await isDirect(stage))) return skipped(NO_LEAVE)
  return { samples: { ...ratios, ...(await smallAround(stage, info, context)) }, rates, cold }
}

// 4 KiB through `readAt` and through a handle, against the same reads of the datafile by the operating system.
async function smallAround(
  stage: Stage,
  info: Info,
  context: MeasureContext,
): Promise<Record<string, number[]>> {
  const path = '/small'
  const [bytes, count] = [4096, context.smoke ? 100 : 8192]
  await stage.run('open', { path, info })
  await stage.run('fillSmall', { path, bytes, count })
  await using files = await FileSystem.connect(stage.cluster.url)
  const datafile = stage.cluster.datafile(0, (await files.stat(path)).handle)
  const { ways } = await inTurn(context, {
    ways: async () => (await stage.run('smallWays', { path, datafile, bytes, count }))[0],
  })
  await stage.run('close', { path })
  const ratios = (way: 'handle' | 'readAt'): number[] =>
    ways.map((times) => (times === undefined ? Number.NaN : times[way] / times.local))
  return { '4 KiB, driver': ratios('handle'), '4 KiB, readAt': ratios('readAt') }
}

/** CPU of client and iod for a GiB, both directions alike, against that of both ends of a stream. */
export async function cpuPerByte(context: MeasureContext): Promise<Found> {
  const missing = context.peers.streamMissing
  if (missing !== undefined) return skipped(missing)
  const samples: Record<string, number[]> = {}
  for (const transport of ['tcp', 'unix'] as const) {
    await using stage = await Stage.start({ ranks: 1, iods: 1, transport })
    const shape = shapeOf(1, MIB, context.smoke ? 16 * MIB : 128 * MIB)
    const one: Streamed = { name: '1 MiB', shape, how: 'independent', info: OVER_THE_WIRE }
    const { stretches, streams } = await besideStream(stage, [one], context)
    const cpu = (name: string): number[] =>
      (stretches[name] ?? []).map(({ cpuSecondsPerGiB }) => cpuSecondsPerGiB)
    const reads = cpu('read 1 MiB')
    const ours = cpu('write 1 MiB').map((write, round) => (write + (reads[round] ?? 0)) / 2)
    samples[transport] = ratiosBetween(
      ours,
      streams.map(({ cpuSecondsPerGiB }) => cpuSecondsPerGiB),
    )
  }
  return { samples }
}

/** `writeAt` and `readAt` of 1 MiB against the same calls of a file handle without ranks. */
export async function layer(context: MeasureContext): Promise<Found> {
  await using stage = await Stage.start({ ranks: 1, iods: 1, transport: 'unix' })
  const count = context.smoke ? 4 : 64
  const path = '/layer'
  const file = await stage.open(path, shapeOf(1, MIB, count * MIB), OVER_THE_WIRE)
  await file.verify(['independent'])
  const order = { path, bytes: MIB, count } as const
  await stage.time('nativeMove', { ...order, kind: 'write', verify: true })
  const ratio = (kind: 'write' | 'read') => async () => {
    const [times] = await stage.run('layers', { ...order, kind, verify: false })
    return times === undefined ? Number.NaN : times.native / times.file
  }
  const cold: Record<string, number> = {}
  for (const kind of context.smoke ? [] : KINDS) {
    cold[kind] = await ratio(kind)()
    for (let calls = count; calls < WARM_UP.bytes / MIB; calls += count) await ratio(kind)()
  }
  const samples = await inTurn(context, { write: ratio('write'), read: ratio('read') })
  await file.close()
  return { samples, cold }
}

// Verifies all, makes them warm, then writes, reads and streams in turn.
async function besideStream(
  stage: Stage,
  all: readonly Streamed[],
  context: MeasureContext,
  others: Readonly<Record<string, () => Promise<BareStretch>>> = {},
): Promise<StreamRounds> {
  const files = new Map<Streamed, ShapedFile>()
  const first: Record<string, number> = {}
  for (const [index, streamed] of all.entries()) {
    const { name, shape, info, how } = streamed
    const file = await stage.open(`/${index} ${name}`, shape, info)
    await file.verify([how])
    files.set(streamed, file)
  }
  const warmed = [...files].flatMap(([{ name, shape, how }, file]) =>
    KINDS.map((kind) => {
      const about = { file, shape, kind, how, bytes: STREAM_WARM_UP_BYTES } as const
      return { name: `${kind} ${name}`, ...about }
    }),
  )
  if (!context.smoke)
    for (const [i, { MiBps }] of (await warmUp(warmed)).entries())
      first[warmed[i]?.name ?? ''] = MiBps
  const total = context.smoke ? 16 * MIB : STREAM_BYTES
  const cases = [...files].flatMap(([{ name, how, passes = 1 }, file]) =>
    KINDS.map((kind) => {
      return [`${kind} ${name}`, async () => await file.move(kind, how, { passes })] as const
    }),
  )
  const found = await inTurn<Record<string, Stretch | StreamFigures | BareStretch>>(context, {
    ...Object.fromEntries(cases),
    ...Object.fromEntries(Object.entries(others).map(([name, run]) => [BARE + name, run])),
    stream: async () => await context.peers.stream('tcp', MIB, total),
  })
  for (const file of files.values()) await file.close()
  const { stream, ...rest } = found
  const streams = (stream ?? []) as readonly StreamFigures[]
  const named = (isBare: boolean): [string, readonly unknown[]][] =>
    Object.entries(rest)
      .filter(([name]) => name.startsWith(BARE) === isBare)
      .map(([name, values]) => [isBare ? name.slice(BARE.length) : name, values])
  const stretches = Object.fromEntries(named(false)) as Record<string, readonly Stretch[]>
  const bare = Object.fromEntries(named(true)) as Record<string, readonly BareStretch[]>
  const ratesOf = (some: readonly StreamFigures[]): number[] => some.map(({ MiBps }) => MiBps)
  const rates = Object.entries(stretches).map(([name, some]) => [name, ratesOf(some)] as const)
  const ratios = rates.map(([name, ours]) => [name, ratiosBetween(ours, ratesOf(streams))] as const)
  const usual = spreadOf(ratesOf(streams)).median
  const cold = Object.entries(first).map(([name, rate]) => [name, rate / usual] as const)
  return {
    ratios: Object.fromEntries(ratios),
    rates: Object.fromEntries(rates),
    cold: Object.fromEntries(cold),
    stretches,
    streams,
    bare,
  }
}

function shapeOf(ranks: number, transferSize: number, span: number): Shape {
  return iorShared({ ranks, transferSize, calls: Math.max(1, span / transferSize) })
}
