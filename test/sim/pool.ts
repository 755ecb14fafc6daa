// The processes that run seeds, so that every core has one; one that does not answer is replaced.
import { type ChildProcess, fork } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { deadline } from '../support/assertions.js'
import type { Outcome } from './run.js'
import type { Task } from './worker.js'

/** A run takes some hundred milliseconds; one that takes this long does not end. */
const RUN_LIMIT_MS = 120_000

/** One process at a time. */
export class Worker implements Disposable {
  #process: ChildProcess | undefined

  /** Runs one seed; a process that dies or does not end is a failure of the seed. */
  async run(task: Task): Promise<Outcome> {
    try {
      return await deadline(`seed ${task.seed}`, RUN_LIMIT_MS, this.#ask(task))
    } catch (error) {
      this.#process?.kill('SIGKILL')
      this.#process = undefined
      const message = `I10: ${String(error)}`
      const violation = { invariant: 'I10', message, stack: '', tail: [] } as const
      return { seed: task.seed, hash: '', events: 0, operations: 0, violation }
    }
  }

  [Symbol.dispose](): void {
    if (this.#process?.connected === true) this.#process.disconnect()
  }

  #ask(task: Task): Promise<Outcome> {
    const program = fileURLToPath(new URL('./worker.js', import.meta.url))
    // Ranks die with files open: that these are forgotten later is no news.
    const execArgv = [...process.execArgv, '--disable-warning=RANKIO_NOT_CLOSED']
    const worker = (this.#process ??= fork(program, { execArgv }))
    return new Promise<Outcome>((resolve, reject) => {
      const died = (): void => reject(new Error('the process that ran it has died'))
      worker.once('exit', died)
      worker.once('message', (outcome) => {
        worker.off('exit', died)
        resolve(outcome as Outcome)
      })
      worker.send(task)
    })
  }
}
