// Access modes of a file: the bits of the MPI 5.0 ABI, and which of them go together.

import { IoError, shown } from '../base/errors.js'

/** Access modes, or-ed together: exactly one of RDONLY, WRONLY and RDWR, and any of the others. */
export const Mode = {
  /** Both pointers start at the end of the file. */
  APPEND: 1,
  /** The file is made if it is missing. */
  CREATE: 2,
  /** The file is removed when all have closed it. */
  DELETE_ON_CLOSE: 4,
  /** With CREATE: it is an error if the file exists. */
  EXCL: 8,
  RDONLY: 16,
  RDWR: 32,
  /** Only the shared pointer is used. */
  SEQUENTIAL: 64,
  /** Nobody else opens the file: a promise of the caller, without effect here. */
  UNIQUE_OPEN: 128,
  WRONLY: 256,
} as const

const ALL = Object.values(Mode).reduce((bits, bit) => bits | bit, 0)

/** Checks a combination of modes. MPI_ERR_AMODE says what is wrong with it. */
export function checkMode(amode: unknown): number {
  const refuse = (why: string): never => {
    throw new IoError('MPI_ERR_AMODE', `access mode ${shown(amode)}: ${why}`)
  }
  // All bits are in use, so that what has others is out of range; bit operators would drop high ones.
  if (typeof amode !== 'number' || !Number.isInteger(amode) || amode < 0 || amode > ALL)
    return refuse('not a combination of the bits of Mode')
  const ways = [Mode.RDONLY, Mode.WRONLY, Mode.RDWR].filter((bit) => (amode & bit) !== 0)
  if (ways.length !== 1) refuse('exactly one of RDONLY, WRONLY and RDWR is needed')
  if (has(amode, Mode.RDONLY) && (has(amode, Mode.CREATE) || has(amode, Mode.EXCL)))
    refuse('a file that is only read is not created')
  if (has(amode, Mode.RDWR) && has(amode, Mode.SEQUENTIAL))
    refuse('RDWR and SEQUENTIAL do not go together')
  return amode
}

/** Whether a mode has a bit. */
export function has(amode: number, bit: number): boolean {
  return (amode & bit) !== 0
}
