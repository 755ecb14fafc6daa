// A rank as a process of its own that carries out tasks, one after the other, until its parent is gone.
import { nodeRuntime } from '../../lib/transport/runtime.js'
import { countedRuntime } from './counted.js'
import { rankOver } from './targets.js'
import { type TaskAnswer, type TaskMessage, type TaskRankPlan, TASKS } from './tasks.js'
import type { TaskRank } from './tasks/rank.js'

await attend(JSON.parse(process.argv[2] ?? '{}') as TaskRankPlan)

async function attend({ rank, size, job, manager, transport }: TaskRankPlan): Promise<void> {
  const { runtime, frames } = countedRuntime(nodeRuntime())
  const env = { RANKIO_RANK: String(rank), RANKIO_SIZE: String(size), RANKIO_JOB: job }
  const comm = await rankOver(transport, manager, env, runtime)
  const self: TaskRank = { comm, manager, frames, files: new Map() }
  process.once('disconnect', () => process.exit())
  process.on('message', (message: TaskMessage) => {
    void carryOut(self, message).then((answer) => process.send?.(answer))
  })
  process.send?.('ready')
}

async function carryOut(rank: TaskRank, { name, order }: TaskMessage): Promise<TaskAnswer> {
  // What a task is given was checked where it was sent.
  const task = TASKS[name] as (rank: TaskRank, order: unknown) => Promise<unknown>
  try {
    return { result: await task(rank, order) }
  } catch (error) {
    return { failure: error instanceof Error ? (error.stack ?? error.message) : String(error) }
  }
}
