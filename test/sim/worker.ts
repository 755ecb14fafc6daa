// A process that runs seeds for `verify.ts`: it is sent tasks and answers each with its outcome.
import type { PlantedBug } from '../../lib/base/faults.js'
import type { Pair } from './pairs.js'
import { failed, runPair, runSeed, runTwice, type Outcome } from './run.js'
import { Violation } from './violation.js'

/** One seed to run. */
export interface Task {
  readonly seed: number
  readonly operations: number
  /** Whether to run it again and compare the hashes of the traces. */
  readonly twice: boolean
  /** The mistake that is planted, if one is. */
  readonly planted?: PlantedBug | undefined
  /** Two faults instead of the plan of the seed. */
  readonly pair?: Pair | undefined
}

// What nobody awaits must not fail either: it belongs to the seed that is just running.
const strays: Error[] = []
process.on('unhandledRejection', (error) => {
  strays.push(error instanceof Error ? error : new Error('something else', { cause: error }))
})

process.on('message', (task: Task) => {
  void perform(task).then((outcome) => process.send?.(outcome))
})

async function perform(task: Task): Promise<Outcome> {
  strays.length = 0
  const run = async (): Promise<Outcome> => await once(task)
  const outcome = task.twice ? await runTwice(run) : await run()
  const [stray] = strays
  if (outcome.violation !== undefined || stray === undefined) return outcome
  const why = stray.stack ?? stray.message
  return failed(outcome, new Violation('I10', `a failure that nobody awaits: ${why}`))
}

async function once({ seed, operations, planted, pair }: Task): Promise<Outcome> {
  if (pair === undefined) return await runSeed(seed, operations, planted)
  return await runPair(seed, pair)
}
