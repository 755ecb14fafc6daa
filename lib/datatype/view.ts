// View: displacement, etype and filetype, which together say which bytes of a file a rank sees, and in which order.
// Turns etype offsets into file regions (MPI-4.1 sections 14.1.1 and 14.3). Knows nothing of layouts, pointers or access modes.

import { IoError } from '../base/errors.js'
import { RunList, type RunSource } from '../base/regions.js'
import { Datatype } from './datatype.js'
import { bytesBelow, displacementOf, runsOf, tilesOf } from './flatten.js'
import { computed, integerFrom } from './numbers.js'

/** The parts of a view. */
export interface ViewParts {
  /** Bytes from the start of the file to the origin of the first tile. */
  readonly displacement: number
  /** Unit of access. */
  readonly etype: Datatype
  /** Template that is tiled over the file; a whole number of etypes. */
  readonly filetype: Datatype
}

/**
 * A view of a file. Tile k of the filetype starts at `displacement + k * extent`; its data lie where
 * the filetype's typemap says. Immutable. Check it with `checkView` before use.
 */
export class View implements ViewParts {
  readonly displacement: number
  readonly etype: Datatype
  readonly filetype: Datatype

  constructor({ displacement, etype, filetype }: ViewParts) {
    this.displacement = displacement
    this.etype = etype
    this.filetype = filetype
  }

  /** The view that a file has after open: all its bytes. */
  static readonly BYTES = new View({
    displacement: 0,
    etype: Datatype.BYTE,
    filetype: Datatype.BYTE,
  })

  /** Whether the view is one contiguous stretch of the file, from the first byte of its data on. */
  get isContiguous(): boolean {
    return this.filetype.pieces === 1 && this.filetype.size === this.filetype.extent
  }

  /**
   * Whether file regions never go back, across tiles too. Always so where the view may be written;
   * a view for reading may have tiles that reach into the next.
   */
  get isMonotonic(): boolean {
    return !tilesDecrease(this.filetype)
  }

  /**
   * File offset of the first byte of etype `etypeOffset` (MPI_File_get_byte_offset). With a filetype
   * of no data: the displacement. MPI_ERR_VALUE_TOO_LARGE beyond 2^53 - 1.
   */
  byteOffset(etypeOffset: number): number {
    if (this.filetype.size === 0) return this.displacement
    return this.#offsetOf(computed(etypeOffset * this.etype.size, 'view offset'))
  }

  /**
   * Etypes of the view that begin below `fileSize` bytes: where seek 'end' goes. An etype that the
   * end of the file cuts counts as one.
   */
  etypesBelow(fileSize: number): number {
    const { filetype, displacement } = this
    const end = fileSize - displacement
    if (filetype.size === 0 || end <= filetype.trueLowerBound) return 0
    const tiles = Math.floor((end - filetype.trueLowerBound) / filetype.extent)
    const { shape } = filetype.body
    if (!this.isMonotonic) {
      return Math.ceil(bytesBelow(tilesOf(filetype, tiles + 1), end) / this.etype.size)
    }
    // Where etypes overlap, bytes do not tell how many begin.
    if (shape.mayOverlap || filetype.trueExtent > filetype.extent) {
      return this.#firstEtypeFrom(fileSize, ((tiles + 1) * filetype.size) / this.etype.size)
    }
    const rest = bytesBelow(shape, end - tiles * filetype.extent)
    return Math.ceil((tiles * filetype.size + rest) / this.etype.size)
  }

  /** The first etype that begins at `fileSize` or behind it, at most `last`, in a view that never goes back. */
  #firstEtypeFrom(fileSize: number, last: number): number {
    let [low, high] = [0, last]
    while (low < high) {
      const middle = low + Math.floor((high - low) / 2)
      if (this.byteOffset(middle) < fileSize) low = middle + 1
      else high = middle
    }
    return low
  }

  /**
   * The file regions of `bytes` data bytes from etype `etypeOffset` on. MPI_ERR_ARG for data in a
   * filetype without any, MPI_ERR_VALUE_TOO_LARGE if a region would end beyond 2^53 - 1.
   */
  runs(etypeOffset: number, bytes: number): RunSource {
    const { filetype, displacement } = this
    const skipBytes = this.expectPlace(etypeOffset, bytes)
    const count = bytes === 0 ? 0 : Math.ceil((skipBytes + bytes) / filetype.size)
    return runsOf(filetype, { count, base: displacement, skipBytes, bytesMax: bytes })
  }

  /** The checks of `runs`; returns how many data bytes of the view come before. MPI_ERR_ARG, MPI_ERR_VALUE_TOO_LARGE. */
  expectPlace(etypeOffset: number, bytes: number): number {
    const { filetype, etype } = this
    if (filetype.size === 0 && bytes > 0) {
      throw new IoError(
        'MPI_ERR_ARG',
        `view: its filetype has no data, so ${bytes} bytes have no place`,
      )
    }
    const skipBytes = computed(etypeOffset * etype.size, 'view offset')
    const end = computed(skipBytes + bytes, 'view offset')
    if (bytes > 0) this.#checkEnd(end)
    return skipBytes
  }

  /**
   * Where `bytes` data bytes from etype `etypeOffset` on lie, of a view that is monotonic; at least one
   * byte. `pieces` is how many regions they are at most, `isDistinct` whether no byte comes twice.
   */
  span(
    etypeOffset: number,
    bytes: number,
  ): { start: number; end: number; pieces: number; isDistinct: boolean } {
    const { filetype, etype } = this
    const first = etypeOffset * etype.size
    const last = first + bytes - 1
    const tiles = Math.floor(last / filetype.size) - Math.floor(first / filetype.size) + 1
    return {
      start: this.#offsetOf(first),
      end: this.#offsetOf(last) + 1,
      pieces: this.isContiguous ? 1 : Math.min(bytes, tiles * filetype.pieces),
      isDistinct: !filetype.mayOverlap && filetype.trueExtent <= filetype.extent,
    }
  }

  /** File offset of data byte `position` of the view. */
  #offsetOf(position: number): number {
    const { filetype, displacement } = this
    const tile = Math.floor(position / filetype.size)
    const inTile = displacementOf(filetype.body.shape, position - tile * filetype.size)
    return computed(
      displacement + computed(tile * filetype.extent, 'file offset') + inTile,
      'file offset',
    )
  }

  /** Rejects what would reach beyond 2^53 - 1; `end` data bytes, counted from the start of the view. */
  #checkEnd(end: number): void {
    const { filetype, displacement } = this
    const tile = Math.ceil(end / filetype.size) - 1
    const tileOffset = displacement + tile * filetype.extent
    if (Number.isSafeInteger(tileOffset + filetype.trueLowerBound + filetype.trueExtent)) return
    // The tile as a whole reaches too far; what is asked for may not.
    computed(this.#offsetOf(end - 1) + 1, 'file offset')
  }
}

/** What a view is checked for. */
export interface ViewChecks {
  /** Whether the file is open for writing; then no byte may be in the view twice. */
  readonly isWritable: boolean
}

/**
 * Checks that a view is legal (MPI-4.1 section 14.3). MPI_ERR_TYPE for what is no datatype;
 * MPI_ERR_ARG for a bad displacement, and where the filetype is no whole number of etypes;
 * MPI_ERR_IO for displacements that are negative or decrease, and in a file open for writing for
 * regions that overlap, be it within a tile or with the next. Where etype and filetype are
 * without data all is legal that can be.
 */
export function checkView(parts: ViewParts, { isWritable }: ViewChecks): void {
  const { displacement, etype, filetype } = parts
  if (!(etype instanceof Datatype))
    throw new IoError('MPI_ERR_TYPE', 'view: its etype is no datatype')
  if (!(filetype instanceof Datatype))
    throw new IoError('MPI_ERR_TYPE', 'view: its filetype is no datatype')
  integerFrom(0, displacement, 'view displacement')
  if (filetype.size > 0 && !(filetype.size % etype.size === 0)) {
    throw new IoError(
      'MPI_ERR_ARG',
      `view: a filetype of ${filetype.size} bytes is no whole number of etypes of ${etype.size}`,
    )
  }
  for (const [what, type] of [
    ['etype', etype],
    ['filetype', filetype],
  ] as const) {
    checkOrder(what, type)
    if (isWritable) checkOverlap(what, type)
  }
}

function checkOrder(what: string, type: Datatype): void {
  const { shape } = type.body
  if (type.size === 0) return
  if (type.hasNegative) {
    throw new IoError(
      'MPI_ERR_IO',
      `view: ${what} has data at displacement ${shape.low}, before its origin`,
    )
  }
  if (!type.isMonotonic) throwFault(what, type, 'decrease')
  if (what === 'filetype' && type.extent <= 0) {
    throw new IoError(
      'MPI_ERR_IO',
      `view: a filetype of extent ${type.extent} does not move on from tile to tile`,
    )
  }
}

function checkOverlap(what: string, type: Datatype): void {
  const { shape } = type.body
  if (shape.mayOverlap) throwFault(what, type, 'overlap')
  if (what !== 'filetype' || type.size === 0 || type.extent >= type.trueExtent) return
  throw new IoError(
    'MPI_ERR_IO',
    `view: tiles of the filetype overlap, for its data span ${type.trueExtent} bytes and its extent is ${type.extent}; ` +
      `block ${shape.pieces} (block 0 of the next tile) is at displacement ${type.extent + shape.first}`,
  )
}

/** Whether a tile of a filetype starts before the last element of the tile before it. */
function tilesDecrease(filetype: Datatype): boolean {
  const { shape } = filetype.body
  return !shape.isMonotonic || (shape.bytes > 0 && filetype.extent + shape.first < shape.last)
}

/** Runs looked at between two looks at the result. */
const SEARCH_BLOCK = 1024

/** 2^22 runs: how far a search for the wrong block goes before the message does without its index. */
const SEARCH_RUNS_MAX = 2 ** 22

/** Throws the error of the first block that is in the wrong place; only for types that are known to have one. */
function throwFault(what: string, type: Datatype, kind: FaultKind): never {
  const { elements } = type.body
  const search = new FaultSearch(kind, elements.kind === 'uniform' ? elements.size : 1)
  const source = runsOf(type, { count: 1 })
  const list = new RunList()
  for (let runs = 0, more = true; more && runs < SEARCH_RUNS_MAX; runs += list.entries) {
    list.clear()
    more = source.fill(list, SEARCH_BLOCK)
    for (let i = 0; i < list.entries && search.found === ''; i++) {
      search.run(list.start(i), list.length(i), list.stride(i), list.count(i))
    }
    if (search.found !== '') throw new IoError('MPI_ERR_IO', `view: ${what} ${search.found}`)
  }
  throw new IoError('MPI_ERR_IO', `view: ${what} has blocks that ${kind}`)
}

type FaultKind = 'decrease' | 'overlap'

/** Looks for the first block that lies before the last element of the block before it, or on bytes seen already. */
class FaultSearch {
  /** What was found, for the message; empty until then. */
  found = ''
  readonly #kind: FaultKind
  readonly #elementSize: number
  #blocks = 0
  #start = 0
  #end = Number.NEGATIVE_INFINITY
  #highest = Number.NEGATIVE_INFINITY

  constructor(kind: FaultKind, elementSize: number) {
    this.#kind = kind
    this.#elementSize = elementSize
  }

  /** A run faults at its first or second region, or not at all. */
  run(start: number, length: number, stride: number, count: number): void {
    this.#region(start, length)
    if (count < 2 || this.found !== '') return
    this.#region(start + stride, length)
    if (count === 2 || this.found !== '') return
    this.#blocks += count - 2
    this.#start = start + (count - 1) * stride
    this.#end = this.#start + length
    this.#highest = Math.max(this.#highest, this.#end)
  }

  #region(start: number, length: number): void {
    if (start === this.#end) {
      this.#end += length
    } else {
      const floor = this.#kind === 'overlap' ? this.#highest : this.#end - this.#elementSize
      if (start < floor) this.found = this.#message(start)
      this.#blocks++
      this.#start = start
      this.#end = start + length
    }
    this.#highest = Math.max(this.#highest, this.#end)
  }

  #message(start: number): string {
    const verb = this.#kind === 'overlap' ? 'overlaps earlier data' : 'goes back'
    const before = `block ${this.#blocks - 1} is at ${this.#start}`
    return `block ${this.#blocks} at displacement ${start} ${verb}: ${before} and ends at ${this.#end}`
  }
}
