// Runs the oracle's programs through ROMIO: builds romio.c, starts it on some ranks, reads its results.
import { execFile, spawnSync } from 'node:child_process'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { missingCommand } from '../support/optional.js'
import { ROOT } from '../support/repository.js'
import { type Outcome, type Program, programText, type Result } from './program.js'

/** MPICH's by name: `mpicc` and `mpiexec` may be those of another MPI. */
const COMPILER = 'mpicc.mpich'
const LAUNCHER = 'mpiexec.mpich'

/** 2 minutes: a batch takes some seconds. A rank that waits too long for another ends the job long before. */
const JOB_TIMEOUT_MS = 120_000

/** What a job says that has waited for itself. */
export const SILENT = 'waits for too long'

const run = promisify(execFile)

/** Why ROMIO cannot be asked here, or undefined. */
export function romioMissing(): string | undefined {
  return missingCommand(COMPILER, LAUNCHER) ?? missingHeader()
}

/** Debian has the compiler in `mpich`, and what it compiles against in `libmpich-dev`. */
function missingHeader(): string | undefined {
  const { status } = spawnSync(COMPILER, ['-E', '-'], { input: '#include <mpi.h>' })
  return status === 0 ? undefined : 'not installed: mpi.h'
}

/** ROMIO, built. */
export class Romio implements AsyncDisposable {
  readonly #folder: string
  #jobs = 0

  private constructor(folder: string) {
    this.#folder = folder
  }

  /** Compiles the program in a folder of its own. */
  static async build(): Promise<Romio> {
    const folder = await mkdtemp(join(tmpdir(), 'oracle-'))
    const source = join(ROOT, 'test/oracle/romio.c')
    const flags = ['-std=c11', '-D_GNU_SOURCE', '-O1', '-Wall', '-Wextra', '-Werror']
    await run(COMPILER, [...flags, source, '-o', join(folder, 'romio')])
    return new Romio(folder)
  }

  /** Runs programs of one number of ranks, all in one job; behind one that ends the job, in a new one. */
  async run(programs: readonly Program[]): Promise<Result[]> {
    const results: Result[] = []
    while (results.length < programs.length) {
      const some = await this.runUntilEnd(programs.slice(results.length))
      const last = programs[results.length + some.length - 1]
      // What ends a job must do so alone, too: it may have been the time, or a program before it.
      if (some.at(-1)?.crash !== undefined && last !== undefined) {
        some.splice(-1, 1, ...(await this.runUntilEnd([last])))
      }
      results.push(...some)
    }
    return results
  }

  /** Runs programs in one job; the results are those up to the first program that ends it. */
  async runUntilEnd(programs: readonly Program[]): Promise<Result[]> {
    const ranks = programs[0]?.ranks ?? 1
    // Names of its own: what is left of a job that was killed may write on.
    const job = this.#jobs++
    const at = (name: string): string => join(this.#folder, `${name}-${job}`)
    await writeFile(at('programs'), programs.map(programText).join(''))
    const args = [
      '-n',
      String(ranks),
      join(this.#folder, 'romio'),
      at('programs'),
      at('file'),
      at('results'),
    ]
    const files = Array.from({ length: ranks }, (_, rank) => `${at('results')}.${rank}`)
    const crash = await launch(args)
    const byRank = await Promise.all(files.map(async (file) => readResults(await readFile(file))))
    const started = Math.min(...byRank.map((results) => results.length))
    if (started === 0) throw new Error(`ROMIO does not start: ${crash}`)
    return programs.slice(0, started).map((program, index) => {
      const result = resultOf(
        program,
        byRank.map((each) => each[index]),
      )
      // The file is told last of all.
      if (result.file !== undefined) return result
      return { ...result, crash: crash ?? 'it ends without a word' }
    })
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await rm(this.#folder, { recursive: true, force: true })
  }
}

/** Runs a job; what it said if it did not end well. */
async function launch(args: readonly string[]): Promise<string | undefined> {
  try {
    await run(LAUNCHER, args, { timeout: JOB_TIMEOUT_MS, killSignal: 'SIGKILL' })
    return undefined
  } catch (error) {
    const { stdout = '', stderr = '' } = error as { stdout?: string; stderr?: string }
    return `${stdout}${stderr}`.trim() || String(error)
  }
}

/** Outcomes of one program on one rank, by step; -1 is the file. */
type ByStep = ReadonlyMap<number, Outcome>

function resultOf(program: Program, ranks: readonly (ByStep | undefined)[]): Result {
  return {
    outcomes: program.steps.map((_, step) => ranks.map((byStep) => byStep?.get(step))),
    file: ranks[0]?.get(-1),
  }
}

/** Reads a file of results: see romio.c. */
function readResults(data: Buffer): ByStep[] {
  const programs: Map<number, Outcome>[] = []
  for (let at = 0; at < data.length; ) {
    const end = data.indexOf('\n', at)
    if (end < 0) break
    const [first = '', code = '', length = '0', ...pairs] = data
      .toString('utf8', at, end)
      .split(' ')
    at = end + 1
    if (first === 'program') {
      programs.push(new Map())
      continue
    }
    const bytes = Uint8Array.from(data.subarray(at, at + Number(length)))
    at += bytes.length + 1
    programs.at(-1)?.set(Number(first), { code, values: valuesOf(pairs), bytes })
  }
  return programs
}

function valuesOf(pairs: readonly string[]): Record<string, number | undefined> {
  const values: Record<string, number | undefined> = {}
  for (let i = 0; i + 1 < pairs.length; i += 2) {
    const text = pairs[i + 1]
    values[pairs[i] ?? ''] = text === 'undefined' ? undefined : Number(text)
  }
  return values
}
