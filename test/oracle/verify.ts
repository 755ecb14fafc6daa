// Compares the library with ROMIO on random programs: `npm run verify:oracle -- [--programs N] [--seed S]
// [--ranks 1,2]`. A failure prints the seed, the program as short as it was got, both outcomes and the
// command that repeats it. Closes with the plain line "N passed, N failed", or "…, N skipped".
import { startCluster } from '../../servers/cluster.js'
import { Options } from '../support/options.js'
import { derivedSeed, seedOf } from '../support/random.js'
import { ENDS, type Difference, differenceText, LISTED } from './compare.js'
import { generate } from './generate.js'
import { isFailure, Oracle } from './oracle.js'
import { type Program, programText } from './program.js'
import { Romio, romioMissing } from './romio.js'

/** Programs of one job of ROMIO: their results are in memory at once. */
const BATCH = 100

/** Differences that are printed of one program. */
const SHOWN_MAX = 6

/** Failures after which nothing new is to be learned from more. */
const FAILURES_MAX = 5

const options = new Options('verify:oracle', { programs: 'value', seed: 'value', ranks: 'value' })
const programs = options.count('programs', 200)
const ranks = options.counts('ranks', [1, 2])
const seed = options.seed() ?? seedOf()
const missing = romioMissing()

if (missing === undefined) {
  await verify()
} else {
  console.log(`skipped: the comparison with ROMIO needs MPICH, and it is ${missing}`)
  console.log(`0 passed, 0 failed, ${programs} skipped`)
}

async function verify(): Promise<void> {
  console.log(`${programs} programs on ${ranks.join(', ')} ranks, --seed ${seed}`)
  await using romio = await Romio.build()
  await using cluster = await startCluster({ iods: 3, inProcess: true })
  const oracle = new Oracle(romio, cluster)
  const counts = new Map<string, number>()
  let [passed, failed] = [0, 0]
  for (const [index, size] of ranks.entries()) {
    const numbers = Array.from({ length: programs }, (_, n) => n).filter(
      (n) => n % ranks.length === index,
    )
    for (let at = 0; at < numbers.length && failed < FAILURES_MAX; at += BATCH) {
      const batch = numbers.slice(at, at + BATCH).map((n) => generate(derivedSeed(seed, n), size))
      for (const [n, differences] of (await oracle.compare(batch)).entries()) {
        for (const { listed } of differences) {
          if (listed !== undefined) counts.set(listed, (counts.get(listed) ?? 0) + 1)
        }
        if (!isFailure(differences)) {
          passed++
        } else if (++failed <= FAILURES_MAX) {
          const program = batch[n]
          if (program !== undefined) await report(oracle, program, differences)
        }
      }
    }
  }
  for (const { name, rule } of LISTED) {
    console.log(`${String(counts.get(name) ?? 0).padStart(6)} × ${name}: ${rule}`)
  }
  for (const { name } of ENDS) console.log(`${String(counts.get(name) ?? 0).padStart(6)} × ${name}`)
  console.log(`${passed} passed, ${failed} failed`)
  if (failed > 0 || passed === 0) process.exitCode = 1
}

async function report(
  oracle: Oracle,
  program: Program,
  differences: readonly Difference[],
): Promise<void> {
  const { seed: own, ranks: size } = program
  console.log(`\nseed ${own} on ${size} ranks: rankio and ROMIO differ. Repeat with:`)
  console.log(`  npm run verify:oracle -- --programs 1 --seed ${own} --ranks ${size}`)
  const short = await oracle.shorten(program, differences)
  console.log(programText(short.program).replace(/^/gm, '    '))
  const failures = short.differences.filter(({ listed }) => listed === undefined)
  for (const each of failures.slice(0, SHOWN_MAX)) {
    console.log(`  ${differenceText(short.program, each)}`)
  }
  if (failures.length > SHOWN_MAX) console.log(`  and ${failures.length - SHOWN_MAX} more`)
}
