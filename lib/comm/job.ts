// What the communicators of one job share on one rank: who it is, where the manager is, and what has
// to be done before the rank leaves. The file layer hangs its clients here.

import type { Runtime } from '../base/runtime.js'
import type { Timing } from '../base/timing.js'
import type { Link } from '../transport/link.js'

/** What a job is made of. */
export interface JobOptions {
  /** Equal on all ranks of the job, different from other jobs of the manager. */
  readonly id: string
  readonly runtime: Runtime
  readonly timing: Timing
  /** 128 bits in hexadecimal; one a rank. */
  readonly clientId: string
  /** 128 bits in hexadecimal; one a job. */
  readonly sessionId: string
  /** May be a getter that fails: who is alone needs no manager before the first path without one. */
  readonly managerUrl: string | undefined
  /** The link over which the rank joined; undefined where it did not have to. */
  readonly managerLink: Link | undefined
}

/** What a rank does before it leaves; `together` = all ranks leave in order, at this moment. */
export type EndCallback = (together: boolean) => void | Promise<void>

/** One rank's view of its job. Internal: for the file layer. */
export class Job {
  readonly id: string
  readonly runtime: Runtime
  readonly timing: Timing
  readonly clientId: string
  readonly managerLink: Link | undefined
  readonly #options: JobOptions
  readonly #callbacks: EndCallback[] = []
  readonly #whenLowest: (() => void)[] = []
  #isLowest = false
  #ended: Promise<unknown> | undefined

  constructor(options: JobOptions) {
    this.id = options.id
    this.runtime = options.runtime
    this.timing = options.timing
    this.clientId = options.clientId
    this.#options = options
    this.managerLink = options.managerLink
  }

  /** The session under which this rank opens files. */
  sessionId(): string {
    return this.#options.sessionId
  }

  /** The manager of a path without one, if there is any. MPI_ERR_ARG where the environment names none that can be. */
  get managerUrl(): string | undefined {
    return this.#options.managerUrl
  }

  /** `act` is called when no lower rank of the job is alive, at once if that is so: one rank does what one must do. */
  whenLowest(act: () => void): void {
    if (this.#isLowest) act()
    else this.#whenLowest.push(act)
  }

  /** No lower rank is alive any more. */
  becomeLowest(): void {
    this.#isLowest = true
    for (const act of this.#whenLowest.splice(0)) act()
  }

  /** `callback` runs when the rank leaves the job, before the connections to other ranks end; the last one first. */
  onEnd(callback: EndCallback): void {
    this.#callbacks.push(callback)
  }

  /** Runs the callbacks, once, and resolves with the first error of theirs, or undefined. */
  end(together: boolean): Promise<unknown> {
    this.#ended ??= this.#end(together)
    return this.#ended
  }

  async #end(together: boolean): Promise<unknown> {
    const errors: unknown[] = []
    // One after another, the last one first: what came later may use what came before.
    for (const callback of this.#callbacks.splice(0).reverse()) {
      try {
        await callback(together)
      } catch (error) {
        errors.push(error)
      }
    }
    return errors[0]
  }
}
