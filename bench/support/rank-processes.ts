// Ranks as processes of their own: starts a script as often as there are ranks, hands out orders, and takes the
// reports. Knows nothing of what is ordered.
import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { IoError } from '../../lib/base/errors.js'

/** 5 s: a rank that is let go ends at once, unless it is busy. */
const LEAVE_MS = 5000

/** What a report has where an order could not be carried out. */
export interface Failable {
  readonly failure?: string | undefined
}

/** The rank processes of one job. A rank sends a message once it has joined its job, then one for each order. */
export class RankProcesses<Order extends object, Report extends Failable>
  implements AsyncDisposable
{
  readonly #ranks: readonly RankProcess[]

  private constructor(ranks: readonly RankProcess[]) {
    this.#ranks = ranks
  }

  /** Starts `script` once for each plan; resolves when all have joined their job. */
  static async start<Order extends object, Report extends Failable>(
    script: string,
    plans: readonly object[],
  ): Promise<RankProcesses<Order, Report>> {
    const ranks = plans.map((plan, rank) => new RankProcess(script, rank, plan))
    try {
      await Promise.all(ranks.map(async (rank) => await rank.ready))
    } catch (error) {
      for (const rank of ranks) rank.kill()
      throw error
    }
    return new RankProcesses(ranks)
  }

  /** Process ids, by rank. */
  get pids(): number[] {
    return this.#ranks.map(({ pid }) => pid)
  }

  /** Has all of them carry out one order; resolves when the last has. MPI_ERR_IO if one cannot. */
  async order(order: Order | ((rank: number) => Order), what: string): Promise<Report[]> {
    return await Promise.all(
      this.#ranks.map(async (rank, index) => {
        const report = await rank.order(typeof order === 'function' ? order(index) : order)
        const { failure } = report as Report
        if (failure === undefined) return report as Report
        throw new IoError('MPI_ERR_IO', `rank ${index}, ${what}: ${failure}`)
      }),
    )
  }

  /** Ends those that have not ended by themselves. */
  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.#ranks.map(async (rank) => await rank.leave()))
  }
}

/** One rank process, which does one thing at a time. */
class RankProcess {
  /** Resolves when it has joined its job. */
  readonly ready: Promise<unknown>
  readonly #rank: number
  readonly #child: ChildProcess

  constructor(script: string, rank: number, plan: object) {
    this.#rank = rank
    this.#child = fork(script, [JSON.stringify(plan)])
    this.ready = this.#answer()
  }

  get pid(): number {
    return this.#child.pid ?? 0
  }

  async order(order: object): Promise<unknown> {
    const answer = this.#answer()
    this.#child.send(order)
    return await answer
  }

  /** Lets it end by itself, as who writes a profile must; what does not is killed. */
  async leave(): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return
    const gone = once(this.#child, 'exit')
    const late = setTimeout(() => this.kill(), LEAVE_MS)
    if (this.#child.connected) this.#child.disconnect()
    await gone
    clearTimeout(late)
  }

  kill(): void {
    this.#child.kill('SIGKILL')
  }

  #answer(): Promise<unknown> {
    return new Promise((resolve, reject) => {
      const ended = (code: number | null): void =>
        reject(new IoError('MPI_ERR_IO', `rank ${this.#rank}: it ended with exit code ${code}`))
      this.#child.once('exit', ended)
      this.#child.once('message', (message) => {
        this.#child.off('exit', ended)
        resolve(message)
      })
    })
  }
}
