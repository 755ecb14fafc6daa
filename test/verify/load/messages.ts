// What a rank under load is told, and what it tells.
import { IoError, isIoError, type ClientCounts } from '../../../lib/index.js'
import type { Timing } from '../../../lib/base/timing.js'

/** Environment variable with the task of a rank. */
export const TASK_VARIABLE = 'RANKIO_LOAD_TASK'

/** What a rank has to do. */
export interface Task {
  readonly work: 'mixed' | 'many files'
  readonly timing: Timing
  readonly seed: number
  /** Writers of this job are numbered from here on, by rank. */
  readonly firstWriter: number
  /** Folder of the logs. */
  readonly folder: string
  /** Names of the files; their places in this list, from `firstFile` on, are their numbers in the history. */
  readonly names: readonly string[]
  readonly firstFile: number
  /** Cells of a file. */
  readonly cells: number
}

/** Path of the log of a rank. */
export function logOf(folder: string, rank: number): string {
  return `${folder}/${rank}.log`
}

/** An error as far as it can be told to another process. */
export interface Told {
  readonly message: string
  readonly reason: string | undefined
  readonly rank: number | undefined
}

/** What a rank tells. */
export type Report =
  /** Its files are open. */
  | { readonly kind: 'ready' }
  /** So many of its writes were acknowledged. */
  | { readonly kind: 'progress'; readonly writes: number }
  /** It cannot go on, and waits to be told to leave. */
  | { readonly kind: 'failed'; readonly error: Told }
  /** What it met while it left. */
  | { readonly kind: 'left'; readonly errors: readonly Told[] }
  /** It has done all in order. */
  | {
      readonly kind: 'done'
      readonly counts: ClientCounts
      /** Descriptors when all was open, and later, when it was idle. */
      readonly descriptors: readonly [before: number, after: number]
    }

/** What a rank is told: to end in order, or that everybody knows what has failed. */
export type Command = 'end' | 'leave'

/** An error for another process, with what led to it. */
export function toldOf(error: unknown): Told {
  const message = error instanceof Error ? (error.stack ?? error.message) : String(error)
  for (let cause = error; cause instanceof Error; cause = cause.cause) {
    if (!isIoError(cause)) continue
    const { reason, rank } = (cause satisfies IoError).context
    if (reason === 'RANK_DIED') return { message, reason, rank }
  }
  const reason = isIoError(error) ? error.context.reason : undefined
  return { message, reason, rank: undefined }
}
