// What a file is below the access methods: regions in, bytes out. Knows file offsets, no datatypes.

import type { RunSource } from '../base/regions.js'
import type { DirectChoice } from './direct.js'

/** What requests under a range lock show, so that they are refused once the lock is lost. */
export interface Fence {
  readonly token: number
  /** A token was refused: asks for the one in force. Reason LOCK_LOST. */
  refresh(): Promise<void>
}

/** Bytes of the file from one offset to another, and whether nobody else may use them. */
export interface LockRange {
  readonly from: number
  readonly to: number
  readonly exclusive: boolean
}

/** How an access under a range lock has ended: all of it for sure, or nobody knows. */
export type AccessEnd = 'clean' | 'uncertain'

/** A range of the file that is locked among the ranks of one open. */
export interface RangeLock {
  readonly fence: Fence
  /**
   * Gives it back; never rejects, since its lease ends it as well. `uncertain` if anything that was written
   * under it, by whomever, has not ended well: it may still be under way, and must not land in what the next
   * holder finds.
   */
  release(access: AccessEnd): Promise<void>
}

/** What can be said of the file regions of an access without walking them; it has at least one byte. */
export interface Span {
  /** File offset of the first byte. */
  readonly start: number
  /** File offset behind the last byte. */
  readonly end: number
  /** Regions of the file, at most. */
  readonly pieces: number
  /** Whether no byte of the file comes twice. Certain if true. */
  readonly isDistinct: boolean
}

/** Whether a read of small regions may read the gaps between them too, and how much at a time. */
export interface Sieving {
  readonly choice: 'enable' | 'disable' | 'automatic'
  /** Bytes of one such read. */
  readonly windowBytes: number
}

/** One access: as many bytes of the file as of memory, in the same order. */
export interface Access {
  /** Regions of the file, offsets not falling. Called for each walk. */
  readonly file: () => RunSource
  /** Regions of `buffer`. Called for each walk. */
  readonly memory: () => RunSource
  readonly buffer: Uint8Array
  readonly bytes: number
  /** Where it can be told without a walk; of an access with at least one byte. */
  readonly span?: (() => Span) | undefined
  /** How gaps of a read are treated above the driver; by default none is read. */
  readonly sieving?: Sieving | undefined
  /** Where in `buffer` all bytes lie together, where it is known that they do. */
  readonly at?: number | undefined
  /** Of the range lock under which it is done. */
  readonly fence?: Fence | undefined
}

/** What the close of a file that was written to tells of it. */
export interface Traces {
  /** Highest end of the file that the replies to writes have shown, in bytes; undefined without any. */
  readonly sizeSeen: number | undefined
  /** Whether anything was written. */
  readonly wrote: boolean
  /** One bit for each part that has data on disk: a write that no flush has covered may yet be lost. */
  readonly parts: Uint8Array
}

/** What a driver can do beyond reading and writing. */
export interface Features {
  readonly atomicMode: boolean
  readonly sharedPointers: boolean
}

/** What a request does to a shared pointer; `add` and `subtract` are atomic. */
export type PointerChange = 'get' | 'set' | 'add' | 'subtract'

/** A request to the shared pointer of a collective open, in etypes. */
export interface PointerRequest {
  /** Views before the one that is meant: each has a counter of its own. */
  readonly view: number
  /** Where the pointer of this view begins. */
  readonly start: number
  readonly change: PointerChange
  readonly value: number
}

/** An open file of one process. Many operations may be pending. */
export interface Driver {
  readonly features: Features
  /** Bytes of a strip: accesses that keep within one touch one server. */
  readonly stripSize: number
  /** Milliseconds of one request with all its repeats. */
  operationMs: number
  /** Which accesses may go past the servers, to what lies on this host. */
  direct: DirectChoice
  /** Servers that hold the file. */
  readonly iodCount: number
  /**
   * Reads; resolves with the bytes that lie before the end of the file, a first part of the access.
   * Holes are zeros; memory beyond the end of the file is not touched.
   */
  read(access: Access): Promise<number>
  /**
   * Reads bytes that lie together in file and memory and are at hand, without a promise. False where they are not: then
   * memory may have been touched, and `read` is the way.
   */
  readNow(buffer: Uint8Array, at: number, bytes: number, offset: number): boolean
  /** Writes all of it, or rejects; then each byte is old or new. */
  write(access: Access): Promise<void>
  /** Bytes of the file at some moment between call and answer. */
  size(): Promise<number>
  /** Cuts or extends the file. */
  resize(size: number): Promise<void>
  /** Makes sure that the file has storage for `size` bytes, and is at least so long; what is there stays. */
  preallocate(size: number): Promise<void>
  /** Another rank has set this size: what was seen before counts no more. */
  resized(size: number): void
  /**
   * Changes the shared pointer of the open and resolves with its position before; exactly once, however often
   * it is sent. MPI_ERR_ARG below 0, MPI_ERR_VALUE_TOO_LARGE beyond 2^53 - 1. Only with the feature.
   */
  sharedPointer(request: PointerRequest): Promise<number>
  /** Locks a range among the ranks of the open; resolves when nobody is in the way. Only with the feature `atomicMode`. */
  lock(range: LockRange): Promise<RangeLock>
  /** The fence of a lock that another rank holds and renews. */
  fenceOf(token: number): Fence
  /**
   * Resolves when everything that this driver has written is durable, and the servers know which parts of the file have
   * data. Reason DATA_LOST if something cannot be.
   */
  flush(): Promise<void>
  /** The same, but that `untold` has what the servers are to be told: by one `tell` for all ranks, or at the close. */
  flushUntold(): Promise<void>
  /** Parts that have data on disk, a bit for each, if the servers may not know of one yet. */
  readonly untold: Uint8Array | undefined
  /** Tells the servers of parts that have data on disk. */
  tell(parts: Uint8Array): Promise<void>
  /** Of all that is untold the servers know now. */
  told(): void
  /** What is to be told at the close. */
  traces(): Traces
  /** Nothing more is read or written: what is open here for that is closed. */
  release(): void
}
