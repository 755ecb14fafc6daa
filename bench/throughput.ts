// How fast do ranks write and read one file, or a file each, in IOR's words: tasks, blockSize,
// transferSize, segments? Beside it, in the same run and in turn, a raw Node socket pair that does the
// same work without a protocol, and a local file; a C stream, and a copy from memory to memory. How to call and to read it stands in README.md.
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
  stripOption,
  wordOption,
  WrongOption,
} from './support/options.js'
import { Folder } from './support/folder.js'
import { bytesPerTask } from './support/pattern.js'
import { Peers } from './support/peers.js'
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

/** Peers in C, which neither read nor write a file: a rate has no direction. */
const LIMIT_LABELS = { stream: 'C stream', memcpy: 'memcpy' } as const

const LIMITS = ['stream', 'memcpy'] as const

const ALL_LABELS: Readonly<Record<string, string>> = { ...LABELS, ...LIMIT_LABELS }

type Limits = Readonly<Record<keyof typeof LIMIT_LABELS, number[]>>

/** What a peer moves in one repetition, at most. */
const LIMIT_BYTES_MAX = 256 * MIB

/** A message of a peer, at most. */
const MESSAGE_BYTES_MAX = 16 * MIB

const options = optionValues()
await main(settingsOf(options), flagOption(options, 'json'))

async function main(settings: Settings, json: boolean): Promise<void> {
  using folder = new Folder('throughput')
  await using cluster = await startCluster({ iods: settings.iods })
  await using run = await Run.start(settings, cluster, folder.path)
  using peers = new Peers()
  const limits: Limits = { stream: [], memcpy: [] }
  await run.verify()
  for (let round = 1; round <= settings.repetitions; round++) {
    await run.repeat(round)
    if (peers.streamMissing === undefined) await measureLimits(peers, settings, limits)
  }
  const { results } = run
  const missing = peers.streamMissing
  print({ settings, results, limits, missing, memories: await run.finish(), json })
}

async function measureLimits(
  peers: Peers,
  { pattern, transport }: Settings,
  { stream, memcpy }: Limits,
): Promise<void> {
  const bytes = Math.min(pattern.transferSize, MESSAGE_BYTES_MAX)
  const total = Math.min(bytesPerTask(pattern) * pattern.tasks, LIMIT_BYTES_MAX)
  stream.push((await peers.stream(transport, bytes, total)).MiBps)
  memcpy.push(await peers.copy(bytes, total))
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
    stripSize: stripOption(values, 'stripSize'),
    transport,
    direct,
    repetitions: sizeOption(values, 'repetitions', smoke ? 1 : 5),
    verify: flagOption(values, 'verify'),
  }
}

interface Outcome {
  readonly settings: Settings
  readonly results: Results
  readonly limits: Limits
  /** Why there are no such limits here, or undefined. */
  readonly missing: string | undefined
  readonly memories: readonly Memory[]
  readonly json: boolean
}

function print({ settings, results, limits, missing, memories, json }: Outcome): void {
  const figures = Object.fromEntries(TARGETS.map((target) => [target, figuresOf(results[target])]))
  const ratios = {
    socket: ratiosTo(results.rankio, (phase) => ratesOf(results.socket, phase)),
    file: ratiosTo(results.rankio, (phase) => ratesOf(results.file, phase)),
    ...(missing === undefined
      ? {
          stream: ratiosTo(results.rankio, () => limits.stream),
          memcpy: ratiosTo(results.rankio, () => limits.memcpy),
        }
      : {}),
  }
  const rates =
    missing === undefined ? LIMITS.map((name) => [name, spreadOf(limits[name])] as const) : []
  if (json) {
    const head = { suite: 'throughput', parameters: settings, ...machine() }
    console.log(
      JSON.stringify({
        ...head,
        results: figures,
        limits: Object.fromEntries(rates),
        ratios,
        iodMemory: memories,
      }),
    )
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
  const beside = rates.map(([name, rate]) => [
    LIMIT_LABELS[name],
    spreadText(rate),
    spreadText(rate),
  ])
  for (const line of tableLines([['', ...heads], ...rows, ...beside])) console.log(line)
  for (const [name, { write, read }] of Object.entries(ratios))
    console.log(
      `rankio to ${ALL_LABELS[name] ?? name}: write ${spreadText(write)}, read ${spreadText(read)}`,
    )
  if (missing !== undefined) console.log(`left out: ${missing}`)
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
  theirs: (phase: 'write' | 'read') => readonly number[],
): { readonly write: Spread; readonly read: Spread } {
  return {
    write: ratiosOf(ratesOf(ours, 'write'), theirs('write')),
    read: ratiosOf(ratesOf(ours, 'read'), theirs('read')),
  }
}

function ratesOf(all: readonly Repetition[], phase: 'write' | 'read'): number[] {
  return all.map((each) => rateOf(each[phase]))
}

function rateOf({ bytes, ms }: Phase): number {
  return bytes / MIB / (ms / 1000)
}

function cpuOf({ bytes, clientCpuSeconds, serverCpuSeconds }: Phase): number {
  return (clientCpuSeconds + serverCpuSeconds) / (bytes / GIB)
}
