// `npm run verify:rolling`: ranks with many files open write and read while every iod is killed and started again, one after the
// other, round by round. No program may notice anything, no file may be opened anew, and little may cost twice.
//
//   -- [--files 1000] [--rounds 10] [--seed S]

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { TIMING } from '../../lib/base/timing.js'
import { until } from '../support/assertions.js'
import { Options } from '../support/options.js'
import { Random } from '../support/random.js'
import { Arena, IODS } from './load/arena.js'
import { CELL_BYTES } from './load/cells.js'
import { median } from './load/descriptors.js'
import { Job, RANKS } from './load/job.js'
import { applicationErrors } from './load/judge.js'
import { moment } from './load/log.js'
import { iodOfFile } from './load/many-files.js'
import { type IodDeath, unacknowledgedBytes } from './load/unacknowledged.js'
import { seedOfRun } from './seed.js'

/** Cells of a file: one request of 1 MiB writes all of them. */
const CELLS = 2 ** 20 / CELL_BYTES

/** A restart may take as long as so many starts of Node that do nothing. */
const STARTS_MAX = 4

/**
 * What may be sent again, of what was not acknowledged when an iod died. Among few deaths, one write that a rank
 * begins before it has heard of the death is more than that part of all.
 */
const AGAIN_MAX = 1.05
const UNHEARD_MAX = CELLS * CELL_BYTES

/** Writes that must get through between two deaths. */
const WRITES_BETWEEN = 2 * RANKS

const options = new Options('verify:rolling', {
  files: 'value',
  rounds: 'value',
  seed: 'value',
})
const files = options.count('files', 1000)
const rounds = options.count('rounds', 10)
const seed = seedOfRun(options.seed())
const random = new Random(seed)
await using arena = await Arena.start(TIMING)
const { cluster } = arena
const names = Array.from({ length: files }, (_, index) => `/f${index}`)
const deaths: IodDeath[] = []
const restartMs: number[] = []
const emptyMs: number[] = []

const about = { names, firstFile: 0, cells: CELLS, seed: random.u32(), timing: TIMING }
const task = { ...about, work: 'many files', firstWriter: 1 } as const
await using job = new Job(cluster.url, `rolling-${process.pid}`, task)
await job.ready()
const { opens } = await arena.files.status()
if (opens !== files) arena.fail([`${opens} files are open, not ${files}`])
console.log(`${opens} files are open`)
for (let round = 0; round < rounds && !job.hasFailed; round++) {
  // Each iod alone: its neighbours go on.
  for (const iod of random.shuffle([0, 1, 2, 3])) await bounce(iod)
}
const ends = await job.end()
arena.fail(applicationErrors(undefined, ends))
const events = job.events()
arena.check(events)
await arena.readAll(names, 0, CELLS)
const { reopens } = await arena.files.status()
if (reopens > 0) arena.fail([`${reopens} files had to be opened again`])
lookAtTimes()
lookAtBytes()
await arena.removeAll()
await arena.quiet()
await arena.fsck()
const { writes, acknowledged, cellsRead } = arena.sums
console.log(`${writes} writes, ${acknowledged} acknowledged; ${cellsRead} cells read; seed ${seed}`)
console.log(`${arena.failures.length === 0 ? 1 : 0} passed, ${arena.failures.length} failed`)
if (arena.failures.length > 0) process.exitCode = 1

async function bounce(iod: number): Promise<void> {
  emptyMs.push(await startOfNode())
  await cluster.kill(iod)
  deaths.push({ iod, at: moment() })
  const begun = performance.now()
  await cluster.restart(iod)
  restartMs.push(performance.now() - begun)
  const { progress } = job
  await until(() => job.progress >= progress + WRITES_BETWEEN || job.hasFailed, TIMING.operationMs)
}

// From the start of a process to its end, of a program of nothing.
async function startOfNode(): Promise<number> {
  const begun = performance.now()
  await once(spawn(process.execPath, ['-e', '0'], { stdio: 'ignore' }), 'exit')
  return performance.now() - begun
}

function lookAtTimes(): void {
  const [restart, empty] = [median(restartMs), median(emptyMs)]
  const ratio = restart / empty
  const text = `restart to serving: median ${restart.toFixed(0)} ms, ${ratio.toFixed(2)} × the start of an empty Node process (${empty.toFixed(0)} ms)`
  console.log(text)
  if (!(ratio <= STARTS_MAX)) arena.fail([text])
}

function lookAtBytes(): void {
  const isOn = (file: number): number => iodOfFile(file, IODS)
  const unacknowledged = unacknowledgedBytes(events, deaths, isOn)
  const again = ends
    .flatMap(({ reports }) => reports)
    .reduce((sum, each) => sum + (each.kind === 'done' ? each.counts.resentBytes : 0), 0)
  const text = `${deaths.length} deaths; ${again} bytes sent again, ${unacknowledged} were not acknowledged: ${(again / unacknowledged).toFixed(3)}`
  console.log(text)
  const most = Math.max(AGAIN_MAX * unacknowledged, unacknowledged + UNHEARD_MAX)
  if (!(again <= most)) arena.fail([text])
}
