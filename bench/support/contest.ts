// One shape, written and read in several ways and by peers, in turn and in one run: the body of most benches.
import type { Info } from '../../lib/file/hints.js'
import { MIB } from './figures.js'
import { Folder } from './folder.js'
import type { Peers } from './peers.js'
import { inTurn, ratiosBetween, type RoundOptions } from './rounds.js'
import { bytesOf, dataBytesOf, requestsOf, type Shape } from './shapes.js'
import type { Row, Sheet } from './sheet.js'
import type { Transport } from './targets.js'
import { OVER_THE_WIRE, type ShapedFile, type Stage } from './stage.js'
import type { How } from './tasks/move.js'
import { warmUp } from './warm-up.js'

/** MiB/s of one pass each way. */
export interface Rates {
  readonly write: number
  readonly read: number
  /** CPU seconds a GiB of clients and servers; of peers, only where they tell. */
  readonly cpu?: number
}

/** A way of ours to carry out a shape. */
export interface Way {
  readonly label: string
  readonly how: How
  /** Hints that differ from the automatic choice over the wire. */
  readonly info?: Info
}

/** What takes part. */
export interface Contest {
  readonly stage: Stage
  readonly shape: Shape
  /** Hints of the file. */
  readonly info: Info
  /** The naive way comes first. */
  readonly ways: readonly Way[]
  /** MPI-IO on a local directory, as it is asked. */
  readonly romio: readonly ('independent' | 'collective')[]
  /** Whether a C stream over TCP runs beside, and a copy of as much from memory to memory. */
  readonly withStream: boolean
  /** Whether C takes part, for comparison, that sends over unix sockets and has no file. */
  readonly withUnixC?: boolean
  /** A way of a call a piece is left out where it would make more calls than so many. */
  readonly requestsMax?: number
  /** How often a round moves the shape, naive ways aside; more than once where one time is too short to measure. */
  readonly passes?: number
  /** Where given, our ways are made warm before the rounds, and this takes the first pass of each, by its label. */
  readonly cold?: Map<string, Rates> | undefined
  /** How many bytes make them warm, instead of those of `WARM_UP`. */
  readonly warmBytes?: number
}

/** A pass takes a second or two of calls for single pieces; what is slower by so much need not be seen longer. */
const REQUESTS_MAX = 20_000

/** The name of that C. */
export const UNIX_C = 'C over unix sockets'

/** Trips there and back of which the time of a ping is the mean. */
const UNIX_C_PINGS = 2000

/** MiB/s of each way and peer, by round. */
export type Outcome = Readonly<Record<string, readonly Rates[]>>

/** Verifies every way, then measures all in turn. */
export async function contestOf(
  contest: Contest,
  peers: Peers,
  rounds: RoundOptions,
): Promise<Outcome> {
  const { stage, shape, info } = contest
  const { requestsMax = REQUESTS_MAX, passes: perRound = 1 } = contest
  const ways = contest.ways.filter(
    ({ how }) => how !== 'pieces' || requestsOf(shape) <= requestsMax,
  )
  using folder = new Folder('contest')
  const file = await stage.open(`/${shape.name}`, shape, info)
  try {
    for (const way of ways) await file.verify([way.how], hintsOf(way))
    if (contest.cold !== undefined)
      for (const way of ways) contest.cold.set(way.label, await firstRates(file, way, contest))
    const cases: Record<string, () => Promise<Rates>> = {}
    for (const way of ways)
      cases[way.label] = async () => {
        const { how } = way
        const passes = how === 'pieces' ? 1 : perRound
        return await ratesOf(file, how, { info: hintsOf(way), passes })
      }
    if (contest.withStream && peers.streamMissing === undefined) {
      cases['C stream, tcp'] = async () => await streamRates(peers, shape)
      cases['memcpy'] = async () => await copyRates(peers, shape)
    }
    if (contest.withUnixC === true && peers.streamMissing === undefined)
      cases[UNIX_C] = async () => await unixCRates(peers, shape)
    for (const how of peers.romioMissing === undefined ? contest.romio : [])
      cases[`ROMIO, ${how}`] = async () => {
        const { writeMiBps, readMiBps } = await peers.romio({
          shape,
          how,
          directory: folder.path,
          passes: perRound,
        })
        return { write: writeMiBps, read: readMiBps }
      }
    return await inTurn(rounds, cases)
  } finally {
    await file.close()
  }
}

/** The tables of an outcome: rates and CPU, then each way of ours against the first one and against each peer. */
export function printContest(
  sheet: Sheet,
  title: string,
  outcome: Outcome,
  { contest, peers }: { readonly contest: Contest; readonly peers: Peers },
): void {
  sheet.table(title, Object.fromEntries(Object.entries(outcome).map(ratesRow)))
  const ways = contest.ways.map(({ label }) => label).filter((label) => label in outcome)
  const others = Object.keys(outcome).filter((name) => !ways.includes(name))
  const pairs = [
    ...ways.slice(1).map((way) => [way, ways[0] ?? ''] as const),
    ...ways.flatMap((way) => others.map((other) => [way, other] as const)),
  ]
  const rows = pairs.map(([ours, theirs]): [string, Row] => [
    `${ours} ÷ ${theirs}`,
    { write: ratios(outcome, ours, theirs, 'write'), read: ratios(outcome, ours, theirs, 'read') },
  ])
  if (rows.length > 0) sheet.table('ratios', Object.fromEntries(rows))
  for (const missing of [peers.streamMissing, peers.romioMissing])
    if (missing !== undefined) sheet.note(`left out: ${missing}`)
}

function ratesRow([name, rates]: readonly [string, readonly Rates[]]): [string, Row] {
  const cpus = rates.flatMap(({ cpu }) => cpu ?? [])
  return [
    name,
    {
      'write MiB/s': rates.map(({ write }) => write),
      'read MiB/s': rates.map(({ read }) => read),
      'CPU-s/GiB': cpus.length > 0 ? cpus : '',
    },
  ]
}

/** The ratios of two cases by round. */
export function ratios(
  outcome: Outcome,
  ours: string,
  theirs: string,
  kind: 'write' | 'read',
): number[] {
  const rates = (name: string): number[] => (outcome[name] ?? []).map((each) => each[kind])
  return ratiosBetween(rates(ours), rates(theirs))
}

async function ratesOf(
  file: ShapedFile,
  how: How,
  options: { readonly info: Info; readonly passes: number },
): Promise<Rates> {
  const write = await file.move('write', how, options)
  const read = await file.move('read', how, options)
  const cpu = (write.cpuSecondsPerGiB + read.cpuSecondsPerGiB) / 2
  return { write: write.MiBps, read: read.MiBps, cpu }
}

async function firstRates(
  file: ShapedFile,
  way: Way,
  { shape, passes = 1, warmBytes }: Contest,
): Promise<Rates> {
  const about = { file, shape, how: way.how, info: hintsOf(way), passes, bytes: warmBytes }
  const kinds = ['write', 'read'] as const
  const [write, read] = await warmUp(kinds.map((kind) => ({ ...about, kind })))
  return { write: write?.MiBps ?? Number.NaN, read: read?.MiBps ?? Number.NaN }
}

/** A stream has one direction: its rate stands for both. */
export async function streamRates(peers: Peers, shape: Shape): Promise<Rates> {
  const { bytes, total } = messagesOf(shape)
  const { MiBps, cpuSecondsPerGiB } = await peers.stream('tcp', bytes, total)
  return { write: MiBps, read: MiBps, cpu: cpuSecondsPerGiB }
}

async function copyRates(peers: Peers, shape: Shape): Promise<Rates> {
  const { bytes, total } = messagesOf(shape)
  const MiBps = await peers.copy(bytes, total)
  return { write: MiBps, read: MiBps }
}

function messagesOf(shape: Shape): { readonly bytes: number; readonly total: number } {
  return {
    bytes: Math.min(16 * MIB, dataBytesOf(shape.of(0).file)),
    total: Math.max(64 * MIB, Math.min(256 * MIB, bytesOf(shape))),
  }
}

/**
 * For comparison, from what C programs take over a unix socket. Of a write: all bytes through one socket, a request there
 * and back, and an exchange before and after it, each of one way. Of a read the exchange after it alone.
 */
async function unixCRates(peers: Peers, shape: Shape): Promise<Rates> {
  const { calls } = shape.of(0)
  const { bytes, total } = messagesOf(shape)
  const stream = await peers.stream('unix', Math.min(MIB, bytes), total)
  const ping = (await peers.ping('unix', 64, UNIX_C_PINGS)) / 1e6
  const size = bytesOf(shape) / MIB
  return {
    write: size / (size / stream.MiBps + 2 * calls * ping),
    read: size / ((calls * ping) / 2),
  }
}

/** The hints of a way. What one way has set stays with the file: each sets all. */
export function hintsOf({ info }: Way): Info {
  return { ...MANUAL.automatic, ...info }
}

/** The ways of a program, as they are by default. */
export const WAYS = {
  pieces: { label: 'a call a piece', how: 'pieces' },
  independent: { label: 'independent', how: 'independent' },
  collective: { label: 'collective', how: 'collective' },
  fenced: { label: 'independent, between barriers', how: 'fenced' },
  direct: { label: 'around the iods', how: 'independent', info: { rankio_direct: 'rw' } },
} as const satisfies Readonly<Record<string, Way>>

/** The ways, and apart from them the one around the iods, where client and iods are on one host and know it. */
export function waysOver(transport: Transport, ...ways: readonly Way[]): readonly Way[] {
  return transport === 'unix' ? [...ways, WAYS.direct] : ways
}

/** Hints under which we do as told instead of choosing; nothing goes around the iods. */
export const MANUAL = {
  twoPhase: { ...OVER_THE_WIRE, romio_cb_write: 'enable', romio_cb_read: 'enable' },
  list: {
    ...OVER_THE_WIRE,
    romio_cb_write: 'disable',
    romio_cb_read: 'disable',
    romio_ds_read: 'disable',
  },
  sieving: {
    ...OVER_THE_WIRE,
    romio_cb_write: 'disable',
    romio_cb_read: 'disable',
    romio_ds_read: 'enable',
  },
  automatic: {
    ...OVER_THE_WIRE,
    romio_cb_write: 'automatic',
    romio_cb_read: 'automatic',
    romio_ds_read: 'automatic',
  },
} as const satisfies Readonly<Record<string, Info>>
