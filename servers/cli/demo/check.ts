// The demo's look from outside: the digests of the input, and the datafiles read straight from the
// iods' directories, each byte compared with where the layout says that it is.

import { createHash } from 'node:crypto'
import { closeSync, fstatSync, openSync, readSync } from 'node:fs'
import { type FileStat, IoError } from '../../../lib/index.js'
import { fileOffsetOf, iodOfPart, localSizeOf } from '../../../lib/layout/striping.js'
import type { Cluster } from '../../cluster.js'

/** Bytes compared at a time. */
const CHUNK_BYTES = 1024 * 1024

interface Block {
  readonly offset: number
  readonly length: number
}

/** SHA-256 of a file and of blocks of it, which follow each other and cover it. */
export function digestsOf(
  path: string,
  blocks: readonly Block[],
): { readonly whole: string; readonly blocks: readonly string[] } {
  const source = openSync(path, 'r')
  const whole = createHash('sha256')
  const buffer = new Uint8Array(CHUNK_BYTES)
  try {
    const digests = blocks.map(({ offset, length }) => {
      const hash = createHash('sha256')
      for (let at = 0; at < length; ) {
        const bytes = readSync(source, buffer, 0, Math.min(CHUNK_BYTES, length - at), offset + at)
        if (bytes === 0)
          throw new IoError(
            'MPI_ERR_IO',
            `input ${JSON.stringify(path)}: it became shorter meanwhile`,
          )
        hash.update(buffer.subarray(0, bytes))
        whole.update(buffer.subarray(0, bytes))
        at += bytes
      }
      return hash.digest('hex')
    })
    return { whole: whole.digest('hex'), blocks: digests }
  } finally {
    closeSync(source)
  }
}

/** Compares the datafiles of a file with the input, byte by byte; the bytes of each iod. */
export function checkDatafiles(
  cluster: Cluster,
  { layout, handle, size }: FileStat,
  input: string,
): number[] {
  if (layout === undefined) throw new IoError('MPI_ERR_IO', 'the file has no layout')
  const bytesPerIod = Array.from({ length: cluster.iodCount }, () => 0)
  const source = openSync(input, 'r')
  try {
    const inputSize = fstatSync(source).size
    if (size !== inputSize)
      throw new IoError('MPI_ERR_IO', `the file has ${size} bytes, the input ${inputSize}`)
    for (let part = 0; part < layout.iodCount; part++) {
      const iod = iodOfPart(layout, part)
      const wanted = localSizeOf(layout, part, size)
      if (wanted === 0) continue
      bytesPerIod[iod] = wanted
      comparePart(cluster.datafile(iod, handle), wanted, source, layout.stripSize, (localOffset) =>
        fileOffsetOf(layout, part, localOffset),
      )
    }
  } finally {
    closeSync(source)
  }
  return bytesPerIod
}

function comparePart(
  path: string,
  wanted: number,
  source: number,
  stripSize: number,
  fileOffset: (localOffset: number) => number,
): void {
  const datafile = openSync(path, 'r')
  try {
    const { size } = fstatSync(datafile)
    if (size !== wanted)
      throw new IoError('MPI_ERR_IO', `${path}: ${size} bytes, the layout says ${wanted}`)
    const here = new Uint8Array(Math.min(stripSize, CHUNK_BYTES))
    const there = new Uint8Array(here.length)
    for (let at = 0; at < wanted; at += here.length) {
      const length = Math.min(here.length, wanted - at)
      const offset = fileOffset(at)
      readFully(datafile, here, length, at)
      readFully(source, there, length, offset)
      if (Buffer.compare(here.subarray(0, length), there.subarray(0, length)) === 0) continue
      throw new IoError(
        'MPI_ERR_IO',
        `${path}: bytes ${at} to ${at + length} are not those of the input at ${offset}`,
      )
    }
  } finally {
    closeSync(datafile)
  }
}

function readFully(fd: number, into: Uint8Array, length: number, position: number): void {
  for (let at = 0; at < length; ) {
    const bytes = readSync(fd, into, at, length - at, position + at)
    if (bytes === 0) throw new IoError('MPI_ERR_IO', `a file ended early, at ${position + at}`)
    at += bytes
  }
}
