// Who a data directory belongs to and how often its iod was started: two slots with a checksum, of
// which the newest valid one counts, so that a crash while one is written leaves the other.

import { ByteReader, ByteWriter, hexOf } from '../../lib/base/bytes.js'
import { crc32 } from '../../lib/base/checksum-node.js'
import { errorOf, IoError } from '../../lib/base/errors.js'
import { faults } from '../../lib/base/faults.js'
import type { Disk, DiskFile } from '../../lib/base/runtime.js'
import { idBytes } from '../../lib/protocol/codec.js'
import { NO_ID } from '../../lib/protocol/hello.js'
import { MARKS } from '../common/data-marks.js'
import { ioErrorOf } from '../common/errno.js'

const MAGIC = 0x4249_4b52 // 'RKIB'
/** The newest format. It is that of slots with owed cuts, which a program that knows only the older one must not leave out. */
const FORMAT = 2
const SLOT_BYTES = 4096
// The checksum ends a slot, in every format: one that is newer than known is told from a damaged one.
const CRC_AT = SLOT_BYTES - 4
const FILE = MARKS.iod

/** What an iod knows of itself over its starts. */
export interface Superblock {
  /** The file system, or NO_ID before the first contact with its manager. */
  readonly fsid: string
  readonly index: number
  /** Of this directory, from its formatting on: tells a swapped, cloned or blank one. */
  readonly uuid: string
  /** Starts so far. */
  readonly incarnation: number
  /** Highest epoch of a manager that was obeyed. */
  readonly epoch: number
  /** What that manager drew when it began it, or NO_ID. */
  readonly epochId: string
  /** Last intent of the manager that was carried out. */
  readonly intentApplied: number
  /** Part of the write verifier: raised when a flush has failed. */
  readonly verifierSalt: number
  /** Of the first `iodtabCount` entries of the manager's iodtab. */
  readonly iodtabHash: string
  readonly iodtabCount: number
  /** Cuts that are owed, as `owed-cuts.ts` writes them, where the file for them cannot be written; else empty. */
  readonly owedCuts: Uint8Array
}

/** What the iod of a new directory knows. */
export function blankSuperblock(index: number, uuid: string): Superblock {
  return {
    fsid: NO_ID,
    index,
    uuid,
    incarnation: 0,
    epoch: 0,
    epochId: NO_ID,
    intentApplied: 0,
    verifierSalt: 0,
    iodtabHash: '',
    iodtabCount: 0,
    owedCuts: new Uint8Array(0),
  }
}

/** The superblock of a directory, in memory and on disk. */
export class SuperblockFile {
  readonly #file: DiskFile
  #sequence: number
  #value: Superblock
  #last: Promise<void> = Promise.resolve()
  /** Whether one of the slots was damaged when it was opened, perhaps the newer one. */
  readonly isDamaged: boolean

  private constructor(file: DiskFile, sequence: number, value: Superblock, isDamaged = false) {
    this.isDamaged = isDamaged
    this.#file = file
    this.#sequence = sequence
    this.#value = value
  }

  /** The superblock in force. */
  get value(): Superblock {
    return this.#value
  }

  /** Opens that of a formatted directory. MPI_ERR_IO if both slots are damaged, or of a newer format. */
  static open(disk: Disk, directory: string): SuperblockFile {
    const file = disk.open(`${directory}/${FILE}`, 'write')
    try {
      const slots = [0, 1].map((slot) => readSlot(file, slot, directory))
      const [newest] = slots
        .filter((slot) => slot !== undefined)
        .sort((a, b) => b.sequence - a.sequence)
      const isDamaged = slots.includes(undefined)
      if (newest !== undefined)
        return new SuperblockFile(file, newest.sequence, newest.value, isDamaged)
      throw errorOf('CHECKSUM', `${directory}: both copies of its superblock are damaged`)
    } catch (error) {
      file.close()
      throw error
    }
  }

  /** Writes the first one. */
  static async create(disk: Disk, directory: string, value: Superblock): Promise<SuperblockFile> {
    const file = disk.open(`${directory}/${FILE}`, 'create')
    const superblock = new SuperblockFile(file, 0, value)
    try {
      await superblock.updateBoth({})
      await disk.syncDirectory(directory)
      return superblock
    } catch (error) {
      file.close()
      throw error
    }
  }

  /** Whether a directory has one; an empty one is left of a formatting that was cut short. */
  static exists(disk: Disk, directory: string): boolean {
    return (disk.sizeOf(`${directory}/${FILE}`) ?? 0) > 0
  }

  /**
   * Changes fields, after all changes that were asked for before; resolves when the change is on disk.
   * A function is given the superblock as it is then.
   */
  async update(
    change: Partial<Superblock> | ((now: Superblock) => Partial<Superblock>),
  ): Promise<void> {
    const update = this.#last.then(() => this.#write(change))
    this.#last = update.catch(() => {})
    await update
  }

  /** As `update`, of both slots: what must be known also where one of them is damaged. */
  async updateBoth(change: Partial<Superblock>): Promise<void> {
    await this.update(change)
    await this.update({})
  }

  close(): void {
    this.#file.close()
  }

  async #write(
    change: Partial<Superblock> | ((now: Superblock) => Partial<Superblock>),
  ): Promise<void> {
    const now = this.#value
    const value = { ...now, ...(typeof change === 'function' ? change(now) : change) }
    const sequence = this.#sequence + 1
    try {
      writeSlot(this.#file, sequence % 2, encodeSlot(sequence, value))
      await this.#file.sync()
    } catch (error) {
      throw ioErrorOf(error, 'superblock: it cannot be written')
    }
    this.#value = value
    this.#sequence = sequence
  }
}

function encodeSlot(sequence: number, value: Superblock): Uint8Array {
  const writer = new ByteWriter(SLOT_BYTES)
  writer
    .u32(MAGIC)
    .u16(value.owedCuts.length > 0 ? FORMAT : 1)
    .u64(sequence)
  writer.raw(idBytes(value.fsid)).u16(value.index).raw(idBytes(value.uuid))
  writer.u64(value.incarnation).u64(value.epoch).u64(value.intentApplied).u32(value.verifierSalt)
  writer.string(value.iodtabHash).u16(value.iodtabCount).raw(idBytes(value.epochId))
  writer.u16(value.owedCuts.length).raw(value.owedCuts)
  const slot = new Uint8Array(SLOT_BYTES)
  slot.set(writer.bytes)
  new DataView(slot.buffer).setUint32(CRC_AT, crc32(slot.subarray(0, CRC_AT)), true)
  return slot
}

interface Slot {
  readonly sequence: number
  readonly value: Superblock
}

// Undefined for a slot that was torn, or never written.
function readSlot(file: DiskFile, slot: number, directory: string): Slot | undefined {
  const bytes = readSlotBytes(file, slot, directory)
  const crc = new DataView(bytes.buffer).getUint32(CRC_AT, true)
  const reader = new ByteReader(bytes)
  const isWhole = crc === crc32(bytes.subarray(0, CRC_AT)) || faults?.planted === 'anySlot'
  if (reader.u32() !== MAGIC || !isWhole) return undefined
  const format = reader.u16()
  if (format > FORMAT) {
    const message = `${directory}: its superblock has format ${format}, newer than ${FORMAT}, which is the newest known here`
    throw new IoError('MPI_ERR_IO', message)
  }
  const sequence = reader.u64()
  const value: Superblock = {
    fsid: hexOf(reader.raw(16)),
    index: reader.u16(),
    uuid: hexOf(reader.raw(16)),
    incarnation: reader.u64(),
    epoch: reader.u64(),
    intentApplied: reader.u64(),
    verifierSalt: reader.u32(),
    iodtabHash: reader.string(64),
    iodtabCount: reader.u16(),
    epochId: hexOf(reader.raw(16)),
    // Zeros where a program of the first format has written it.
    owedCuts: reader.raw(reader.u16()).slice(),
  }
  return { sequence, value }
}

function readSlotBytes(file: DiskFile, slot: number, directory: string): Uint8Array {
  const bytes = new Uint8Array(SLOT_BYTES)
  try {
    for (let at = 0; at < SLOT_BYTES; ) {
      const length = file.read(bytes.subarray(at), slot * SLOT_BYTES + at)
      if (length === 0) break
      at += length
    }
  } catch (error) {
    throw ioErrorOf(error, `${directory}: its superblock cannot be read`)
  }
  return bytes
}

function writeSlot(file: DiskFile, slot: number, bytes: Uint8Array): void {
  for (let at = 0; at < bytes.length; ) {
    at += file.write(bytes.subarray(at), slot * SLOT_BYTES + at)
  }
}
