// The C programs of bench/peers: built with the system's compilers into a temporary folder, run, and their line of
// JSON read. Where a compiler is missing, a sentence says so and what needs it is left out.
import { execFile, spawnSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { fileURLToPath } from 'node:url'
import type { BareStretch } from './bare.js'
import type { BareCalls } from './bare-rank.js'
import { Folder } from './folder.js'
import { planLine, type Shape } from './shapes.js'

const run = promisify(execFile)

/** 2 minutes: a run takes some seconds at most; MPI ranks that wait for each other spin for ever. */
const RUN_TIMEOUT_MS = 120_000

const FLAGS = ['-std=c11', '-D_GNU_SOURCE', '-O2']

/** The sources stand beside the TypeScript ones: nothing copies them into the build. */
const SOURCES = fileURLToPath(new URL('../../../bench/peers/', import.meta.url))

/** Commands that may have the wanted compiler; MPICH's by name, since `mpicc` may be another MPI's. */
const C = ['cc', 'gcc', 'clang']
const COMPILERS = { stream: C, calls: C, romio: ['mpicc.mpich', 'mpicc'] } as const

const LAUNCHERS = ['mpiexec.mpich', 'mpiexec']

/** How bytes travel between two C programs. */
export type StreamMode = 'tcp' | 'unix'

/** What one stream has shown. */
export interface StreamFigures {
  readonly MiBps: number
  /** Of both ends. */
  readonly cpuSecondsPerGiB: number
}

/** Milliseconds of C for as many bytes in pieces with gaps as large as they are, or side by side. */
export interface GapTimes {
  /** Pieces gathered into a window of 128 KiB by memcpy. */
  readonly gather: number
  /** As many bytes side by side, copied into that window. */
  readonly copy: number
  /** Bytes side by side through a pair of unix sockets to a process that only takes them. */
  readonly send: number
  /** Pieces by `writev`, 1024 at a time. */
  readonly writev: number
  /** Pieces gathered, then sent, a window at a time. */
  readonly gatherAndSend: number
}

/** What one run of MPI-IO has shown. */
export interface RomioFigures {
  readonly writeMiBps: number
  readonly readMiBps: number
}

/** How MPI-IO is asked. */
export interface RomioOptions {
  readonly shape: Shape
  readonly how: 'independent' | 'collective'
  /** Folder of the file. */
  readonly directory: string
  /** How often all calls are made while the clock runs; once by default. */
  readonly passes?: number
  readonly hints?: Readonly<Record<string, string>>
}

/** The peers that can be built here. */
export class Peers implements Disposable {
  readonly #folder = new Folder('peers')
  readonly #built = new Map<keyof typeof COMPILERS, string | undefined>()

  /** Why there is no C stream here, or undefined. */
  get streamMissing(): string | undefined {
    return this.#build('stream') === undefined ? 'needs a C compiler: cc' : undefined
  }

  /** Why there are no little calls in C here, or undefined. */
  get callsMissing(): string | undefined {
    return this.#build('calls') === undefined ? 'needs a C compiler and epoll' : undefined
  }

  /** Why there is no MPI-IO here, or undefined. */
  get romioMissing(): string | undefined {
    if (this.#build('romio') === undefined) return 'needs MPICH: mpicc and mpi.h'
    return launcher() === undefined ? 'needs MPICH: mpiexec' : undefined
  }

  /** One way over a socket pair, or only as fast as memory is copied. */
  async stream(mode: StreamMode, bytes: number, total: number): Promise<StreamFigures> {
    return (await this.#run('stream', [mode, bytes, total])) as unknown as StreamFigures
  }

  /** MiB/s of memcpy. */
  async copy(bytes: number, total: number): Promise<number> {
    return (await this.#run('stream', ['memcpy', bytes, total]))['MiBps'] ?? Number.NaN
  }

  /** Microseconds there and back. */
  async ping(mode: StreamMode, bytes: number, trips: number): Promise<number> {
    return (await this.#run('stream', [`ping-${mode}`, bytes, trips]))['microseconds'] ?? Number.NaN
  }

  /** Pieces of `bytes` bytes, with gaps in memory and without. */
  async gaps(bytes: number, total: number): Promise<GapTimes> {
    return (await this.#run('stream', ['gaps', bytes, total])) as unknown as GapTimes
  }

  /** Two clients and servers in C that exchange the messages of bare Node processes; they compare all bytes first. */
  async calls(calls: Omit<BareCalls, 'verify'>, servers: number): Promise<BareStretch> {
    const { kind, how, bytes, calls: count, stripBytes } = calls
    const args = [kind, how, bytes, count, stripBytes, servers, this.#folder.at('calls-file')]
    return (await this.#run('calls', args)) as unknown as BareStretch
  }

  /** A shape through MPI-IO: it compares all bytes first. Each run is a job of its own, since ranks that wait spin. */
  async romio({
    shape,
    how,
    directory,
    passes = 1,
    hints = {},
  }: RomioOptions): Promise<RomioFigures> {
    const plan = this.#folder.at('plan')
    const lines = Array.from({ length: shape.ranks }, (_, rank) => planLine(shape.of(rank)))
    writeFileSync(plan, `${lines.join('\n')}\n`)
    const program = this.#build('romio') ?? ''
    const file = join(directory, `romio-${shape.name.replaceAll(/\W+/g, '-')}`)
    const words = Object.entries(hints).map(([key, value]) => `${key}=${value}`)
    const owner = shape.filePerRank ? 'own' : 'shared'
    const about = [file, plan, how, owner, String(passes)]
    const args = ['-n', String(shape.ranks), program, ...about, ...words]
    const { stdout } = await run(launcher() ?? '', args, { timeout: RUN_TIMEOUT_MS })
    return JSON.parse(stdout) as RomioFigures
  }

  [Symbol.dispose](): void {
    this.#folder[Symbol.dispose]()
  }

  async #run(
    name: 'stream' | 'calls',
    args: readonly (string | number)[],
  ): Promise<Record<string, number | undefined>> {
    const program = this.#build(name) ?? ''
    const { stdout } = await run(program, args.map(String), { timeout: RUN_TIMEOUT_MS })
    return JSON.parse(stdout) as Record<string, number | undefined>
  }

  // Where it was built, or undefined where no compiler can.
  #build(name: keyof typeof COMPILERS): string | undefined {
    if (this.#built.has(name)) return this.#built.get(name)
    const program = this.#folder.at(name)
    const args = [...FLAGS, join(SOURCES, `${name}.c`), '-o', program]
    const compiler = COMPILERS[name].find((command) => spawnSync(command, args).status === 0)
    const built = compiler === undefined ? undefined : program
    this.#built.set(name, built)
    return built
  }
}

function launcher(): string | undefined {
  return LAUNCHERS.find((command) => spawnSync(command, ['--version']).status === 0)
}
