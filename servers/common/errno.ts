// Errors of the operating system as `IoError`: the only place in servers/ where one becomes the other.

import type { ErrorCode, ErrorContext } from '../../lib/base/errors.js'
import { IoError } from '../../lib/base/errors.js'

/** The MPI error class of an errno name, after ROMIO's map and four more of its pvfs2 driver. */
const CODE_OF_ERRNO: Readonly<Partial<Record<string, ErrorCode>>> = {
  EACCES: 'MPI_ERR_ACCESS',
  EPERM: 'MPI_ERR_ACCESS',
  ENAMETOOLONG: 'MPI_ERR_BAD_FILE',
  EISDIR: 'MPI_ERR_BAD_FILE',
  ENOTDIR: 'MPI_ERR_BAD_FILE',
  ELOOP: 'MPI_ERR_BAD_FILE',
  ENOENT: 'MPI_ERR_NO_SUCH_FILE',
  EROFS: 'MPI_ERR_READ_ONLY',
  EEXIST: 'MPI_ERR_FILE_EXISTS',
  ENOSPC: 'MPI_ERR_NO_SPACE',
  EFBIG: 'MPI_ERR_NO_SPACE',
  EDQUOT: 'MPI_ERR_QUOTA',
  ENOSYS: 'MPI_ERR_UNSUPPORTED_OPERATION',
  ENOMEM: 'MPI_ERR_INTERN',
}

/** The MPI error class of an errno name such as 'ENOENT'; MPI_ERR_IO for all that the map does not name. */
export function codeOfErrno(errno: string): ErrorCode {
  return CODE_OF_ERRNO[errno] ?? 'MPI_ERR_IO'
}

/** Wraps what a call of the operating system threw; `message` is all but the reason, which is added. */
export function ioErrorOf(error: unknown, message: string, context: ErrorContext = {}): IoError {
  const errno = errnoOf(error)
  if (errno === undefined) return new IoError('MPI_ERR_IO', message, { ...context, cause: error })
  return new IoError(codeOfErrno(errno), `${message} (${errno})`, {
    ...context,
    errno,
    cause: error,
  })
}

function errnoOf(error: unknown): string | undefined {
  if (!(error instanceof Error) || !('code' in error)) return undefined
  return typeof error.code === 'string' && /^E[A-Z0-9]+$/.test(error.code) ? error.code : undefined
}
