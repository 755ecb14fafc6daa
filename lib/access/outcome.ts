// How ranks agree on how a collective ended: each rank settles alike. The rank with the cause keeps
// its error, the others get MPI_ERR_IO with reason REMOTE, naming the lowest rank that failed.

import { errorOf, type ErrorCode, type ErrorContext, IoError } from '../base/errors.js'

/** An error as it travels between ranks. */
export interface PackedError {
  readonly code: ErrorCode
  readonly message: string
  readonly context: ErrorContext
}

/** Makes an error that can travel. What is no `IoError` is a bug, and travels as MPI_ERR_OTHER. */
export function packError(error: unknown): PackedError {
  if (error instanceof IoError)
    return { code: error.code, message: error.message, context: error.context }
  return {
    code: 'MPI_ERR_OTHER',
    message: error instanceof Error ? error.message : String(error),
    context: {},
  }
}

/** The error that has travelled. */
export function unpackError({ code, message, context }: PackedError): IoError {
  return new IoError(code, message, context)
}

/** The result of `work`, or what it threw. */
export async function attempt<T>(
  work: () => Promise<T> | T,
): Promise<{ readonly value?: T; readonly error?: unknown }> {
  try {
    return { value: await work() }
  } catch (error) {
    return { error }
  }
}

/** Throws if any rank has failed: this rank's own error, or one that names the lowest that failed. */
export function settleAlike(
  operation: string,
  failures: readonly (PackedError | undefined)[],
  own: unknown,
): void {
  if (own !== undefined) throw own
  const rank = failures.findIndex((failure) => failure !== undefined)
  const failure = failures[rank]
  if (failure === undefined) return
  throw errorOf('REMOTE', `${operation}: rank ${rank} failed: ${failure.message}`, {
    rank,
    cause: unpackError(failure),
  })
}
