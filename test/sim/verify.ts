// `npm run verify:sim`: runs seeds of the simulator on all cores, and prints what did not hold.
//
//   --seeds N     how many, 200 unless given
//   --seed S      the first one, 1 unless given; they are numbered on from there
//   --ops 60      operations of a run, at the most
//   --workers W   processes, as many as there are cores unless given
//
// Every fiftieth seed is run twice, and must give the same trace. Exit code 1 if anything did not hold.
import { type ChildProcess, fork } from 'node:child_process'
import { availableParallelism } from 'node:os'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { deadline } from '../support/assertions.js'
import type { Outcome } from './run.js'
import type { Task } from './worker.js'

/** Every so many a seed is run twice. */
const TWICE_EVERY = 50

/** Failures that are shown whole. */
const SHOWN_MAX = 5

/** A run takes some hundred milliseconds; one that takes this long does not end. */
const RUN_LIMIT_MS = 120_000

const { values } = parseArgs({
  options: {
    seeds: { type: 'string' },
    seed: { type: 'string' },
    ops: { type: 'string' },
    workers: { type: 'string' },
  },
})

const first = numberOf('seed', 1)
const seeds = numberOf('seeds', 200)
const operations = numberOf('ops', 60)
const started = performance.now()
const failures: Outcome[] = []
let passed = 0
let events = 0
let done = 0
let next = first

await Promise.all(Array.from({ length: numberOf('workers', availableParallelism()) }, work))
for (const failure of failures.sort((one, other) => one.seed - other.seed).slice(0, SHOWN_MAX))
  show(failure)
const minutes = (performance.now() - started) / 60_000
console.log(
  `${passed + failures.length} seeds, ${done} operations, ${events} events, ` +
    `${minutes.toFixed(2)} min, ${Math.round((passed + failures.length) / minutes)} seeds a minute`,
)
console.log(`${passed} passed, ${failures.length} failed`)
if (failures.length > 0 || passed === 0) process.exitCode = 1

// One process after the other, should one not come back.
async function work(): Promise<void> {
  let worker: ChildProcess | undefined
  while (next < first + seeds && failures.length < 20) {
    const seed = next++
    worker ??= fork(fileURLToPath(new URL('./worker.js', import.meta.url)))
    const outcome = await ask(worker, { seed, operations, twice: seed % TWICE_EVERY === 0 })
    if (outcome.violation === undefined) passed++
    else failures.push(outcome)
    events += outcome.events
    done += outcome.operations
    if (outcome.events > 0) continue
    worker.kill('SIGKILL')
    worker = undefined
  }
  worker?.disconnect()
}

async function ask(worker: ChildProcess, task: Task): Promise<Outcome> {
  const answer = new Promise<Outcome>((resolve, reject) => {
    const died = (): void => reject(new Error('the process that ran it has died'))
    worker.once('exit', died)
    worker.once('message', (outcome) => {
      worker.off('exit', died)
      resolve(outcome as Outcome)
    })
    worker.send(task)
  })
  try {
    return await deadline(`seed ${task.seed}`, RUN_LIMIT_MS, answer)
  } catch (error) {
    const message = `I10: ${String(error)}`
    const violation = { invariant: 'I10', message, stack: '', tail: [] } as const
    return { seed: task.seed, hash: '', events: 0, operations: 0, violation }
  }
}

function show({ seed, violation }: Outcome): void {
  if (violation === undefined) return
  const { message, stack, tail } = violation
  console.log(`\nseed ${seed}: ${message}`)
  console.log(tail.map((line) => `  ${line.slice(0, 300)}`).join('\n'))
  console.log(stack.split('\n').slice(1, 8).join('\n'))
  console.log(`repeat with: npm run verify:sim -- --seed ${seed} --seeds 1 --ops ${operations}`)
}

function numberOf(name: keyof typeof values, otherwise: number): number {
  const text = values[name]
  if (text === undefined) return otherwise
  const number = Number(text)
  if (Number.isSafeInteger(number) && number >= 0) return number
  console.error(`verify:sim: --${name} ${text} is no number`)
  process.exit(2)
}
