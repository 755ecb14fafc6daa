// How fast do ranks write and read one file, or a file each, in IOR's words: tasks, blockSize,
// transferSize, segments? Beside it, in the same run and in turn, a raw Node socket pair that does the
// same work without a protocol, and a local file. How to call and to read it stands in README.md.
import { startCluster } from '../servers/cluster.js'
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
import {
  flagOption,
  type OptionValues,
  optionValues,
  sizeOption,
  wordOption,
  WrongOption,
} from './support/options.js'
import { Folder } from './support/folder.js'
import { bytesPerTask } from './support/pattern.js'
import type { TargetName } from './support/rank.js'
import {
  type Phase,
  type Repetition,
  type Results,
  Run,
  type Settings,
  TARGETS,
} from './support/run.js'
import type { Memory } from './support/usage.js'

const LABELS: Readonly<Record<TargetName, string>> = {
  rankio: 'rankio',
  socket: 'raw socket pair',
  file: 'local file',
}

const options = optionValues()
await main(settingsOf(options), flagOption(options, 'json'))

async function main(settings: Settings, json: boolean): Promise<void> {
  using folder = new Folder('throughput')
  await using cluster = await startCluster({ iods: settings.iods })
  await using run = await Run.start(settings, cluster, folder.path)
  await run.verify()
  for (let round = 1; round <= settings.repetitions; round++) await run.repeat(round)
  print({ settings, results: run.results, memories: await run.finish(), json })
}

function settingsOf(values: OptionValues): Settings {
  const smoke = flagOption(values, 'smoke')
  const transferSize = sizeOption(values, 'transferSize', smoke ? 256 * 1024 : MIB)
  const blockSize = sizeOption(values, 'blockSize', Math.max(transferSize, smoke ? MIB : 64 * MIB))
  if (blockSize % transferSize !== 0)
    throw new WrongOption(
      `--blockSize: ${blockSize} is no multiple of the transfer size ${transferSize}`,
    )
  const transport = wordOption(values, 'transport', ['tcp', 'unix'])
  const direct = wordOption(values, 'direct', ['off', 'read', 'rw'])
  // Over TCP the ranks say that they are on another host.
  if (direct !== 'off' && transport !== 'unix')
    throw new WrongOption('--direct: only with --transport=unix')
  return {
    pattern: {
      tasks: sizeOption(values, 'tasks', smoke ? 2 : 1),
      blockSize,
      transferSize,
      segments: sizeOption(values, 'segments', smoke ? 2 : 4),
      filePerTask: flagOption(values, 'filePerTask'),
    },
    collective: flagOption(values, 'collective'),
    iods: sizeOption(values, 'iods', smoke ? 2 : 1),
    stripSize: sizeOption(values, 'stripSize', 64 * 1024),
    transport,
    direct,
    repetitions: sizeOption(values, 'repetitions', smoke ? 1 : 5),
    verify: flagOption(values, 'verify'),
  }
}

interface Outcome {
  readonly settings: Settings
  readonly results: Results
  readonly memories: readonly Memory[]
  readonly json: boolean
}

function print({ settings, results, memories, json }: Outcome): void {
  const figures = Object.fromEntries(TARGETS.map((target) => [target, figuresOf(results[target])]))
  const ratios = {
    socket: ratiosTo(results.rankio, results.socket),
    file: ratiosTo(results.rankio, results.file),
  }
  if (json) {
    const head = { suite: 'throughput', parameters: settings, ...machine() }
    console.log(JSON.stringify({ ...head, results: figures, ratios, iodMemory: memories }))
    return
  }
  const { pattern, ...others } = settings
  const words = Object.entries({ ...pattern, ...others }).map(([key, value]) => `${key} ${value}`)
  const { node, cpu } = machine()
  console.log([`\nthroughput`, ...words, `Node ${node}`, cpu].join(' · '))
  console.log(
    `${numberText((bytesPerTask(pattern) * pattern.tasks) / MIB)} MiB each way a repetition; medians (least..most)`,
  )
  const rows = TARGETS.map((target) => [LABELS[target], ...cellsOf(figuresOf(results[target]))])
  const heads = [
    'write MiB/s',
    'read MiB/s',
    'CPU-s/GiB write',
    'read',
    'open ms',
    'sync ms',
    'close ms',
  ]
  for (const line of tableLines([['', ...heads], ...rows])) console.log(line)
  for (const [name, { write, read }] of Object.entries(ratios))
    console.log(
      `rankio to ${LABELS[name === 'file' ? 'file' : 'socket']}: write ${spreadText(write)}, read ${spreadText(read)}`,
    )
  const iods = memories.map(({ rss, peak }) => `${numberText(rss / MIB)}/${numberText(peak / MIB)}`)
  console.log(`memory of each iod now/peak: ${iods.join(', ')} MiB`)
}

type Figures = Readonly<Record<keyof ReturnType<typeof figuresOf>, Spread>>

function figuresOf(repetitions: readonly Repetition[]) {
  const over = (value: (each: Repetition) => number): Spread => spreadOf(repetitions.map(value))
  return {
    writeMiBps: over(({ write }) => rateOf(write)),
    readMiBps: over(({ read }) => rateOf(read)),
    writeCpuSecondsPerGiB: over(({ write }) => cpuOf(write)),
    readCpuSecondsPerGiB: over(({ read }) => cpuOf(read)),
    openMs: over(({ open }) => open.ms),
    syncMs: over(({ sync }) => sync.ms),
    closeMs: over(({ close }) => close.ms),
  }
}

function cellsOf(figures: Figures): string[] {
  const { writeMiBps, readMiBps, writeCpuSecondsPerGiB, readCpuSecondsPerGiB } = figures
  const { openMs, syncMs, closeMs } = figures
  const cpu = [writeCpuSecondsPerGiB, readCpuSecondsPerGiB].map(({ median }) => numberText(median))
  const times = [openMs, syncMs, closeMs].map(({ median }) => numberText(median))
  return [spreadText(writeMiBps), spreadText(readMiBps), ...cpu, ...times]
}

function ratiosTo(
  ours: readonly Repetition[],
  theirs: readonly Repetition[],
): { readonly write: Spread; readonly read: Spread } {
  const rates = (all: readonly Repetition[], phase: 'write' | 'read'): number[] =>
    all.map((each) => rateOf(each[phase]))
  return {
    write: ratiosOf(rates(ours, 'write'), rates(theirs, 'write')),
    read: ratiosOf(rates(ours, 'read'), rates(theirs, 'read')),
  }
}

function rateOf({ bytes, ms }: Phase): number {
  return bytes / MIB / (ms / 1000)
}

function cpuOf({ bytes, clientCpuSeconds, serverCpuSeconds }: Phase): number {
  return (clientCpuSeconds + serverCpuSeconds) / (bytes / GIB)
}
