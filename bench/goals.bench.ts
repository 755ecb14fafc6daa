// Are the goals of the data path met? One client and one iod against a raw Node socket pair, small
// reads against a ping, memory against what has passed through, small strips against a message a strip.
// Prints pass or short for each; a short one is a figure, not a failure. What each row is stands in README.md.
import { createHistogram } from 'node:perf_hooks'
import type { Communicator } from '../lib/comm/communicator.js'
import { clientOf } from '../lib/file/clients.js'
import { COMMON } from '../lib/protocol/hello.js'
import type { Link } from '../lib/transport/link.js'
import { type Cluster, startCluster } from '../servers/cluster.js'
import {
  GIB,
  machine,
  MIB,
  numberText,
  ratiosOf,
  type Spread,
  spreadOf,
  spreadText,
  tableLines,
} from './support/figures.js'
import { keptAwake } from './support/awake.js'
import { Folder } from './support/folder.js'
import { flagOption, optionValues, sizeOption } from './support/options.js'
import { checkTransfer, fillTransfer, spoil } from './support/pattern.js'
import { Ranks, type RanksPlan } from './support/run.js'
import { OVER_THE_WIRE } from './support/stage.js'
import {
  LocalTarget,
  RankioTarget,
  rankOver,
  SocketTarget,
  startSocketPeer,
  type Target,
  type Transport,
} from './support/targets.js'
import { memoryOf } from './support/usage.js'

/** One row of the table. */
interface Measure {
  readonly name: string
  readonly value: Spread
  readonly unit: string
  /** Undefined for what only stands beside. */
  readonly goal?: { readonly atLeast: number } | { readonly atMost: number }
  /** The figures behind a ratio. */
  readonly note: string
}

const options = optionValues()
const isSmoke = flagOption(options, 'smoke')
const isJson = flagOption(options, 'json')

/** Alternations of ours and theirs. */
const ROUNDS = sizeOption(options, 'rounds', isSmoke ? 1 : 7)

/** 64 MiB that are written and read again and again: more than any cache of a processor. */
const SPAN_BYTES = sizeOption(options, 'span', isSmoke ? 16 * MIB : 64 * MIB)

/** What goes through an iod before its memory is looked at, each way. */
const THROUGH_BYTES = sizeOption(options, 'through', isSmoke ? 64 * MIB : 4 * GIB)

/** What a rank streams, at first and in the end. */
const STREAM_BYTES = isSmoke ? [MIB, 16 * MIB] : [64 * MIB, GIB]

/** Calls of one round of latencies. */
const SMALL_CALLS = isSmoke ? 20 : 1000

const SMALL_BYTES = 4096

const STRIP_BYTES = 4096

const STRIP_IODS = 4

const NANOSECONDS_PER_US = 1000

const folder = new Folder('goals')
const measures: Measure[] = []
try {
  printHead()
  for (const part of [rates, latencies, iodMemory, rankMemory, smallStrips])
    for (const measure of await part()) report(measure)
  if (isJson) console.log(JSON.stringify({ suite: 'goals', ...machine(), results: measures }))
} finally {
  folder[Symbol.dispose]()
}

/** 1 MiB and 16 MiB against a raw socket pair. */
async function rates(): Promise<Measure[]> {
  await using cluster = await startCluster({ iods: 1 })
  await using peer = await startSocketPeer(folder.at('peer'))
  await using tcp = await rankOver('tcp', cluster.url)
  await using unix = await rankOver('unix', cluster.url)
  const targets = [
    new RankioTarget(tcp, '/rates', OVER_THE_WIRE),
    new SocketTarget(peer.at),
    new RankioTarget(unix, '/rates-unix', OVER_THE_WIRE),
    new LocalTarget(folder.at('local')),
  ]
  const found: Measure[] = []
  await opened(targets, async () => {
    for (const [bytes, least] of [
      [MIB, { write: 0.45, read: 0.45 }],
      [16 * MIB, { write: 0.45, read: 0.35 }],
    ] as const) {
      for (const target of targets) await verify(target, bytes)
      const { write, read } = await alternate(targets, bytes)
      found.push(...rows(`${bytes / MIB} MiB write`, write, least.write))
      found.push(...rows(`${bytes / MIB} MiB read`, read, least.read))
    }
  })
  return found
}

function rows(
  name: string,
  [ours = [], raw = [], unix = [], local = []]: readonly number[][],
  least: number,
): Measure[] {
  const rate = (values: readonly number[]): string => `${numberText(spreadOf(values).median)} MiB/s`
  return [
    {
      name: `${name}, tcp : raw socket pair`,
      value: ratiosOf(ours, raw),
      unit: '×',
      goal: { atLeast: least },
      note: `${rate(ours)} : ${rate(raw)}`,
    },
    {
      name: `${name}, unix : tcp`,
      value: ratiosOf(unix, ours),
      unit: '×',
      note: `${rate(unix)} : ${rate(ours)}`,
    },
    {
      name: `${name}, tcp : local file`,
      value: ratiosOf(ours, local),
      unit: '×',
      note: `${rate(ours)} : ${rate(local)}`,
    },
  ]
}

/** MiB/s of each round by target: `write[target][round]`. */
async function alternate(
  targets: readonly Target[],
  bytes: number,
): Promise<{ write: number[][]; read: number[][] }> {
  const write: number[][] = targets.map(() => [])
  const read: number[][] = targets.map(() => [])
  const buffer = new Uint8Array(bytes).fill(7)
  for (let round = 0; round < ROUNDS; round++)
    for (let turn = 0; turn < targets.length; turn++) {
      // Another one first each time: what runs before leaves caches and the disk as it likes.
      const index = (turn + round) % targets.length
      const target = targets[index]
      if (target === undefined) continue
      write[index]?.push(await rateOf(bytes, async (offset) => await target.write(offset, buffer)))
      read[index]?.push(await rateOf(bytes, async (offset) => await target.read(offset, buffer)))
    }
  return { write, read }
}

async function rateOf(bytes: number, call: (offset: number) => Promise<void>): Promise<number> {
  const startMs = performance.now()
  for (let offset = 0; offset < SPAN_BYTES; offset += bytes) await call(offset)
  return SPAN_BYTES / MIB / ((performance.now() - startMs) / 1000)
}

/** 4 KiB at a time against the ping of the same connection. */
async function latencies(): Promise<Measure[]> {
  await using cluster = await startCluster({ iods: 1 })
  const p50s = {
    tcp: { ping: [] as number[], read: [] as number[] },
    unix: { ping: [] as number[], read: [] as number[] },
  }
  await using tcp = await smallReader(cluster, 'tcp')
  await using unix = await smallReader(cluster, 'unix')
  // The first calls of a process are not like the others: the compiler has not seen them.
  for (const { read, ping } of [tcp, unix]) for (const call of [read, ping]) await p50Of(call)
  await using _ = await keptAwake()
  for (let round = 0; round < ROUNDS; round++)
    for (const [name, { read, ping }] of [
      ['tcp', tcp],
      ['unix', unix],
    ] as const) {
      p50s[name].ping.push(await p50Of(ping))
      p50s[name].read.push(await p50Of(read))
    }
  const us = (values: readonly number[]): string => `${numberText(spreadOf(values).median)} µs`
  const row = (name: string, ours: number[], theirs: number[], atMost?: number): Measure => ({
    name,
    value: ratiosOf(ours, theirs),
    unit: '×',
    ...(atMost === undefined ? {} : { goal: { atMost } }),
    note: `p50 ${us(ours)} : ${us(theirs)}`,
  })
  return [
    row('4 KiB read : ping, tcp', p50s.tcp.read, p50s.tcp.ping, 1.5),
    row('4 KiB read : ping, unix', p50s.unix.read, p50s.unix.ping),
    row('4 KiB read, unix : tcp', p50s.unix.read, p50s.tcp.read, 0.9),
  ]
}

interface SmallReader extends AsyncDisposable {
  readonly read: (call: number) => Promise<void>
  readonly ping: () => Promise<unknown>
}

async function smallReader(cluster: Cluster, transport: Transport): Promise<SmallReader> {
  const comm = await rankOver(transport, cluster.url)
  const target = new RankioTarget(comm, `/small-${transport}`, OVER_THE_WIRE)
  const buffer = new Uint8Array(SMALL_BYTES)
  const expected = new Uint8Array(SMALL_BYTES)
  await target.open()
  for (let call = 0; call < SMALL_CALLS; call++) {
    fillTransfer(expected, call * SMALL_BYTES, 0, 0)
    await target.write(call * SMALL_BYTES, expected)
  }
  for (let call = 0; call < SMALL_CALLS; call++) {
    fillTransfer(expected, call * SMALL_BYTES, 0, 0)
    spoil(buffer, expected)
    await target.read(call * SMALL_BYTES, buffer)
    checkTransfer(buffer, expected, `4 KiB at ${call * SMALL_BYTES}`)
  }
  const link = iodLink(comm, cluster)
  return {
    read: async (call) => await target.read(call * SMALL_BYTES, buffer),
    ping: async () => await link.control(COMMON.ping, {}),
    [Symbol.asyncDispose]: async (): Promise<void> => {
      await target.close()
      await comm.free()
    },
  }
}

/** The connection over which the files of a rank reach the only iod. */
function iodLink(comm: Communicator, cluster: Cluster): Link {
  return clientOf(comm.job, cluster.url, true).iod(0)
}

async function p50Of(call: (index: number) => Promise<unknown>): Promise<number> {
  const histogram = createHistogram()
  for (let index = 0; index < SMALL_CALLS; index++) {
    const start = process.hrtime.bigint()
    await call(index)
    histogram.record(process.hrtime.bigint() - start)
  }
  return histogram.percentile(50) / NANOSECONDS_PER_US
}

/** Memory of an iod when much has gone through it. */
async function iodMemory(): Promise<Measure[]> {
  const found: Measure[] = []
  for (const [bytes, atMost] of [
    [MIB, 128],
    [16 * MIB, 192],
  ] as const) {
    await using cluster = await startCluster({ iods: 1 })
    await using comm = await rankOver('tcp', cluster.url)
    const target = new RankioTarget(comm, '/memory', OVER_THE_WIRE)
    const rest = memoryOf(cluster.pidOf(0)).rss
    const rss: string[] = []
    await opened([target], async () => {
      await verify(target, bytes)
      const buffer = new Uint8Array(bytes)
      for (const call of ['write', 'read'] as const) {
        for (let done = 0; done < THROUGH_BYTES; done += SPAN_BYTES)
          await rateOf(bytes, async (offset) => await target[call](offset, buffer))
        rss.push(`${numberText(memoryOf(cluster.pidOf(0)).rss / MIB)} after ${call}s`)
      }
    })
    const { peak } = memoryOf(cluster.pidOf(0))
    found.push({
      name: `peak memory of the iod, ${bytes / MIB} MiB calls`,
      value: spreadOf([peak / MIB]),
      unit: 'MiB',
      goal: { atMost },
      note: `${numberText(THROUGH_BYTES / MIB)} MiB each way; ${numberText(rest / MIB)} at rest, ${rss.join(', ')}`,
    })
  }
  return found
}

/** Whether a rank that streams more needs more memory. */
async function rankMemory(): Promise<Measure[]> {
  await using cluster = await startCluster({ iods: 1 })
  const [few = 0, many = 0] = STREAM_BYTES
  const peaks: number[] = []
  const rss: number[] = []
  for (const bytes of [few, many]) {
    // A process of its own each: what the first has left behind is not the second's.
    const pattern = {
      tasks: 1,
      blockSize: MIB,
      transferSize: MIB,
      segments: bytes / MIB,
      filePerTask: false,
    }
    const plan: RanksPlan = {
      pattern,
      collective: false,
      verify: false,
      info: OVER_THE_WIRE,
      manager: cluster.url,
      transport: 'tcp',
      directory: folder.path,
      socketsAt: [],
    }
    await using ranks = await Ranks.start(plan)
    for (const action of ['open', 'fill', 'check', 'write', 'read'] as const)
      await ranks.order({ action, target: 'rankio', round: 0 })
    const [last] = await ranks.order({ action: 'close', target: 'rankio', round: 0 })
    await ranks.order({ action: 'end', target: 'rankio', round: 0 })
    peaks.push((last?.memory.peak ?? 0) / MIB)
    rss.push((last?.memory.rss ?? 0) / MIB)
  }
  const [least = 0, most = 0] = peaks
  return [
    {
      name: `peak memory of a rank, ${numberText(many / MIB)} : ${numberText(few / MIB)} MiB streamed`,
      value: spreadOf([most / least]),
      unit: '×',
      goal: { atMost: 1.25 },
      note: `peak ${numberText(most)} : ${numberText(least)} MiB; at the end ${rss.map(numberText).reverse().join(' : ')} MiB`,
    },
  ]
}

/** Calls over many strips against an awaited call for each strip. */
async function smallStrips(): Promise<Measure[]> {
  await using cluster = await startCluster({ iods: STRIP_IODS })
  await using comm = await rankOver('tcp', cluster.url)
  const target = new RankioTarget(comm, '/strips', {
    ...OVER_THE_WIRE,
    striping_unit: STRIP_BYTES,
    striping_factor: STRIP_IODS,
  })
  const rates = {
    write: { naive: [] as number[], ours: [] as number[] },
    read: { naive: [] as number[], ours: [] as number[] },
  }
  const buffer = new Uint8Array(MIB)
  const strip = buffer.subarray(0, STRIP_BYTES)
  // The naive way is slow: an eighth of the span is enough of it.
  const span = SPAN_BYTES / 8
  const timed = async (bytes: Uint8Array, call: 'write' | 'read'): Promise<number> => {
    const startMs = performance.now()
    for (let offset = 0; offset < span; offset += bytes.length) await target[call](offset, bytes)
    return span / MIB / ((performance.now() - startMs) / 1000)
  }
  await opened([target], async () => {
    await verify(target, MIB)
    for (let round = 0; round < ROUNDS; round++)
      for (const call of ['write', 'read'] as const) {
        rates[call].naive.push(await timed(strip, call))
        rates[call].ours.push(await timed(buffer, call))
      }
  })
  return (['write', 'read'] as const).map((call) => {
    const { ours, naive } = rates[call]
    const [fast, slow] = [ours, naive].map((values) => numberText(spreadOf(values).median))
    const name = `strips of 4 KiB, 4 iods, 1 MiB ${call} : a message a strip`
    return {
      name,
      value: ratiosOf(ours, naive),
      unit: '×',
      goal: { atLeast: 5 },
      note: `${fast} : ${slow} MiB/s`,
    }
  })
}

/** Before anything is timed: what a target gives back is what was written. */
async function verify(target: Target, bytes: number): Promise<void> {
  const buffer = new Uint8Array(bytes)
  const expected = new Uint8Array(bytes)
  for (let offset = 0; offset < SPAN_BYTES; offset += bytes) {
    fillTransfer(expected, offset, 0, bytes % 251)
    await target.write(offset, expected)
  }
  for (let offset = 0; offset < SPAN_BYTES; offset += bytes) {
    fillTransfer(expected, offset, 0, bytes % 251)
    spoil(buffer, expected)
    await target.read(offset, buffer)
    checkTransfer(buffer, expected, `transfer of ${bytes} bytes at ${offset}`)
  }
}

async function opened(targets: readonly Target[], body: () => Promise<void>): Promise<void> {
  for (const target of targets) await target.open()
  await body()
  for (const target of targets) await target.close()
}

function printHead(): void {
  if (isJson) return
  const { node, cpu } = machine()
  const words = [
    `rounds ${ROUNDS}`,
    `span ${numberText(SPAN_BYTES / MIB)} MiB`,
    'checksums: header only',
    `Node ${node}`,
    cpu,
  ]
  console.log(['\ngoals of the data path', ...words].join(' · '))
}

function report(measure: Measure): void {
  measures.push(measure)
  if (isJson) return
  const { name, value, unit, goal, note } = measure
  const verdict = goal === undefined ? '' : isMet(value, goal) ? 'pass' : 'SHORT'
  const [line] = tableLines([
    [
      name.padEnd(58),
      `${spreadText(value)} ${unit}`.padStart(28),
      goalText(goal).padEnd(8),
      verdict.padEnd(5),
      note,
    ],
  ])
  console.log(line)
}

function isMet({ median }: Spread, goal: NonNullable<Measure['goal']>): boolean {
  return 'atLeast' in goal ? median >= goal.atLeast : median <= goal.atMost
}

function goalText(goal: Measure['goal']): string {
  if (goal === undefined) return ''
  return 'atLeast' in goal ? `≥ ${goal.atLeast}` : `≤ ${goal.atMost}`
}
