// One server of a cluster inside this process, for tests that must reach into it.

import { nodeClock } from '../../lib/base/runtime-node.js'
import { lineLog, type Log } from '../common/log.js'
import type { RunningServer } from '../start.js'
import { Tail } from './tail.js'

/** One server of this process, started as often as it is wanted. */
export class InsideServer {
  /** The server in words: `manager`, `iod 2`. */
  readonly name: string
  readonly pid = undefined
  readonly #begin: (log: Log) => Promise<RunningServer>
  readonly #tail: Tail
  #running: RunningServer | undefined

  constructor(
    name: string,
    begin: (log: Log) => Promise<RunningServer>,
    log: (line: string) => void,
  ) {
    this.name = name
    this.#begin = begin
    this.#tail = new Tail(log)
  }

  get lines(): readonly string[] {
    return this.#tail.lines
  }

  /** Starts it; resolves when it listens. */
  async start(): Promise<void> {
    const log = lineLog(this.name, nodeClock, (line) => this.#tail.add(line))
    this.#running = await this.#begin(log)
  }

  /** Stops it in order. */
  async stop(): Promise<void> {
    const running = this.#running
    this.#running = undefined
    await running?.close()
  }
}
