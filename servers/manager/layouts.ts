// Which layout a new file gets: what was asked for, as far as it is possible here.

import { IoError } from '../../lib/base/errors.js'
import { isLegalStripSize, type Layout } from '../../lib/layout/striping.js'
import { CHOOSE, type MANAGER, OPEN_FLAGS } from '../../lib/protocol/manager.js'
import type { RequestOf } from '../../lib/protocol/operation.js'

/** 64 KiB: the strip of PVFS, and of OrangeFS. */
export const STRIP_SIZE_DEFAULT = 65_536

/**
 * The layout that an open asks for, for the handle that the file will have. An impossible one is
 * MPI_ERR_ARG where it is an option, and made possible where it is only a hint.
 */
export function layoutFor(
  request: RequestOf<typeof MANAGER.open>,
  iodTotal: number,
): (handle: number) => Layout {
  const stripSize = stripSizeOf(request)
  const iodCount = iodCountOf(request, iodTotal)
  const firstIod = firstIodOf(request, iodTotal)
  return (handle) => ({
    stripSize,
    iodCount,
    firstIod: firstIod ?? handle % iodTotal,
    iodTotal,
  })
}

type Request = RequestOf<typeof MANAGER.open>

function stripSizeOf(request: Request): number {
  const { stripSize } = request
  if (stripSize === 0) return STRIP_SIZE_DEFAULT
  if (isLegalStripSize(stripSize)) return stripSize
  unlessHint(request, `a strip of ${stripSize} bytes is not a power of two from 4 KiB to 64 MiB`)
  return STRIP_SIZE_DEFAULT
}

function iodCountOf(request: Request, iodTotal: number): number {
  const { iodCount } = request
  if (iodCount === 0) return iodTotal
  if (iodCount > iodTotal)
    unlessHint(request, `${iodCount} iods were asked for, there are ${iodTotal}`)
  return Math.min(iodCount, iodTotal)
}

function firstIodOf(request: Request, iodTotal: number): number | undefined {
  const { firstIod } = request
  if (firstIod === CHOOSE) return undefined
  if (firstIod < iodTotal) return firstIod
  unlessHint(request, `iod ${firstIod} was asked for as the first, there are ${iodTotal}`)
  return undefined
}

function unlessHint({ flags, path }: Request, message: string): void {
  if ((flags & OPEN_FLAGS.ADVISORY) !== 0) return
  throw new IoError('MPI_ERR_ARG', `open ${JSON.stringify(path)}: ${message}`, { path })
}
