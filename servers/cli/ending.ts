// How a command ends before its time: a signal, an output that nobody reads any more, as `head` does when
// it has read enough, or one that takes nothing more because a disk is full.

import { constants } from 'node:os'
import { deferred } from '../../lib/base/deferred.js'
import type { IoError } from '../../lib/base/errors.js'
import { ioErrorOf } from '../common/errno.js'

/** Told to end: no failure, and nothing is said of it. */
export class Interrupted extends Error {
  /** As a shell counts it. */
  readonly exitCode: number

  constructor(signal: NodeJS.Signals) {
    super(`interrupted by ${signal}`)
    this.name = 'Interrupted'
    this.exitCode = codeOfSignal(signal)
  }
}

/** The exit code of a process that a signal has ended, as a shell counts it. */
export function codeOfSignal(signal: NodeJS.Signals): number {
  return 128 + constants.signals[signal]
}

/** Takes what is wrong with an output; undefined where its reader has gone. */
type OutputLost = (error: IoError | undefined) => void

let outputLost: OutputLost = endAtOnce

/** From now on this process ends when an output is lost: silently, if only its reader has gone. */
export function watchOutputs(): void {
  const outputs = [
    ['standard output', process.stdout],
    ['standard error', process.stderr],
  ] as const
  for (const [name, output] of outputs) {
    output.on('error', (error: NodeJS.ErrnoException) => {
      // A socket tells it by the second name.
      const isGone = error.code === 'EPIPE' || error.code === 'ECONNRESET'
      outputLost(isGone ? undefined : ioErrorOf(error, `${name}: it cannot be written`))
    })
  }
}

/** From now on a lost output is nothing to end for: a server does its work without. */
export function outliveOutputs(): void {
  outputLost = () => {}
}

/**
 * Aborts when this process is told to end, or has lost an output; what was begun is put in order then,
 * however often Ctrl-C is pressed meanwhile. The reason is what to end with: `Interrupted` or an `IoError`.
 */
export function untilInterrupted(): AbortSignal {
  const wish = new AbortController()
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.on(signal, () => wish.abort(new Interrupted(signal)))
  }
  outputLost = (error) => wish.abort(error ?? new Interrupted('SIGPIPE'))
  return wish.signal
}

/**
 * Settles as `work` does, which is not begun if `signal` is aborted already. If that happens meanwhile, what is under way
 * is given `restMs` to come to an end, so that nothing is taken away from under it; then the reason of the signal is told.
 */
export async function unlessAborted<T>(
  signal: AbortSignal,
  work: () => Promise<T>,
  restMs = REST_MS,
): Promise<T> {
  signal.throwIfAborted()
  const running = work()
  const over = deferred<void>()
  let timer: NodeJS.Timeout | undefined
  const limit = (): void => {
    timer = setTimeout(() => over.resolve(), restMs)
  }
  signal.addEventListener('abort', limit)
  try {
    await Promise.race([Promise.allSettled([running]), over.promise])
    // What failed because of it is not what happened.
    signal.throwIfAborted()
    return await running
  } finally {
    signal.removeEventListener('abort', limit)
    clearTimeout(timer)
  }
}

/** 2 s: what is under way when a command is told to end may take so long to come to its own end. */
const REST_MS = 2_000

/** 5 s: what putting things in order may take, with that. */
const ORDER_MS = 5_000

/** This process ends with what `reason`, that of `untilInterrupted`, says, whatever is still waited for after some time. */
export function endSoon(reason: unknown): void {
  const code = reason instanceof Interrupted ? reason.exitCode : 1
  setTimeout(() => process.exit(code), ORDER_MS).unref()
}

function endAtOnce(error: IoError | undefined): void {
  if (error === undefined) process.exit(codeOfSignal('SIGPIPE'))
  // Where this cannot be written either, the exit code alone has to do.
  outliveOutputs()
  process.stderr.write(`rankio: ${error.message}\n`)
  process.exit(1)
}
