// PVFS's experiment of 2000: iods behind links of 100 Mbit, so that links and not this machine are the limit. How much of the
// sum of all links do clients get, who write and read one striped file together? `npm run bench:links`, as root.
import { fileURLToPath } from 'node:url'
import { MIB, spreadOf } from './support/figures.js'
import {
  type Congestion,
  CONGESTIONS,
  inOwnNetwork,
  LinkedCluster,
  linksMissing,
  makeHub,
} from './support/links.js'
import {
  flagOption,
  type OptionValues,
  sizeOption,
  stripOption,
  wordOption,
} from './support/options.js'
import { inTurn, ratiosBetween, type Rounds } from './support/rounds.js'
import { iorShared } from './support/shapes.js'
import { type Row, Sheet, type SheetOptions, sheetOptions } from './support/sheet.js'
import { OVER_THE_WIRE, Stage } from './support/stage.js'
import { verdictOf } from './support/statistics.js'
import { Striper } from './support/striper.js'

/** Set where this runs a second time, within its own network. */
const INSIDE = 'RANKIO_BENCH_LINKS'

/** One call moves at most so much: buffers of 24 clients have room on a small machine. */
const CALL_BYTES_MAX = 64 * MIB

/**
 * Rounds before those that count: until it has moved some 100 MiB a process compiles its code, and 48 of them on two processors
 * leave links idle meanwhile.
 */
const WARM_UPS = 3

/** What a link carries, in bytes a second and bit of its rate. */
const BYTES_PER_MBIT = 1e6 / 8

/** How many iods, and how many clients, there are in the whole grid. */
const SIDES = [1, 2, 4, 8, 16, 24] as const

/** Iods and clients, where not the whole grid is asked for. */
const POINTS: readonly (readonly [number, number])[] = [
  [1, 1],
  [2, 2],
  [4, 4],
  [8, 8],
  [16, 16],
  [24, 24],
  [24, 1],
  [1, 24],
]

/** Of the sum of all links, by the number of iods. */
const BOUNDS: Readonly<Record<number, { readonly pass: number; readonly goal: number }>> = {
  8: { pass: 0.92, goal: 0.94 },
  24: { pass: 0.88, goal: 0.94 },
}

const missing = linksMissing()
if (missing !== undefined) console.log(`links: skipped, ${missing}`)
else if (process.env[INSIDE] === undefined)
  process.exitCode = await inOwnNetwork(fileURLToPath(import.meta.url), process.argv.slice(2), {
    ...process.env,
    [INSIDE]: '1',
  })
else await measureAll(sheetOptions())

async function measureAll(options: SheetOptions): Promise<void> {
  const { values, smoke } = options
  const mbit = sizeOption(values, 'mbit', 100)
  const perIod = sizeOption(values, 'bytes', smoke ? 2 * MIB : 32 * MIB)
  const most = sizeOption(values, 'iods', smoke ? 2 : 24)
  const stripSize = stripOption(values, 'stripSize')
  const congestion = wordOption(values, 'congestion', CONGESTIONS)
  const head = { mbit, 'MiB an iod': perIod / MIB, stripSize, congestion }
  const sheet = new Sheet('links', options, head)
  makeHub(congestion)
  for (const [iods, clients] of pointsOf(values, most)) {
    const rows = await measure({ iods, clients, mbit, perIod, stripSize, congestion }, options)
    sheet.table(`${iods} iods, ${clients} clients`, rows)
  }
  sheet.note('Of a link of 100 Mbit, 95.6 % carry data: TCP, IP and Ethernet have the rest.')
  sheet.end()
}

// All up to a number of iods; with a number of clients, that one alone.
function pointsOf(values: OptionValues, most: number): readonly (readonly [number, number])[] {
  if (values.has('tasks')) return [[most, sizeOption(values, 'tasks', most)]]
  const grid = SIDES.flatMap((iods) => SIDES.map((clients) => [iods, clients] as const))
  const points = flagOption(values, 'grid') ? grid : POINTS
  return points.filter((point) => Math.max(...point) <= most)
}

interface Point {
  readonly iods: number
  readonly clients: number
  readonly mbit: number
  readonly perIod: number
  readonly stripSize: number
  readonly congestion: Congestion
}

async function measure(
  point: Point,
  { rounds, smoke }: SheetOptions,
): Promise<Record<string, Row>> {
  const { iods, clients, mbit, perIod, stripSize, congestion } = point
  const cluster = await LinkedCluster.start({ iods, mbit, congestion })
  try {
    await using stage = await Stage.start({ ranks: clients, iods, transport: 'tcp', cluster })
    const share = Math.ceil((perIod * iods) / clients)
    const calls = Math.ceil(share / CALL_BYTES_MAX)
    const transferSize = Math.ceil(share / calls)
    const shape = iorShared({ ranks: clients, calls, transferSize })
    const info = { ...OVER_THE_WIRE, striping_factor: iods, striping_unit: stripSize }
    const file = await stage.open('/links', shape, info)
    await file.verify(['independent'])
    await using raw = await Striper.start(cluster, cluster.directory, {
      clients,
      calls,
      transferSize,
    })
    const ours = (kind: Kind) => async (): Promise<number> =>
      (await file.move(kind, 'independent')).MiBps * MIB
    const theirs = (kind: Kind) => async (): Promise<number> => await raw.move(kind)
    const warmUps = smoke ? 0 : WARM_UPS
    const rates = await inTurn(
      { rounds, warmUps },
      {
        write: ours('write'),
        read: ours('read'),
        'raw sockets, write': theirs('write'),
        'raw sockets, read': theirs('read'),
      },
    )
    await file.close()
    return rowsOf(rates, iods * mbit * BYTES_PER_MBIT, iods)
  } finally {
    await cluster.close()
  }
}

type Kind = 'write' | 'read'
/** Bytes a second, by round. */
type Rates = Rounds<Record<Kind | `raw sockets, ${Kind}`, number>>

function rowsOf(rates: Rates, sum: number, iods: number): Record<string, Row> {
  const row = (each: readonly number[]): Row => {
    return { 'MB/s': each.map((rate) => rate / 1e6), 'of the links': partsOf(each, sum) }
  }
  const ours = (kind: Kind): Row => {
    const raw = ratiosBetween(rates[kind], rates[`raw sockets, ${kind}`])
    const own = { ...row(rates[kind]), '÷ raw sockets': raw }
    const verdict = verdictFor(partsOf(rates[kind], sum), iods)
    return verdict === undefined ? own : { ...own, verdict }
  }
  const raw = (kind: Kind): Row => row(rates[`raw sockets, ${kind}`])
  return {
    write: ours('write'),
    read: ours('read'),
    'raw sockets, write': raw('write'),
    'raw sockets, read': raw('read'),
  }
}

function partsOf(rates: readonly number[], sum: number): number[] {
  return rates.map((rate) => rate / sum)
}

// Undefined where nothing is wanted of so many iods.
function verdictFor(parts: readonly number[], iods: number): string | undefined {
  const bounds = BOUNDS[iods]
  return bounds === undefined
    ? undefined
    : verdictOf(spreadOf(parts).median, { ...bounds, better: 'more' })
}
