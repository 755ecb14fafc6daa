// The one error type of the library and the two tables behind it: MPI's error classes, and the
// reasons that a class is too coarse for. Knows nothing of operating systems or of the wire.

interface ErrorEntry {
  readonly errorClass: number
  readonly meaning: string
}

/** Every error code of this library: an MPI error class, its number in the MPI 5.0 ABI, and its meaning here. */
export const ERRORS = {
  MPI_ERR_BUFFER: {
    errorClass: 1,
    meaning: 'No buffer, one that is too small, or one that was detached.',
  },
  MPI_ERR_COUNT: { errorClass: 2, meaning: 'A count is negative or is no safe integer.' },
  MPI_ERR_TYPE: { errorClass: 3, meaning: 'Not a datatype.' },
  MPI_ERR_TAG: { errorClass: 4, meaning: 'A message tag is out of range.' },
  MPI_ERR_COMM: { errorClass: 5, meaning: 'Not a communicator, or one that was freed.' },
  MPI_ERR_RANK: { errorClass: 6, meaning: 'A rank is out of range.' },
  MPI_ERR_ROOT: { errorClass: 8, meaning: 'A root is out of range.' },
  MPI_ERR_OP: {
    errorClass: 10,
    meaning: 'Not a reduction operation, or not one for these values.',
  },
  MPI_ERR_ARG: {
    errorClass: 13,
    meaning: 'An argument is wrong: an offset, a size, a hint of a command.',
  },
  MPI_ERR_OTHER: {
    errorClass: 16,
    meaning: 'What fits nowhere else; `context.reason` may say more.',
  },
  MPI_ERR_INTERN: { errorClass: 17, meaning: 'A protocol error between the library and a server.' },
  MPI_ERR_ACCESS: {
    errorClass: 20,
    meaning: 'Permission denied, or reading a file that is open for writing only.',
  },
  MPI_ERR_AMODE: { errorClass: 21, meaning: 'An illegal combination of access modes.' },
  MPI_ERR_BAD_FILE: {
    errorClass: 23,
    meaning: 'A bad path: too long, a part that is no directory, or a directory.',
  },
  MPI_ERR_FILE_EXISTS: { errorClass: 28, meaning: 'The file exists.' },
  MPI_ERR_FILE: { errorClass: 30, meaning: 'The file is closed.' },
  MPI_ERR_INFO_KEY: { errorClass: 31, meaning: 'The key of a hint is longer than 256 characters.' },
  MPI_ERR_INFO_VALUE: {
    errorClass: 33,
    meaning: 'The value of a hint is longer than 1024 characters.',
  },
  MPI_ERR_IO: {
    errorClass: 35,
    meaning: 'Any other failure of input or output; `context.reason` says which.',
  },
  MPI_ERR_NO_MEM: {
    errorClass: 39,
    meaning: 'There is no memory for a message, or for what is gathered or exchanged.',
  },
  MPI_ERR_NOT_SAME: {
    errorClass: 40,
    meaning: 'Ranks called different collectives, or with arguments that must be equal.',
  },
  MPI_ERR_NO_SPACE: { errorClass: 41, meaning: 'An iod has no space left.' },
  MPI_ERR_NO_SUCH_FILE: { errorClass: 42, meaning: 'The file does not exist.' },
  MPI_ERR_QUOTA: { errorClass: 44, meaning: 'A quota is exceeded.' },
  MPI_ERR_READ_ONLY: {
    errorClass: 45,
    meaning: 'The file is open for reading only, or the file system is read-only.',
  },
  MPI_ERR_UNSUPPORTED_DATAREP: { errorClass: 54, meaning: 'Not a data representation.' },
  MPI_ERR_UNSUPPORTED_OPERATION: {
    errorClass: 55,
    meaning: 'The operation is not possible on this file.',
  },
  MPI_ERR_VALUE_TOO_LARGE: {
    errorClass: 59,
    meaning: 'A computed offset or size is beyond 2^53 - 1.',
  },
} as const satisfies Record<string, ErrorEntry>

/** The name of an MPI error class. */
export type ErrorCode = keyof typeof ERRORS

/** What may be done about an error: the classes of the client's ladder of retries. */
export type Recovery = 'transport' | 'wait' | 'state' | 'final'

interface ReasonEntry {
  readonly code: ErrorCode
  readonly recovery: Recovery
  readonly meaning: string
}

/**
 * What MPI's classes are too coarse for, and what may be done about it. Only reasons whose recovery
 * is `final` reach a program, the others are handled by the ladder of retries; when the ladder
 * gives up they become the cause of a final one.
 */
export const REASONS = {
  DISCONNECTED: {
    code: 'MPI_ERR_IO',
    recovery: 'transport',
    meaning: 'The connection ended without a reply.',
  },
  TIMEOUT: {
    code: 'MPI_ERR_IO',
    recovery: 'transport',
    meaning: 'One attempt saw no progress in time.',
  },
  WIRE_CHECKSUM: {
    code: 'MPI_ERR_IO',
    recovery: 'transport',
    meaning: 'A frame was damaged on the wire.',
  },
  SYNCING: {
    code: 'MPI_ERR_IO',
    recovery: 'wait',
    meaning: 'The manager waits for an iod that is starting.',
  },
  BEHIND: {
    code: 'MPI_ERR_IO',
    recovery: 'wait',
    meaning: 'An iod is catching up with the manager.',
  },
  BUSY: {
    code: 'MPI_ERR_IO',
    recovery: 'wait',
    meaning: 'A server holds the request back for a moment.',
  },
  STALE: {
    code: 'MPI_ERR_IO',
    recovery: 'state',
    meaning: 'A server definitely does not know the capability.',
  },
  FENCED: {
    code: 'MPI_ERR_IO',
    recovery: 'state',
    meaning: 'An iod refuses the token of a range lock; the manager may have a newer one.',
  },
  IOD_DOWN: {
    code: 'MPI_ERR_IO',
    recovery: 'final',
    meaning: 'An iod was not reachable within the deadline.',
  },
  MANAGER_DOWN: {
    code: 'MPI_ERR_IO',
    recovery: 'final',
    meaning: 'The manager was not reachable within the deadline.',
  },
  DATA_LOST: {
    code: 'MPI_ERR_IO',
    recovery: 'final',
    meaning: 'An iod lost acknowledged writes that were not synced.',
  },
  LEASE_LOST: {
    code: 'MPI_ERR_IO',
    recovery: 'final',
    meaning: 'The session of the client has ended, and its opens with it.',
  },
  LOCK_LOST: {
    code: 'MPI_ERR_IO',
    recovery: 'final',
    meaning:
      'A rank did not renew the lock of an atomic access in time; what it still sent was refused.',
  },
  CHECKSUM: {
    code: 'MPI_ERR_IO',
    recovery: 'final',
    meaning: 'Bytes on disk do not match their checksum.',
  },
  PIECE_LOST: {
    code: 'MPI_ERR_IO',
    recovery: 'final',
    meaning: 'A datafile that should exist is missing on an iod.',
  },
  REMOTE: {
    code: 'MPI_ERR_IO',
    recovery: 'final',
    meaning: 'Another rank of the collective failed; `context.rank` names it.',
  },
  DEADLINE: {
    code: 'MPI_ERR_IO',
    recovery: 'final',
    meaning: 'A rank did not enter the collective in time.',
  },
  ABORTED: {
    code: 'MPI_ERR_IO',
    recovery: 'final',
    meaning: '`comm.abort()` was called; `context.rank` names the caller.',
  },
  RANK_DIED: {
    code: 'MPI_ERR_IO',
    recovery: 'final',
    meaning: 'A rank of the job died; `context.rank` names it.',
  },
  PROTOCOL: {
    code: 'MPI_ERR_INTERN',
    recovery: 'final',
    meaning: 'A peer sent what the protocol does not allow.',
  },
} as const satisfies Record<string, ReasonEntry>

/** The name of a reason. */
export type Reason = keyof typeof REASONS

/** What is known about an error; what does not apply is absent. */
export interface ErrorContext {
  readonly reason?: Reason
  /** Name of the operating system's error beneath, for example 'ENOENT'. */
  readonly errno?: string
  readonly path?: string
  /** Where a server was looked for, in words. */
  readonly address?: string
  readonly rank?: number
  readonly iod?: number
  readonly offset?: number
  readonly length?: number
  /** Milliseconds after which a `wait` is worth repeating. */
  readonly retryAfterMs?: number
}

/** The one error type that the library raises. Programs branch on `code` and `context.reason`; people read `message`. */
export class IoError extends Error {
  override readonly name = 'IoError'
  readonly code: ErrorCode
  /** The number of the class in the MPI 5.0 ABI. */
  readonly errorClass: number
  readonly context: ErrorContext

  constructor(code: ErrorCode, message: string, options: ErrorContext & ErrorOptions = {}) {
    const { cause, ...context } = options
    super(message, cause === undefined ? undefined : { cause })
    this.code = code
    this.errorClass = ERRORS[code].errorClass
    this.context = context
  }
}

/** Whether `value` is an `IoError`, and of one of `codes` where any are given. */
export function isIoError(value: unknown, ...codes: readonly ErrorCode[]): value is IoError {
  return value instanceof IoError && (codes.length === 0 || codes.includes(value.code))
}

/** The text of any value; of what has none, such as an object without prototype, its type in brackets. */
export function asText(value: unknown): string {
  try {
    return String(value)
  } catch {
    return `[${typeof value}]`
  }
}

/** Any value as messages show it: text in quotation marks. */
export function shown(value: unknown): string {
  return typeof value === 'string' ? JSON.stringify(value) : asText(value)
}

/** What an error says; of what is thrown and is none, its text. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : asText(error)
}

/** Makes an error from its reason; the code is the one of the table. */
export function errorOf(
  reason: Reason,
  message: string,
  options: Omit<ErrorContext, 'reason'> & ErrorOptions = {},
): IoError {
  return new IoError(REASONS[reason].code, message, { ...options, reason })
}

/** What may be done about `error`: `final` for all that the table of reasons does not name. */
export function recoveryOf(error: unknown): Recovery {
  if (!(error instanceof IoError) || error.context.reason === undefined) return 'final'
  return REASONS[error.context.reason].recovery
}
