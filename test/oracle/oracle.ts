// Runs programs on both sides and compares, and shortens those that fail.
import type { Served } from '../support/ranks.js'
import { type Difference, differencesOf } from './compare.js'
import { Refusal } from './conflicts.js'
import { standardOf } from './model.js'
import { ACCESSES, isAccess, type Line, type Program, type Result, type Step } from './program.js'
import { runOnRankio } from './rankio.js'
import type { Romio } from './romio.js'
import { BYTE, simplerTypes } from './types.js'

/** Candidates of a shorter program that are tried in one job. */
const CANDIDATES = 10

/** 30 s: what one program may cost to be shortened. */
const SHORTEN_MS_MAX = 30_000

/** A program that fails, and how: the shortest so far. */
interface Best {
  readonly program: Program
  readonly differences: readonly Difference[]
}

/** Both sides, ready. */
export class Oracle {
  readonly #romio: Romio
  readonly #cluster: Served
  #files = 0

  constructor(romio: Romio, cluster: Served) {
    this.#romio = romio
    this.#cluster = cluster
  }

  /** The differences of each program; all are for the same number of ranks. */
  async compare(batch: readonly Program[]): Promise<Difference[][]> {
    return await this.#compareWith(batch, await this.#romio.run(batch))
  }

  async #compareWith(
    batch: readonly Program[],
    theirs: readonly Result[],
  ): Promise<Difference[][]> {
    const all: Difference[][] = []
    for (const [index, romio] of theirs.entries()) {
      const program = batch[index]
      if (program === undefined) break
      const name = `program-${this.#files++}`
      const ours = await runOnRankio(program, this.#cluster, { name })
      all.push(differencesOf(program, standardOf(program), ours, romio))
    }
    return all
  }

  /** Leaves out steps as long as a difference stays, all candidates of a round in one job. */
  async shorten(program: Program, differences: readonly Difference[]): Promise<Best> {
    let best = { program, differences }
    const start = performance.now()
    for (let found = true; found; ) {
      found = false
      for (const some of groups(candidates(best))) {
        if (performance.now() - start > SHORTEN_MS_MAX) return best
        // Behind one that ends ROMIO's job the others are left out: it may take long.
        const results = await this.#compareWith(some, await this.#romio.runUntilEnd(some))
        const first = results.findIndex((each) => hasSameFailure(each, differences))
        const shorter = some[first]
        if (shorter === undefined) continue
        best = { program: shorter, differences: results[first] ?? [] }
        found = true
        break
      }
    }
    return best
  }
}

/** Simpler programs, the most promising first; made when they are asked for, as the model takes its time for each. */
function* candidates(best: Best): Generator<Program> {
  for (const each of endedEarly(best)) if (isAllowed(each)) yield each
  for (const each of shorterOnes(best.program)) if (isAllowed(each)) yield each
  for (const each of simplerOnes(best.program)) if (isAllowed(each)) yield each
}

function* groups(programs: Iterable<Program>): Generator<Program[]> {
  let group: Program[] = []
  for (const program of programs) {
    group.push(program)
    if (group.length < CANDIDATES) continue
    yield group
    group = []
  }
  if (group.length > 0) yield group
}

/** The program up to its first failure, in ways to end it there. */
function endedEarly({ program, differences }: Best): Program[] {
  const failing = differences.filter(({ listed, step }) => listed === undefined && step >= 0)
  const last = Math.min(...failing.map(({ step }) => step))
  const all = (op: 'wait' | 'close'): Step => Array.from({ length: program.ranks }, () => ({ op }))
  const steps = program.steps.slice(0, last + 1)
  const ends = [[], [all('close')], [all('wait'), all('close')]]
  return ends
    .map((end) => ({ ...program, steps: [...steps, ...end] }))
    .filter((each) => each.steps.length < program.steps.length)
}

/** Whether a field of the first is a failure in the second too: another failure is another matter. */
function hasSameFailure(some: readonly Difference[], others: readonly Difference[]): boolean {
  const fields = others.filter(({ listed }) => listed === undefined).map(({ field }) => field)
  return some.some(({ listed, field }) => listed === undefined && fields.includes(field))
}

/** The program without some of its steps; the shortest first. */
function shorterOnes(program: Program): Program[] {
  const { steps } = program
  const cuts = [16, 8, 4, 3, 2, 1].filter((length) => length < steps.length)
  return cuts.flatMap((length) =>
    Array.from({ length: steps.length - length + 1 }, (_, from) => ({
      ...program,
      steps: steps.filter((_step, index) => index < from || index >= from + length),
    })),
  )
}

/** The program with one of its lines made simpler. */
function simplerOnes(program: Program): Program[] {
  return program.steps.flatMap((step, index) =>
    step.flatMap((line, rank) =>
      (line === undefined ? [] : simplerLines(line, step.length)).map((simpler) => ({
        ...program,
        steps: program.steps.map((each, at) =>
          at === index ? each.map((old, r) => (r === rank ? simpler : old)) : each,
        ),
      })),
    ),
  )
}

function simplerLines(line: Line, ranks: number): Line[] {
  if (line.op === 'type') return simplerTypes(line.type).map((type) => ({ ...line, type }))
  // Hints must be the same on all ranks.
  if (line.op === 'open' && ranks === 1)
    return Object.keys(line.hints).map((key) => {
      const { [key]: _, ...hints } = line.hints
      return { ...line, hints }
    })
  if (line.op === 'view') {
    const filetypes = simplerTypes(line.filetype).map((filetype) => ({ ...line, filetype }))
    return line.displacement === 0 ? filetypes : [{ ...line, displacement: 0 }, ...filetypes]
  }
  if (!isAccess(line)) return []
  const { memory, offset } = line
  const types = [BYTE, ...simplerTypes(memory.type)].filter((type) => type !== memory.type)
  const counts = [0, 1, Math.floor(memory.count / 2), memory.count - 1]
  const offsets = [0, Math.floor(offset / 2), offset - 1].filter((o) => o >= 0 && o < offset)
  // All ranks of a collective have one form.
  const mayBlock = ranks === 1 || !ACCESSES[line.op].isCollective
  const forms = mayBlock && line.form !== 'blocking' ? ['blocking' as const] : []
  return [
    ...forms.map((form) => ({ ...line, form })),
    ...offsets.map((o) => ({ ...line, offset: o })),
    ...counts
      .filter((count) => count >= 0 && count < memory.count)
      .map((count) => ({ ...line, memory: { ...memory, count } })),
    ...types.map((type) => ({ ...line, memory: { ...memory, type } })),
  ]
}

function isAllowed(program: Program): boolean {
  try {
    standardOf(program)
    return true
  } catch (error) {
    if (error instanceof Refusal) return false
    throw error
  }
}

/** Whether one of the differences is not a known one. */
export function isFailure(differences: readonly Difference[]): boolean {
  return differences.some(({ listed }) => listed === undefined)
}
