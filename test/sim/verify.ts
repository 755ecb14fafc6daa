// `npm run verify:sim`: runs seeds of the simulator on all cores, and prints what did not hold.
//
//   --seeds N            how many, 200 unless given
//   --seed S             the first one, 1 unless given; they are numbered on from there
//   --ops 60             operations of a run, at the most
//   --workers W          processes, as many as there are cores unless given
//   --planted all|NAME   plants mistakes, one at a time: each must be noticed
//   --within 1000        by so many seeds, from the first one on
//   --pairs              every two faults in the midst of every class of operations, one run each, instead of seeds
//   --pair A,B,CLASS     one of them
//
// Every fiftieth seed is run twice, and must give the same trace. Exit code 1 if anything did not hold, or a planted
// mistake was not noticed.
import { availableParallelism } from 'node:os'
import { parseArgs } from 'node:util'
import { PLANTED_BUGS, type PlantedBug } from '../../lib/base/faults.js'
import { CLASSES, nameOfPair, type Pair, PAIR_FAULTS, pairOf, PAIRS } from './pairs.js'
import { Worker } from './pool.js'
import type { Outcome } from './run.js'
import type { Task } from './worker.js'

/** Every so many a seed is run twice. */
const TWICE_EVERY = 50

/** Failures that are shown whole, and after which no more seeds are begun. */
const SHOWN_MAX = 5
const FAILURES_MAX = 20

const { values } = parseArgs({
  options: {
    seeds: { type: 'string' },
    seed: { type: 'string' },
    ops: { type: 'string' },
    workers: { type: 'string' },
    planted: { type: 'string' },
    within: { type: 'string' },
    pairs: { type: 'boolean', default: false },
    pair: { type: 'string' },
  },
})

const first = numberOf('seed', 1)
const operations = numberOf('ops', 60)
const started = performance.now()

if (values.pairs || values.pair !== undefined) await runPairs(pairsOf(values.pair))
else if (values.planted === undefined) await runSeeds(numberOf('seeds', 200))
else if (values.seeds === undefined) await plantAll(plantedOf(values.planted))
else for (const bug of plantedOf(values.planted)) await runSeeds(numberOf('seeds', 1), bug)

async function runSeeds(seeds: number, planted?: PlantedBug): Promise<void> {
  await runTasks(
    Array.from({ length: seeds }, (_, index) => {
      const seed = first + index
      return { seed, operations, twice: seed % TWICE_EVERY === 0, planted }
    }),
  )
}

// Each pair has a seed of its own.
async function runPairs(pairs: readonly Pair[]): Promise<void> {
  await runTasks(
    pairs.map((pair) => {
      const seed = first + PAIRS.indexOf(pair)
      return { seed: values.pair === undefined ? seed : first, operations, twice: false, pair }
    }),
  )
}

async function runTasks(tasks: readonly Task[]): Promise<void> {
  const outcomes: Outcome[] = []
  const failures: { readonly task: Task; readonly outcome: Outcome }[] = []
  let next = 0
  await onAllCores(async (worker) => {
    for (let task = tasks[next++]; task !== undefined; task = tasks[next++]) {
      if (failures.length >= FAILURES_MAX) return
      const outcome = await worker.run(task)
      outcomes.push(outcome)
      if (outcome.violation !== undefined) failures.push({ task, outcome })
    }
  })
  failures.sort((one, other) => one.task.seed - other.task.seed)
  for (const { task, outcome } of failures.slice(0, SHOWN_MAX)) show(outcome, task)
  const sum = (count: (outcome: Outcome) => number): number =>
    outcomes.reduce((total, outcome) => total + count(outcome), 0)
  const minutes = (performance.now() - started) / 60_000
  console.log(
    `${outcomes.length} seeds, ${sum((each) => each.operations)} operations, ` +
      `${sum((each) => each.events)} events, ${minutes.toFixed(2)} min, ` +
      `${Math.round(outcomes.length / minutes)} seeds a minute`,
  )
  summary(outcomes.length - failures.length, failures.length)
}

// For each mistake seeds are run until one notices it.
async function plantAll(bugs: readonly PlantedBug[]): Promise<void> {
  const within = numberOf('within', 1000)
  const caught = new Map<PlantedBug, Outcome>()
  const hunts = bugs.map((planted) => ({ planted, next: first, running: 0 }))
  await onAllCores(async (worker) => {
    for (;;) {
      const open = hunts.filter(
        ({ planted, next }) => !caught.has(planted) && next < first + within,
      )
      // The one that fewest are after.
      const [hunt] = open.sort((one, other) => one.running - other.running)
      if (hunt === undefined) return
      const { planted } = hunt
      const seed = hunt.next++
      hunt.running++
      const outcome = await worker.run({ seed, operations, twice: false, planted })
      hunt.running--
      const known = caught.get(planted)
      if (outcome.violation !== undefined && (known === undefined || seed < known.seed))
        caught.set(planted, outcome)
      if (known === undefined && outcome.violation !== undefined)
        console.log(`${planted} is noticed by ${outcome.violation.invariant}, seed ${seed}`)
    }
  })
  for (const bug of bugs) {
    const outcome = caught.get(bug)
    const seeds = outcome === undefined ? 'never' : String(outcome.seed - first + 1)
    const what = outcome?.violation?.message ?? `not noticed within ${within} seeds`
    console.log(`${bug.padEnd(16)} ${seeds.padStart(5)}  ${what.split('\n')[0]?.slice(0, 150)}`)
  }
  console.log(`${((performance.now() - started) / 60_000).toFixed(2)} min`)
  summary(caught.size, bugs.length - caught.size)
}

async function onAllCores(work: (worker: Worker) => Promise<void>): Promise<void> {
  const workers = Array.from({ length: numberOf('workers', availableParallelism()) })
  await Promise.all(
    workers.map(async () => {
      using worker = new Worker()
      await work(worker)
    }),
  )
}

function summary(passed: number, failed: number): void {
  console.log(`${passed} passed, ${failed} failed`)
  if (failed > 0 || passed === 0) process.exitCode = 1
}

function show({ seed, violation }: Outcome, { planted, pair }: Task): void {
  if (violation === undefined) return
  const { message, stack, tail } = violation
  console.log(`\nseed ${seed}: ${message}`)
  console.log(tail.map((line) => `  ${line.slice(0, 300)}`).join('\n'))
  console.log(stack.split('\n').slice(1, 8).join('\n'))
  const bug = planted === undefined ? '' : ` --planted ${planted}`
  const alone =
    pair === undefined ? `--seeds 1 --ops ${operations}${bug}` : `--pair ${nameOfPair(pair)}`
  const command = `npm run verify:sim -- --seed ${seed} ${alone}`
  console.log(`repeat with: ${command}`)
}

function pairsOf(name: string | undefined): readonly Pair[] {
  if (name === undefined) return PAIRS
  const pair = pairOf(name)
  if (pair !== undefined) return [pair]
  const faults = Object.keys(PAIR_FAULTS).join(', ')
  const classes = Object.keys(CLASSES).join(', ')
  console.error(`verify:sim: --pair takes two of ${faults} and one of ${classes}, with commas`)
  process.exit(2)
}

function plantedOf(name: string): PlantedBug[] {
  const names = Object.keys(PLANTED_BUGS) as PlantedBug[]
  if (name === 'all') return names
  const known = names.filter((each) => each === name)
  if (known.length > 0) return known
  console.error(`verify:sim: no mistake ${JSON.stringify(name)}; there are ${names.join(', ')}`)
  process.exit(2)
}

function numberOf(name: keyof typeof values, otherwise: number): number {
  const text = values[name]
  if (text === undefined) return otherwise
  const number = Number(text)
  if (Number.isSafeInteger(number) && number >= 0) return number
  console.error(`verify:sim: --${name} ${text} is no number`)
  process.exit(2)
}
