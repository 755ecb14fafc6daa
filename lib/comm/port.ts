// What lies beneath a communicator: messages between the ranks of one job, matched by context,
// source and tag, and failures that reach everybody. Knows nothing of values, groups or collectives.

import { joined, memoryGone } from '../base/bytes.js'
import { IoError } from '../base/errors.js'
import type { RankFailure } from '../protocol/ranks.js'

/** What a message costs of `LIMITS.rankWindowBytes` besides its bytes, so that empty ones are bounded too. */
export const MESSAGE_OVERHEAD = 64

/** What a send gives that has nothing to wait for: who sees it need not await it. */
export const SENT: Promise<void> = Promise.resolve()

/** What a send rejects with whose memory is not there any more, as after a transfer to another thread. */
export function unsent(cause?: unknown): IoError {
  return memoryGone('message', UNSENT, cause)
}

const UNSENT = ' before all of it was sent'

/** Why the bytes of a message could not be copied: memory that was detached is a TypeError there. */
export function copyError(error: unknown): unknown {
  return error instanceof TypeError ? unsent(error) : error
}

/** The bytes of a message in memory of their own. MPI_ERR_BUFFER where some were detached, MPI_ERR_NO_MEM. */
export function copied(parts: readonly Uint8Array[]): Uint8Array {
  try {
    return joined(parts)
  } catch (error) {
    throw copyError(error)
  }
}

/** What who receives such a message is told: `rank` is that of the sender in the job. */
export function messageGone(rank: number): IoError {
  return new IoError(
    'MPI_ERR_BUFFER',
    `message: rank ${rank} detached its memory or made it smaller${UNSENT}`,
    { rank },
  )
}

/** What a send rejects with whose receiver has no memory for it: `rank` is that of the receiver in the job. */
export function noMemoryThere(rank: number = 0, length: number): IoError {
  const message = `message: rank ${rank} has no memory for its ${length} bytes`
  return new IoError('MPI_ERR_NO_MEM', message, { rank, length })
}

/** Bytes that are the holder's until they are given back, once. */
export interface Lent {
  readonly bytes: Uint8Array
  readonly giveBack: () => void
}

/** A message that has arrived or is offered. Of `take`, `borrow` and `drop` one must be called, once. */
export interface Incoming {
  /** Rank in the job. */
  readonly source: number
  readonly tag: number
  /** The first bytes, at most 255; they are here already. */
  readonly head: Uint8Array
  /** Bytes of the body. */
  readonly length: number
  /** The body, which nobody else holds; in its buffer there may be something before it. */
  take(): Promise<Uint8Array> | Uint8Array
  /** The same for who is done with it soon: memory that a later message gets. Only where messages have such memory. */
  borrow?(): Lent | Promise<Lent>
  /** Nobody will want it. */
  drop(): void
}

/** A message that was received. */
export interface Message {
  /** Rank in the job. */
  readonly source: number
  readonly tag: number
  readonly head: Uint8Array
  readonly body: Uint8Array
  /** To be called once nobody reads the body any more, where it is only lent. */
  readonly giveBack?: (() => void) | undefined
}

/** Whose messages are wanted, or which. */
export type Wanted = number | 'any'

/** One rank's access to the others of its job. */
export interface Port {
  /** This rank in the job. */
  readonly rank: number
  /** Ranks of the job. */
  readonly size: number
  /** What names the host of a rank: equal for ranks on one, and every rank is told the same of each. */
  hostOf(rank: number): string
  /**
   * Sends a message. Messages with one context and destination are matched in the order of the calls.
   * Resolves when the bytes may be changed again; a long message waits for its receiver. The head is the caller's again at once.
   * Memory that is detached meanwhile fails this message on both sides, and nothing else: MPI_ERR_BUFFER. So does a receiver
   * without memory for it: MPI_ERR_NO_MEM.
   */
  send(
    dest: number,
    context: number,
    tag: number,
    head: Uint8Array,
    parts: readonly Uint8Array[],
  ): Promise<void>
  /**
   * The next message that matches; receives that match the same one are served in the order of the calls. With `isLent` its
   * body may be memory that a later message gets: see `Message.giveBack`.
   */
  recv(source: Wanted, context: number, tag: Wanted, isLent?: boolean): Promise<Message>
  /** From now on all messages of a context go to `hear`, those that came before first. */
  listen(context: number, hear: (incoming: Incoming) => void): void
  /** Nothing of a context is wanted any more: what is pending rejects with `error`, what comes late is dropped. */
  forget(context: number, error: Error): void
  /** Tells all ranks, this one too, of a failure. The first one for a scope stays. */
  fail(failure: RankFailure): void
  /** Calls `hear` for each failure, those known already at once. Returns a function that ends it. */
  onFailure(hear: (failure: RankFailure) => void): () => void
  /** Makes sure that the death of `rank` is seen here, not only by those who told us so far. */
  watch(rank: number): void
  /** Leaves the job: nothing is sent or received any more. `together` = all ranks do so at this moment. */
  leave(together: boolean): Promise<void>
}
