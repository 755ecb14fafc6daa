// Whose processes end when we do, even by SIGKILL: a little process that holds the other end of a pipe, is told
// through it who runs, and ends all that still do when the pipe closes. Whoever is guarded needs to know nothing of it.

import { type ChildProcess, spawn } from 'node:child_process'
import { fileURLToPath } from 'node:url'

const PROGRAM = fileURLToPath(new URL('./guard-process.js', import.meta.url))

/** Guards groups of processes of this host until it is released. */
export class Guard implements AsyncDisposable {
  readonly #process: ChildProcess
  readonly #gone: Promise<void>

  constructor() {
    // A session of its own: what is sent to our group must not end it before us.
    const child = spawn(process.execPath, [PROGRAM], {
      detached: true,
      stdio: ['pipe', 'ignore', 'ignore'],
    })
    this.#process = child
    this.#gone = new Promise((resolve) => {
      child.once('exit', () => resolve())
      // Where it cannot be started everything works but this.
      child.once('error', () => resolve())
    })
    child.stdin.on('error', () => {})
  }

  /** Guards the group of a process that has just been started detached, as long as it runs. */
  watch(child: ChildProcess): void {
    const { pid } = child
    if (pid === undefined) return
    this.#process.stdin?.write(`+${pid}\n`)
    child.once('exit', () => this.#process.stdin?.write(`-${pid}\n`))
  }

  /** Nobody is guarded any more. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#process.kill('SIGKILL')
    await this.#gone
  }
}
