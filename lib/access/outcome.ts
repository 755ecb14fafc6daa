// How ranks agree on how a collective ended: each rank settles alike. The rank with the cause keeps
// its error, the others get MPI_ERR_IO with reason REMOTE, naming the lowest rank that failed.

import { errorOf, type ErrorCode, type ErrorContext, IoError, messageOf } from '../base/errors.js'

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
    message: messageOf(error),
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

/** Who failed, and how: of several the lowest rank. */
export interface Failure {
  readonly rank: number
  readonly error: PackedError
}

/** Throws if any rank has failed: this rank's own error, or one that names the lowest that failed. */
export function settleAlike(
  operation: string,
  failures: readonly (PackedError | undefined)[],
  own: unknown,
): void {
  const rank = failures.findIndex((failure) => failure !== undefined)
  const error = failures[rank]
  settleWith(operation, error === undefined ? undefined : { rank, error }, own)
}

/** The same, where the ranks know of the lowest that failed only. */
export function settleWith(operation: string, failure: Failure | undefined, own: unknown): void {
  if (own !== undefined) throw own
  if (failure !== undefined) throw remoteError(operation, failure)
}

/** What the ranks get that have not failed themselves. */
export function remoteError(operation: string, { rank, error }: Failure): IoError {
  const message = `${operation}: rank ${rank} failed: ${error.message}`
  return errorOf('REMOTE', message, { rank, cause: unpackError(error) })
}

/** Of the failures of ranks in their order, the first. */
export function firstFailure(failures: readonly (Failure | undefined)[]): Failure | undefined {
  return failures.find((failure) => failure !== undefined)
}
