// PVFS's experiment of 2000: iods behind links of 100 Mbit, so that links and not this machine are the limit. How much of the
// sum of all links do clients get, who write and read one striped file together? `npm run bench:links`, as root.
import { fileURLToPath } from 'node:url'
import { MIB, spreadOf } from './support/figures.js'
import { inOwnNetwork, LinkedCluster, linksMissing, makeHub } from './support/links.js'
import { type OptionValues, sizeOption } from './support/options.js'
import { iorShared } from './support/shapes.js'
import { type Row, Sheet, type SheetOptions, sheetOptions } from './support/sheet.js'
import { OVER_THE_WIRE, Stage } from './support/stage.js'
import { verdictOf } from './support/statistics.js'

/** Set where this runs a second time, within its own network. */
const INSIDE = 'RANKIO_BENCH_LINKS'

/** One call moves at most so much: buffers of 24 clients have room on a small machine. */
const CALL_BYTES_MAX = 64 * MIB

/** What a link carries, in bytes a second and bit of its rate. */
const BYTES_PER_MBIT = 1e6 / 8

/** Iods and clients. */
const POINTS = [
  [1, 1],
  [2, 2],
  [4, 4],
  [8, 8],
  [16, 16],
  [24, 24],
  [24, 1],
  [1, 24],
] as const

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
  const stripSize = sizeOption(values, 'stripSize', 64 * 1024)
  const sheet = new Sheet('links', options, { mbit, 'MiB an iod': perIod / MIB, stripSize })
  makeHub()
  for (const [iods, clients] of pointsOf(values, most)) {
    const rows = await measure({ iods, clients, mbit, perIod, stripSize }, options)
    sheet.table(`${iods} iods, ${clients} clients`, rows)
  }
  sheet.note('Of a link of 100 Mbit, 95.6 % carry data: TCP, IP and Ethernet have the rest.')
  sheet.end()
}

// All up to a number of iods; with a number of clients, that one alone.
function pointsOf(values: OptionValues, most: number): readonly (readonly [number, number])[] {
  if (values.has('tasks')) return [[most, sizeOption(values, 'tasks', most)]]
  return POINTS.filter((point) => Math.max(...point) <= most)
}

interface Point {
  readonly iods: number
  readonly clients: number
  readonly mbit: number
  readonly perIod: number
  readonly stripSize: number
}

async function measure(point: Point, { rounds }: SheetOptions): Promise<Record<string, Row>> {
  const { iods, clients, mbit, perIod, stripSize } = point
  const cluster = await LinkedCluster.start({ iods, mbit })
  try {
    await using stage = await Stage.start({ ranks: clients, iods, transport: 'tcp', cluster })
    const share = Math.ceil((perIod * iods) / clients)
    const calls = Math.ceil(share / CALL_BYTES_MAX)
    const shape = iorShared({ ranks: clients, calls, transferSize: Math.ceil(share / calls) })
    const info = { ...OVER_THE_WIRE, striping_factor: iods, striping_unit: stripSize }
    const file = await stage.open('/links', shape, info)
    await file.verify(['independent'])
    const sum = iods * mbit * BYTES_PER_MBIT
    const rates = { write: [] as number[], read: [] as number[] }
    for (let round = 0; round < rounds; round++)
      for (const kind of ['write', 'read'] as const)
        rates[kind].push((await file.move(kind, 'independent')).MiBps * MIB)
    await file.close()
    return { write: rowOf(rates.write, sum, iods), read: rowOf(rates.read, sum, iods) }
  } finally {
    await cluster.close()
  }
}

function rowOf(rates: readonly number[], sum: number, iods: number): Row {
  const parts = rates.map((rate) => rate / sum)
  const bounds = BOUNDS[iods]
  const verdict =
    bounds === undefined
      ? ''
      : verdictOf(spreadOf(parts).median, { ...bounds, better: 'more' as const })
  return { 'MB/s': rates.map((rate) => rate / 1e6), 'of the links': parts, verdict }
}
