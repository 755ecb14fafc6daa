// Cuts that the disk has refused: the manager has decided them, so they are owed, whatever is started meanwhile. They
// are kept in one file of the data directory, which is replaced as a whole.

import { ByteReader, ByteWriter } from '../../lib/base/bytes.js'
import { crc32 } from '../../lib/base/checksum-node.js'
import { errorOf, type IoError } from '../../lib/base/errors.js'
import type { Disk, DiskFile } from '../../lib/base/runtime.js'
import { LIMITS } from '../../lib/protocol/limits.js'
import { ioErrorOf } from '../common/errno.js'

const FILE = 'uncut'

/** What is owed to one datafile. */
export interface OwedCut {
  /** The least of the sizes that it should have had since: what lies above is gone. */
  readonly least: number
  /** The size that it should have. */
  readonly size: number
}

/** The cuts that one data directory owes. */
export class OwedCuts {
  readonly #disk: Disk
  readonly #directory: string
  readonly #cuts = new Map<number, OwedCut>()

  /** Reads what processes before this one have left. Reason CHECKSUM where it makes no sense. */
  static load(disk: Disk, directory: string): OwedCuts {
    const owed = new OwedCuts(disk, directory)
    const path = `${directory}/${FILE}`
    const size = disk.sizeOf(path)
    if (size === undefined) return owed
    const file = disk.open(path, 'read')
    try {
      for (const [handle, cut] of decode(readAll(file, size), path)) owed.#cuts.set(handle, cut)
    } finally {
      file.close()
    }
    return owed
  }

  private constructor(disk: Disk, directory: string) {
    this.#disk = disk
    this.#directory = directory
  }

  get(handle: number): OwedCut | undefined {
    return this.#cuts.get(handle)
  }

  /** What is owed to a datafile once it is to have this size as well. */
  with(handle: number, size: number): OwedCut {
    const known = this.#cuts.get(handle)
    return { least: Math.min(known?.least ?? size, size), size }
  }

  /** Notes it durably. Reason BUSY beyond the limit. */
  async add(handle: number, cut: OwedCut): Promise<void> {
    if (!this.#cuts.has(handle) && this.#cuts.size >= LIMITS.owedCuts)
      throw errorOf(
        'BUSY',
        `datafiles: ${LIMITS.owedCuts} of them cannot be cut, the disk is at fault`,
      )
    this.#cuts.set(handle, cut)
    await this.#save()
  }

  /** It is no longer owed. */
  async settle(handle: number): Promise<void> {
    if (this.#cuts.delete(handle)) await this.#save()
  }

  async #save(): Promise<void> {
    const path = `${this.#directory}/${FILE}`
    try {
      const file = this.#disk.open(`${path}.new`, 'create')
      try {
        const bytes = encode(this.#cuts)
        await file.truncate(0)
        for (let at = 0; at < bytes.length; ) at += file.write(bytes.subarray(at), at)
        await file.sync()
      } finally {
        file.close()
      }
      await this.#disk.rename(`${path}.new`, path)
      await this.#disk.syncDirectory(this.#directory)
    } catch (error) {
      throw ioErrorOf(error, `${path}: it cannot be written`)
    }
  }
}

function encode(cuts: ReadonlyMap<number, OwedCut>): Uint8Array {
  const writer = new ByteWriter()
  for (const [handle, { least, size }] of cuts) writer.u64(handle).u64(least).u64(size)
  const bytes = writer.bytes
  return new ByteWriter().raw(bytes).u32(crc32(bytes)).bytes
}

function decode(bytes: Uint8Array, path: string): [number, OwedCut][] {
  const body = bytes.subarray(0, Math.max(0, bytes.length - 4))
  const reader = new ByteReader(body)
  const cuts: [number, OwedCut][] = []
  if (bytes.length < 4 || new ByteReader(bytes.subarray(body.length)).u32() !== crc32(body))
    throw damaged(path)
  while (reader.left > 0) {
    const handle = reader.u64()
    cuts.push([handle, { least: reader.u64(), size: reader.u64() }])
  }
  return cuts
}

function damaged(path: string): IoError {
  return errorOf('CHECKSUM', `${path}: it does not match its checksum`)
}

function readAll(file: DiskFile, size: number): Uint8Array {
  const bytes = new Uint8Array(size)
  for (let at = 0; at < size; ) {
    const length = file.read(bytes.subarray(at), at)
    if (length === 0) break
    at += length
  }
  return bytes
}
