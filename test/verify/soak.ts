// `npm run verify:soak`: ranks that write and read together on a cluster of processes, while iods, the manager and ranks are
// killed, paused and started again every few seconds. All that the ranks did is looked at; in the end nothing may be left.
//
//   -- [--minutes 3] [--seed S]
//
// Without --seed it is one of the commit.

import { until } from '../support/assertions.js'
import { Options } from '../support/options.js'
import { Random } from '../support/random.js'
import { Arena, SERVERS } from './load/arena.js'
import { grownDescriptors, isLevel, median } from './load/descriptors.js'
import { Job, RANKS } from './load/job.js'
import { applicationErrors } from './load/judge.js'
import { Thrasher } from './load/thrasher.js'
import { seedOfRun } from './seed.js'
import { SHORT_TIMES } from './times.js'

/** Files that all ranks share, and cells of each: 4 MiB. */
const FILES = 4
const CELLS = 256

/** Jobs on the same files: then they are read as a whole, removed, and made anew. */
const JOBS_OF_FILES = 6

/** A job whose ranks nobody kills ends by itself after so many milliseconds, at most. */
const JOB_MS = 20_000

/** One fail-over in 3.6 s: 50 in three minutes. */
const FAIL_OVER_MS = 3_600

const options = new Options('verify:soak', { minutes: 'value', seed: 'value' })
const minutes = options.amount('minutes', 3)
const seed = seedOfRun(options.seed())
const random = new Random(seed)
await using arena = await Arena.start(SHORT_TIMES)

let jobs = 0
let killed = 0
let current: Job | undefined
const names = Array.from({ length: FILES }, (_, index) => `/shared-${index}`)
const samples = SERVERS.map((): number[] => [])

// Once in peace: what servers hold when a job has come and gone is what they may hold in the end.
await play(0)
await arena.quiet()
await lookAndRemove()
await arena.quiet()
const baseline = arena.descriptors()

const end = performance.now() + minutes * 60_000
const thrasher = new Thrasher(arena, random.fork(), () => current)
thrasher.start(sample)
while (performance.now() < end) {
  // One job after the other, as a user would start them.
  await play(random.int(JOB_MS / 4, JOB_MS))
  if (jobs % JOBS_OF_FILES === 0) await lookAndRemove()
}
await thrasher.stop().catch((error: unknown) => arena.fail([`a server: ${String(error)}`]))
await play(0)
await lookAndRemove()
await arena.quiet()
await arena.fsck()
await lookAtDescriptors()
lookAtMemory()
if (thrasher.failOvers < (minutes * 60_000) / FAIL_OVER_MS)
  arena.fail([`only ${thrasher.failOvers} fail-overs in ${minutes} minutes`])
report()

// One job, told to end so many milliseconds after its start.
async function play(ms: number): Promise<void> {
  const first = arena.failures.length
  const about = { names, firstFile: 0, cells: CELLS, seed: random.u32(), timing: SHORT_TIMES }
  const task = { ...about, work: 'mixed', firstWriter: 1 + jobs * RANKS } as const
  await using job = new Job(arena.cluster.url, `soak-${process.pid}-${jobs}`, task)
  jobs++
  await job.ready()
  current = job
  const jobEnd = performance.now() + ms
  const isOver = (): boolean => performance.now() >= jobEnd || job.killed !== undefined
  await until(() => isOver() || job.hasFailed, ms + 60_000)
  current = undefined
  const ends = await job.end()
  if (job.killed !== undefined) killed++
  arena.fail(applicationErrors(job.killed, ends))
  arena.check(job.events())
  if (arena.failures.length > first) console.log(`in job ${jobs}, seed ${seed}`)
}

async function lookAndRemove(): Promise<void> {
  await arena.readAll(names, 0, CELLS)
  await arena.removeAll()
}

function sample(): void {
  const memory = arena.memory()
  for (const [index, server] of SERVERS.entries()) {
    const bytes = memory.get(server)
    if (bytes !== undefined) samples[index]?.push(bytes)
  }
}

// A connection that is ending may be there for a moment.
async function lookAtDescriptors(): Promise<void> {
  let grown: string[] = []
  const isBack = (): boolean => {
    const after = arena.descriptors()
    grown = SERVERS.flatMap((server, index) =>
      grownDescriptors(baseline[index] ?? [], after[index] ?? []).map((one) => `${server}: ${one}`),
    )
    return grown.length === 0
  }
  await until(isBack, 30_000).catch(() => {
    arena.fail([`descriptors that are left: ${grown.join(', ')}`])
  })
}

function lookAtMemory(): void {
  for (const [index, server] of SERVERS.entries()) {
    const series = samples[index] ?? []
    const [first, last] = [series.slice(0, series.length / 3), series.slice(-series.length / 3)]
    const text = [first, last].map((part) => `${Math.round(median(part) / 2 ** 20)} MiB`)
    console.log(`memory of ${server}: ${text.join(' at first, ')} in the end`)
    if (!isLevel(series)) arena.fail([`the memory of ${server} grows: ${text.join(', ')}`])
  }
}

function report(): void {
  for (const [deed, count] of thrasher.counts) console.log(`${String(count).padStart(5)} × ${deed}`)
  const { writes, acknowledged, cellsRead } = arena.sums
  console.log(
    `${jobs} jobs, ${killed} of them with a rank killed, ${thrasher.failOvers} fail-overs`,
  )
  console.log(
    `${writes} writes, ${acknowledged} acknowledged; ${cellsRead} cells read; seed ${seed}`,
  )
  const failed = arena.failures.length
  console.log(`${jobs - Math.min(jobs, failed)} passed, ${failed} failed`)
  if (failed > 0) process.exitCode = 1
}
