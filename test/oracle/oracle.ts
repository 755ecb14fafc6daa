// Runs programs on both sides and compares, and shortens those that fail.
import type { Served } from '../support/ranks.js'
import { type Difference, differencesOf } from './compare.js'
import { standardOf, Refusal } from './model.js'
import { isAccess, type Line, type Program, type Result } from './program.js'
import { runOnRankio } from './rankio.js'
import type { Romio } from './romio.js'
import { BYTE, simplerTypes } from './types.js'

/** Candidates of a shorter program that are tried in one job. */
const CANDIDATES = 10

/** 20 s: what one program may cost to be shortened. */
const SHORTEN_MS_MAX = 20_000

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
  async shorten(
    program: Program,
    differences: readonly Difference[],
  ): Promise<{ program: Program; differences: readonly Difference[] }> {
    let best = { program, differences }
    const start = performance.now()
    for (let found = true; found; ) {
      found = false
      const candidates = [...shorterOnes(best.program), ...simplerOnes(best.program)]
      for (let at = 0; at < candidates.length && !found; at += CANDIDATES) {
        if (performance.now() - start > SHORTEN_MS_MAX) return best
        const some = candidates.slice(at, at + CANDIDATES)
        // Behind one that ends ROMIO's job the others are left out: it may take long.
        const results = await this.#compareWith(some, await this.#romio.runUntilEnd(some))
        const first = results.findIndex((each) => hasSameFailure(each, differences))
        const shorter = some[first]
        found = shorter !== undefined
        if (shorter !== undefined) best = { program: shorter, differences: results[first] ?? [] }
      }
    }
    return best
  }
}

/** Whether a field of the first is a failure in the second too: another failure is another matter. */
function hasSameFailure(some: readonly Difference[], others: readonly Difference[]): boolean {
  const fields = others.filter(({ listed }) => listed === undefined).map(({ field }) => field)
  return some.some(({ listed, field }) => listed === undefined && fields.includes(field))
}

/** The program without some of its steps, where the standard allows that; the shortest first. */
function shorterOnes(program: Program): Program[] {
  const { steps } = program
  const cuts = [16, 8, 4, 3, 2, 1].filter((length) => length < steps.length)
  const all = cuts.flatMap((length) =>
    Array.from({ length: steps.length - length + 1 }, (_, from) => ({
      ...program,
      steps: steps.filter((_step, index) => index < from || index >= from + length),
    })),
  )
  return all.filter(isAllowed)
}

/** The program with one of its lines made simpler, where the standard allows that. */
function simplerOnes(program: Program): Program[] {
  const all = program.steps.flatMap((step, index) =>
    step.flatMap((line, rank) =>
      (line === undefined ? [] : simplerLines(line, step.length)).map((simpler) => ({
        ...program,
        steps: program.steps.map((each, at) =>
          at === index ? each.map((old, r) => (r === rank ? simpler : old)) : each,
        ),
      })),
    ),
  )
  return all.filter(isAllowed)
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
  return [
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
