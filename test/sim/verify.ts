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
import { PLANTED_BUGS, type PlantedBug } from '../../lib/base/faults.js'
import { Options } from '../support/options.js'
import { CLASSES, nameOfPair, type Pair, PAIR_FAULTS, pairOf, PAIRS } from './pairs.js'
import { Worker } from './pool.js'
import type { Outcome } from './run.js'
import type { Task } from './worker.js'

/** Every so many a seed is run twice. */
const TWICE_EVERY = 50

/** Failures that are shown whole, and after which no more seeds are begun. */
const SHOWN_MAX = 5
const FAILURES_MAX = 20

const options = new Options('verify:sim', {
  seeds: 'value',
  seed: 'value',
  ops: 'value',
  workers: 'value',
  planted: 'value',
  within: 'value',
  pairs: 'flag',
  pair: 'value',
})

const first = options.seed() ?? 1
const operations = options.count('ops', 60)
const seeds = options.count('seeds', 200)
const within = options.count('within', 1000)
const workers = options.count('workers', availableParallelism())
const pairs = pairsOf(options.text('pair'))
const planted = plantedOf(options.text('planted'))
const started = performance.now()

if (options.flag('pairs') || options.text('pair') !== undefined) await runPairs(pairs)
else if (planted === undefined) await runSeeds(seeds)
else if (options.text('seeds') === undefined) await plantAll(planted)
else for (const bug of planted) await runSeeds(seeds, bug)

async function runSeeds(count: number, bug?: PlantedBug): Promise<void> {
  await runTasks(
    Array.from({ length: count }, (_, index) => {
      const seed = first + index
      return { seed, operations, twice: seed % TWICE_EVERY === 0, planted: bug }
    }),
  )
}

// Each pair has a seed of its own.
async function runPairs(chosen: readonly Pair[]): Promise<void> {
  await runTasks(
    chosen.map((pair) => {
      const seed = chosen.length === 1 ? first : first + PAIRS.indexOf(pair)
      return { seed, operations, twice: false, pair }
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
  const caught = new Map<PlantedBug, Outcome>()
  const hunts = bugs.map((bug) => ({ bug, next: first, running: 0 }))
  await onAllCores(async (worker) => {
    for (;;) {
      const open = hunts.filter(({ bug, next }) => !caught.has(bug) && next < first + within)
      // The one that fewest are after.
      const [hunt] = open.sort((one, other) => one.running - other.running)
      if (hunt === undefined) return
      const { bug } = hunt
      const seed = hunt.next++
      hunt.running++
      const outcome = await worker.run({ seed, operations, twice: false, planted: bug })
      hunt.running--
      const known = caught.get(bug)
      if (outcome.violation !== undefined && (known === undefined || seed < known.seed))
        caught.set(bug, outcome)
      if (known === undefined && outcome.violation !== undefined)
        console.log(`${bug} is noticed by ${outcome.violation.invariant}, seed ${seed}`)
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
  await Promise.all(
    Array.from({ length: workers }, async () => {
      using worker = new Worker()
      await work(worker)
    }),
  )
}

function summary(passed: number, failed: number): void {
  console.log(`${passed} passed, ${failed} failed`)
  if (failed > 0 || passed === 0) process.exitCode = 1
}

function show({ seed, violation }: Outcome, { planted: mistake, pair }: Task): void {
  if (violation === undefined) return
  const { message, stack, tail } = violation
  console.log(`\nseed ${seed}: ${message}`)
  console.log(tail.map((line) => `  ${line.slice(0, 300)}`).join('\n'))
  console.log(stack.split('\n').slice(1, 8).join('\n'))
  const bug = mistake === undefined ? '' : ` --planted ${mistake}`
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
  return options.wrong('pair', `two of ${faults} and one of ${classes}, with commas between`)
}

function plantedOf(name: string | undefined): readonly PlantedBug[] | undefined {
  const names = Object.keys(PLANTED_BUGS) as PlantedBug[]
  if (name === undefined || name === 'all') return name && names
  const word = options.word('planted', ['all', ...names])
  return names.filter((each) => each === word)
}
