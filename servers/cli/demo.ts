// `rankio demo`: the main job on real input. A cluster of real processes, ranks that write one striped
// file together, an iod that is killed and comes back meanwhile, and a check of every byte.

import { statSync } from 'node:fs'
import { type Command, Option } from 'commander'
import { removeDeadSockets } from '../../lib/transport/rank-sockets.js'
import { IoError } from '../../lib/index.js'
import type { Cluster } from '../cluster.js'
import { ioErrorOf } from '../common/errno.js'
import { example } from './command.js'
import { connect } from './connection.js'
import { untilInterrupted } from './ending.js'
import { checkDatafiles, digestsOf } from './demo/check.js'
import { type DemoPlan, killAfter, planDemo, readBlockOf } from './demo/plan.js'
import { Progress, table } from './demo/progress.js'
import { type Phase, runPhase } from './demo/ranks.js'
import { iodCount, stripSize, wholeNumber } from './options.js'

/** Name of the file that the demo writes. */
const NAME = '/demo'

interface DemoOptions {
  readonly input: string
  readonly ranks: number
  readonly iods: number
  readonly strip: number
}

/** Adds the command. */
export function addDemo(program: Command): void {
  const command = program
    .command('demo')
    .description(
      'write a file with many ranks over a fresh cluster, kill an iod meanwhile, and check every byte',
    )
    .option('--input <file>', 'what to write', process.execPath)
    .option('--ranks <n>', 'ranks that write', wholeNumber(1, 256), 8)
    .option('--iods <n>', 'iods', iodCount, 4)
    .addOption(
      new Option('--strip <size>', 'bytes of a strip; other files have 64KiB unless they say')
        .argParser(stripSize)
        .default(1024 * 1024, '1MiB'),
    )
  example(command, 'rankio demo --input /usr/bin/node --ranks 8 --iods 4 --strip 1MiB')
  command.action(async (options: DemoOptions) => await demo(options))
}

async function demo(options: DemoOptions): Promise<void> {
  const size = sizeOf(options.input)
  const plan = planDemo(size, options.ranks)
  // From here on Ctrl-C only says so: what was started is ended below, in order.
  const signal = untilInterrupted()
  try {
    const { startCluster } = await import('../cluster.js')
    await using cluster = await startCluster({ iods: options.iods })
    signal.throwIfAborted()
    console.log(
      `cluster of 1 manager and ${options.iods} iods at ${cluster.url}; input ${options.input}, ${size} bytes`,
    )
    await run(cluster, plan, options, signal)
  } finally {
    // Ranks that were killed could not do it.
    removeDeadSockets(process.env)
  }
}

async function run(
  cluster: Cluster,
  plan: DemoPlan,
  { input, strip }: DemoOptions,
  signal: AbortSignal,
): Promise<void> {
  const about = { cluster, plan, input, name: NAME, stripSize: strip, signal }
  let back: Promise<void> = Promise.resolve()
  const bounce = async (progress: Progress): Promise<void> => {
    signal.throwIfAborted()
    const victim = await victimOf(cluster)
    await cluster.kill(victim)
    const killed = performance.now()
    progress.note(`iod ${victim} was killed with SIGKILL, and is started again`)
    back = cluster.restart(victim).then(() => {
      progress.note(`iod ${victim} is back after ${Math.round(performance.now() - killed)} ms`)
    })
    // Awaited below; until then a failure must not count as unhandled.
    back.catch(() => {})
  }
  const writing = new Progress(`write, ${plan.writers} ranks`, plan.size)
  const half = async (): Promise<void> => await bounce(writing)
  const wrote = await runPhase({ ...about, phase: 'write', progress: writing, half })
  const reading = new Progress(`read back, ${plan.readers} ranks`, plan.size)
  if (killAfter(plan) === undefined) await bounce(reading)
  const read = await runPhase({ ...about, phase: 'read', progress: reading, half })
  await back

  const expected = digestsOf(
    input,
    Array.from({ length: plan.readers }, (_, rank) => readBlockOf(plan, rank)),
  )
  for (const [rank, { sha256 }] of read.ranks.entries()) {
    if (sha256 !== expected.blocks[rank]) {
      const { offset, length } = readBlockOf(plan, rank)
      throw new IoError(
        'MPI_ERR_IO',
        `rank ${rank} read something else than was written, in bytes ${offset} to ${offset + length}`,
      )
    }
  }
  const { FileSystem } = await import('../../lib/index.js')
  await using system = await FileSystem.connect(cluster.url)
  const bytesPerIod = checkDatafiles(cluster, await system.stat(NAME), input)
  const { reopens } = await system.status()
  if (reopens !== 0)
    throw new IoError(
      'MPI_ERR_IO',
      `${reopens} files had to be opened again after the restart; none should`,
    )
  console.log(
    `every byte is right: SHA-256 ${expected.whole} read back by ${plan.readers} ranks, and where the layout says in ${cluster.iodCount} directories`,
  )
  console.log(summary(cluster, plan, wrote, read, bytesPerIod, reopens))
}

// The iod of the first strip: whatever the size, nobody has more of the file.
// Impatiently: an interrupted demo ends its cluster meanwhile, and its process would live as long as its client waits for that.
async function victimOf(cluster: Cluster): Promise<number> {
  await using system = await connect(cluster.url)
  const { layout } = await system.stat(NAME)
  return layout?.firstIod ?? 0
}

function summary(
  cluster: Cluster,
  plan: DemoPlan,
  wrote: Phase,
  read: Phase,
  bytesPerIod: readonly number[],
  reopens: number,
): string {
  const reconnects = [...wrote.ranks, ...read.ranks].reduce((sum, rank) => sum + rank.reconnects, 0)
  return table([
    ['phase', 'ranks', 'MiB/s', 'transfer ms', 'open ms', 'close and sync ms'],
    row('write', plan.writers, plan.size, wrote),
    row('read', plan.readers, plan.size, read),
    [],
    ['iod', ...bytesPerIod.map((_, index) => String(index))],
    ['bytes', ...bytesPerIod.map(String)],
    [],
    ['reconnects', String(reconnects)],
    ['reopens', String(reopens)],
    ['restarts', String(cluster.restarts)],
  ])
}

function row(
  name: string,
  ranks: number,
  size: number,
  { transferMs, openMs, closeMs }: Phase,
): string[] {
  const rate = transferMs === 0 ? '-' : (size / 2 ** 20 / (transferMs / 1000)).toFixed(1)
  return [name, String(ranks), rate, transferMs.toFixed(0), openMs.toFixed(0), closeMs.toFixed(0)]
}

function sizeOf(input: string): number {
  try {
    const stat = statSync(input)
    if (stat.isFile()) return stat.size
  } catch (error) {
    throw ioErrorOf(error, `input ${JSON.stringify(input)}: it cannot be read`)
  }
  throw new IoError('MPI_ERR_BAD_FILE', `input ${JSON.stringify(input)}: it is no file`)
}
