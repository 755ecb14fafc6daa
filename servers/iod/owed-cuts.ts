// Cuts that the disk has refused: the manager has decided them, so they are owed, whatever is started meanwhile. They
// are kept in one file of the data directory, in two copies that are overwritten where they lie, one after the other: a
// crash leaves one of them whole, and a disk that is full takes them all the same: room is reserved for as many as there
// may be. One cut that could not be noted would keep everything waiting that comes behind it, so where that file cannot
// be written the superblock takes them, as far as it has room: without it nothing could be acknowledged anyway.

import { ByteReader, ByteWriter } from '../../lib/base/bytes.js'
import { crc32 } from '../../lib/base/checksum-node.js'
import { errorOf, IoError } from '../../lib/base/errors.js'
import type { Disk, DiskFile } from '../../lib/base/runtime.js'
import { LIMITS } from '../../lib/protocol/limits.js'
import { ioErrorOf } from '../common/errno.js'
import type { SuperblockFile } from './superblock.js'

const FILE = 'owed-cuts'

const MAGIC = 0x434f_4b52 // 'RKOC'

/** Magic, sequence and count; the checksum comes last. */
const HEAD_BYTES = 4 + 8 + 4
const CRC_BYTES = 4
const CUT_BYTES = 3 * 8

/** Of each copy, in whole blocks: 100 KiB. */
const COPY_BYTES = Math.ceil((HEAD_BYTES + LIMITS.owedCuts * CUT_BYTES + CRC_BYTES) / 4096) * 4096

/** Of each copy, where there is no more room: for 169 cuts. */
const LEAST_BYTES = 4096

const NOTHING = new Uint8Array(0)

/** What is owed to one datafile. */
export interface OwedCut {
  /** The least of the sizes that it should have had since, 0 where there was no datafile: what lies above is gone. */
  readonly least: number
  /** The size that it should have. */
  readonly size: number
}

/** The cuts that one data directory owes. */
export class OwedCuts {
  readonly #disk: Disk
  readonly #directory: string
  readonly #superblock: SuperblockFile | undefined
  #cuts: ReadonlyMap<number, OwedCut> = new Map()

  #isThere = false
  /** Whether there is room for as many as there may be. */
  #isReserved = false
  #sequence = 0
  /** The copy that is touched last, since it is known to be whole. */
  #whole = 0
  /** Whether a save has failed, so that the next process may find something else than what is known here. */
  #isUnsure = false
  /** Whether what was loaded may lie in the page cache alone, or in one copy alone. */
  #isUnproven = false

  /**
   * Reads what processes before this one have left. The superblock, whose process has written it since it started, takes
   * what the file cannot; without one nothing does. Reason CHECKSUM where what there is makes no sense.
   */
  static load(disk: Disk, directory: string, superblock?: SuperblockFile): OwedCuts {
    const owed = new OwedCuts(disk, directory, superblock)
    const path = owed.#path
    const size = disk.sizeOf(path)
    const [first, second] = size === undefined ? [] : readCopies(disk, path)
    const refuge = decode(superblock?.value.owedCuts ?? NOTHING)
    const isSecond = (second?.sequence ?? -1) > (first?.sequence ?? -1)
    const inFile = isSecond ? second : first
    const isRefuge = (refuge?.sequence ?? -1) > (inFile?.sequence ?? -1)
    const newest = isRefuge ? refuge : inFile
    owed.#isThere = size !== undefined
    owed.#isReserved = (size ?? 0) >= 2 * COPY_BYTES
    if (newest === undefined) {
      if (size === undefined) return owed
      throw errorOf('CHECKSUM', `${path}: both copies are damaged, or cannot be read`)
    }
    owed.#sequence = newest.sequence
    owed.#cuts = newest.cuts
    owed.#whole = isSecond ? 1 : 0
    owed.#isUnproven = !isRefuge && (first?.sequence !== second?.sequence || newest.cuts.size > 0)
    return owed
  }

  /** Forgets, durably, what a directory owes: its datafiles are given up. An error of the disk. */
  static async discard(disk: Disk, directory: string, superblock: SuperblockFile): Promise<void> {
    const path = `${directory}/${FILE}`
    await superblock.updateBoth({ owedCuts: NOTHING })
    try {
      for (const each of [path, `${path}.new`]) if (disk.exists(each)) await disk.remove(each)
      await disk.syncDirectory(directory)
    } catch (error) {
      throw ioErrorOf(error, `${path}: it cannot be removed`)
    }
  }

  private constructor(disk: Disk, directory: string, superblock: SuperblockFile | undefined) {
    this.#disk = disk
    this.#directory = directory
    this.#superblock = superblock
  }

  get #path(): string {
    return `${this.#directory}/${FILE}`
  }

  // What is there is then at least as new as the file, but for a save that has not ended.
  get #isInSuperblock(): boolean {
    return (this.#superblock?.value.owedCuts.length ?? 0) > 0
  }

  get(handle: number): OwedCut | undefined {
    return this.#cuts.get(handle)
  }

  /** What is owed to a datafile once it is to have this size as well. */
  with(handle: number, size: number): OwedCut {
    const known = this.#cuts.get(handle)
    return { least: Math.min(known?.least ?? size, size), size }
  }

  /**
   * Makes room, so that cuts can be noted when there is none, and both copies whole where a process before this one
   * has left something else, or what is owed could not be noted there. MPI_ERR_NO_SPACE, MPI_ERR_IO.
   */
  async reserve(): Promise<void> {
    if (this.#isInSuperblock) await this.#saveInFile(this.#cuts)
    else if (this.#isThere) await this.#prove()
    if (!this.#isReserved) await this.#make()
  }

  // With room for as many as there may be, or at least for some.
  async #make(): Promise<void> {
    try {
      await this.#makeWith(COPY_BYTES)
      this.#isReserved = true
    } catch (error) {
      if (this.#isThere) throw error
      await this.#makeWith(LEAST_BYTES)
    }
  }

  async #makeWith(copyBytes: number): Promise<void> {
    const disk = this.#disk
    try {
      const file = disk.open(`${this.#path}.new`, 'create')
      try {
        const bytes = new Uint8Array(copyBytes)
        bytes.set(encode(this.#sequence, this.#cuts))
        for (const copy of [0, 1]) writeCopy(file, copy, bytes)
        await file.sync()
      } finally {
        file.close()
      }
      // Only whole it gets its name: where both copies are damaged they were whole once.
      await disk.rename(`${this.#path}.new`, this.#path)
      // It may be the older one that is there after a loss of power: until this is durable nothing is noted in it.
      this.#isThere = false
      await disk.syncDirectory(this.#directory)
      this.#isThere = true
    } catch (error) {
      // Room that nobody uses, on a disk that may be full.
      await disk.remove(`${this.#path}.new`).catch(() => {})
      throw ioErrorOf(error, `${this.#path}: it cannot be made`)
    }
  }

  /** Notes it durably. Reason BUSY beyond the limit; MPI_ERR_NO_SPACE, MPI_ERR_IO: it is not noted. */
  async add(handle: number, cut: OwedCut): Promise<void> {
    if (!this.#cuts.has(handle) && this.#cuts.size >= LIMITS.owedCuts)
      throw errorOf(
        'BUSY',
        `datafiles: ${LIMITS.owedCuts} of them cannot be cut, the disk is at fault`,
      )
    await this.#save(new Map(this.#cuts).set(handle, cut))
  }

  /** It is no longer owed; it still is if that cannot be noted. To be called before anybody is served from the datafile. */
  async settle(handle: number): Promise<void> {
    // What could not be noted may be there all the same, for the next process to cut away what is written from now on.
    const isUnsure = this.#isUnsure || this.#isUnproven
    if (!isUnsure && !this.#cuts.has(handle)) return
    const cuts = new Map(this.#cuts)
    cuts.delete(handle)
    await this.#save(cuts)
  }

  async #save(cuts: ReadonlyMap<number, OwedCut>): Promise<void> {
    this.#isUnsure = true
    try {
      await this.#saveInFile(cuts)
    } catch (error) {
      if (!(await this.#saveInSuperblock(cuts))) throw error
    }
    this.#isUnsure = false
    this.#cuts = cuts
  }

  async #saveInFile(cuts: ReadonlyMap<number, OwedCut>): Promise<void> {
    // With less room than for all of them it may fit all the same.
    if (!this.#isThere) await this.#make()
    await this.#prove()
    this.#sequence++
    await this.#write(cuts, [1 - this.#whole, this.#whole])
    // Were it left there, it would count when both copies are damaged one day.
    if (this.#isInSuperblock) await this.#superblock?.updateBoth({ owedCuts: NOTHING })
  }

  // Newer than whatever of them the file has got. False where they do not fit, or cannot be written either.
  async #saveInSuperblock(cuts: ReadonlyMap<number, OwedCut>): Promise<boolean> {
    if (this.#superblock === undefined || cuts.size > LIMITS.owedCutsInSuperblock) return false
    try {
      await this.#superblock.updateBoth({ owedCuts: encode(++this.#sequence, cuts) })
    } catch (error) {
      if (!(error instanceof IoError)) throw error
      return false
    }
    // From now on a damaged file is no matter, until it is written as a whole.
    this.#isUnproven = false
    return true
  }

  // The newest copy first, by the very bytes that are there: nothing of it can be torn, and only when it is surely on
  // the disk the other one is not needed any more.
  async #prove(): Promise<void> {
    if (!this.#isUnproven) return
    await this.#write(this.#cuts, [this.#whole, 1 - this.#whole])
    this.#isUnproven = false
  }

  async #write(cuts: ReadonlyMap<number, OwedCut>, order: readonly number[]): Promise<void> {
    const bytes = encode(this.#sequence, cuts)
    try {
      const file = this.#disk.open(this.#path, 'write')
      try {
        for (const copy of order) {
          writeCopy(file, copy, bytes)
          // The other one is touched only when this one is durable.
          await file.sync()
          this.#whole = copy
        }
      } finally {
        file.close()
      }
    } catch (error) {
      throw ioErrorOf(error, `${this.#path}: it cannot be written`)
    }
  }
}

interface Copy {
  readonly sequence: number
  readonly cuts: ReadonlyMap<number, OwedCut>
}

function encode(sequence: number, cuts: ReadonlyMap<number, OwedCut>): Uint8Array {
  const writer = new ByteWriter().u32(MAGIC).u64(sequence).u32(cuts.size)
  for (const [handle, { least, size }] of cuts) writer.u64(handle).u64(least).u64(size)
  const { bytes } = writer
  return new ByteWriter().raw(bytes).u32(crc32(bytes)).bytes
}

// Undefined for a copy that was torn, or has rotted.
function decode(bytes: Uint8Array): Copy | undefined {
  if (bytes.length < HEAD_BYTES + CRC_BYTES) return undefined
  const reader = new ByteReader(bytes)
  if (reader.u32() !== MAGIC) return undefined
  const end = HEAD_BYTES + new ByteReader(bytes.subarray(HEAD_BYTES - 4)).u32() * CUT_BYTES
  if (end + CRC_BYTES > bytes.length) return undefined
  if (new ByteReader(bytes.subarray(end)).u32() !== crc32(bytes.subarray(0, end))) return undefined
  const sequence = reader.u64()
  const count = reader.u32()
  const cuts = new Map<number, OwedCut>()
  for (let index = 0; index < count; index++)
    cuts.set(reader.u64(), { least: reader.u64(), size: reader.u64() })
  return { sequence, cuts }
}

// One that cannot be read is as good as damaged: whatever was acknowledged is in both.
function readCopies(disk: Disk, path: string): (Copy | undefined)[] {
  const file = disk.open(path, 'read')
  try {
    return [0, 1].map((copy) => {
      try {
        return decode(readCopy(file, copy))
      } catch {
        return undefined
      }
    })
  } finally {
    file.close()
  }
}

function readCopy(file: DiskFile, copy: number): Uint8Array {
  const bytes = new Uint8Array(COPY_BYTES)
  let at = 0
  while (at < bytes.length) {
    const length = file.read(bytes.subarray(at), copy * COPY_BYTES + at)
    if (length === 0) break
    at += length
  }
  return bytes.subarray(0, at)
}

function writeCopy(file: DiskFile, copy: number, bytes: Uint8Array): void {
  for (let at = 0; at < bytes.length; ) at += file.write(bytes.subarray(at), copy * COPY_BYTES + at)
}
