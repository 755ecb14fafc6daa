// A process that runs seeds for `verify.ts`: it is sent tasks and answers each with its outcome.
import type { PlantedBug } from '../../lib/base/faults.js'
import { runSeed, type Outcome } from './run.js'
import { Violation } from './violation.js'

/** One seed to run. */
export interface Task {
  readonly seed: number
  readonly operations: number
  /** Whether to run it again and compare the hashes of the traces. */
  readonly twice: boolean
  /** The mistake that is planted, if one is. */
  readonly planted?: PlantedBug | undefined
}

// What nobody awaits must not fail either: it belongs to the seed that is just running.
const strays: Error[] = []
process.on('unhandledRejection', (error) => {
  strays.push(error instanceof Error ? error : new Error('something else', { cause: error }))
})

process.on('message', (task: Task) => {
  void perform(task).then((outcome) => process.send?.(outcome))
})

async function perform({ seed, operations, twice, planted }: Task): Promise<Outcome> {
  strays.length = 0
  const outcome = await runSeed(seed, operations, planted)
  if (outcome.violation !== undefined) return outcome
  const [stray] = strays
  if (stray !== undefined) {
    const why = stray.stack ?? stray.message
    return failed(outcome, new Violation('I10', `a failure that nobody awaits: ${why}`))
  }
  if (!twice) return outcome
  const again = await runSeed(seed, operations)
  if (again.hash === outcome.hash) return outcome
  const events = `${outcome.events} events and ${again.events}`
  return failed(outcome, new Violation('I16', `${outcome.hash} and ${again.hash}, ${events}`))
}

function failed(outcome: Outcome, { invariant, message, stack = '' }: Violation): Outcome {
  return { ...outcome, violation: { invariant, message, stack, tail: [] } }
}
