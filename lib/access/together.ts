// What ranks settle in one exchange: how each of them ended, or what one of them does for all.

import { IoError, asText } from '../base/errors.js'
import type { Communicator } from '../comm/communicator.js'
import { type Failure, type PackedError, packError, settleWith, unpackError } from './outcome.js'

/** What came of work that one rank does for all, as it travels. */
export type Answer<T> =
  | { readonly value: T; readonly error?: undefined }
  | { readonly error: PackedError }

/** What a rank brings along: a value that all must give alike, or the error that keeps it from one. */
export interface Share<T> {
  readonly value?: T
  readonly error?: unknown
}

/** Makes a share at the call, before anything is awaited: a collective takes its place in the order of calls. */
export function share<T>(make: () => T): Share<T> {
  try {
    return { value: make() }
  } catch (error) {
    return { error }
  }
}

/** Runs work on one rank and packs what came of it. */
export async function answered<T>(work: () => Promise<T>): Promise<Answer<T>> {
  try {
    return { value: await work() }
  } catch (error) {
    return { error: packError(error) }
  }
}

/** What is inside an answer; throws the error that travelled. */
export function unwrapped<T>(answer: Answer<T>): T {
  if (answer.error !== undefined) throw unpackError(answer.error)
  return answer.value
}

/** An error as it travels, or undefined where there is none. */
export function packedIfAny(error: unknown): PackedError | undefined {
  return error === undefined ? undefined : packError(error)
}

/** MPI_ERR_NOT_SAME for an argument that must be equal on all ranks. */
export function notSame(
  operation: string,
  rank: number,
  theirs: unknown,
  first: unknown,
): PackedError {
  return packError(
    new IoError(
      'MPI_ERR_NOT_SAME',
      `${operation}: rank ${rank} gave ${asText(theirs)}, rank 0 ${asText(first)}`,
    ),
  )
}

/** What came of what is done for all: of an error that a rank brings along, or of the work. */
interface Once {
  readonly failure?: Failure
  readonly answer?: Answer<null>
}

/**
 * Rank 0 does it for all, so there is one result: every rank gets it. The values must be equal. A rank
 * with an error keeps it, the others get reason REMOTE, and nothing is done.
 */
export async function doOnce<T extends number | string | boolean>(
  comm: Communicator,
  operation: string,
  mine: Share<T>,
  act: (value: T) => Promise<void>,
): Promise<void> {
  const own = { error: packedIfAny(mine.error), value: mine.value }
  const { failure, answer } = await comm.consult(operation, own, async (all): Promise<Once> => {
    const rank = all.findIndex((each) => each.error !== undefined)
    const error = all[rank]?.error
    if (error !== undefined) return { failure: { rank, error } }
    const other = all.findIndex((each) => each.value !== all[0]?.value)
    if (other > 0)
      return { answer: { error: notSame(operation, other, all[other]?.value, all[0]?.value) } }
    const done = answered(async () => {
      if (mine.value !== undefined) await act(mine.value)
      return null
    })
    return { answer: await done }
  })
  settleWith(operation, failure, mine.error)
  if (answer !== undefined) unwrapped(answer)
}
