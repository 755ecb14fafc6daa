// Datatype: where the elements of one item lie, in memory or in a file. Immutable values with MPI's constructors;
// there is no commit and no free. Knows nothing of files, views or buffers.

import { IoError } from '../base/errors.js'
import { expectOptions } from '../base/options.js'
import {
  DARRAY_KEYS,
  type DarraySpec,
  darrayBody,
  SUBARRAY_KEYS,
  type SubarraySpec,
  subarrayBody,
} from './arrays.js'
import {
  basicBody,
  blocksBody,
  contiguousBody,
  extentOf,
  hvectorBody,
  resizedBody,
  structBody,
  type TypeBody,
} from './body.js'
import { type BasicName, elementsIn } from './elements.js'
import { computed, countOf, integerFrom, integerOf } from './numbers.js'

/** Blocks of different lengths. Displacements in elements for `indexed`, in bytes for `hindexed`. */
export interface IndexedSpec {
  readonly blocklengths: ArrayLike<number>
  readonly displacements: ArrayLike<number>
  readonly type: Datatype
}

/** Blocks of one length. Displacements in elements for `indexedBlock`, in bytes for `hindexedBlock`. */
export interface IndexedBlockSpec {
  readonly blocklength: number
  readonly displacements: ArrayLike<number>
  readonly type: Datatype
}

/** `count` items of `type` from `displacement` bytes on. */
export interface StructMember {
  readonly count: number
  readonly displacement: number
  readonly type: Datatype
}

/**
 * The places of the basic elements of one item, in order (MPI's typemap). An item may have holes,
 * negative displacements, and elements that overlap; item k of several lies k extents further.
 *
 * Constructors check their arguments: MPI_ERR_ARG (MPI_ERR_COUNT for a bad count), MPI_ERR_TYPE
 * for what is no datatype, MPI_ERR_VALUE_TOO_LARGE where a computed size or bound is beyond
 * 2^53 - 1. All numbers are safe integers.
 */
export class Datatype {
  static readonly BYTE = Datatype.#basic('BYTE')
  static readonly CHAR = Datatype.#basic('CHAR')
  static readonly INT8 = Datatype.#basic('INT8')
  static readonly UINT8 = Datatype.#basic('UINT8')
  static readonly INT16 = Datatype.#basic('INT16')
  static readonly UINT16 = Datatype.#basic('UINT16')
  static readonly INT32 = Datatype.#basic('INT32')
  static readonly UINT32 = Datatype.#basic('UINT32')
  static readonly INT64 = Datatype.#basic('INT64')
  static readonly UINT64 = Datatype.#basic('UINT64')
  static readonly FLOAT32 = Datatype.#basic('FLOAT32')
  static readonly FLOAT64 = Datatype.#basic('FLOAT64')

  /** The constructor's name, or the basic type's; for messages. */
  readonly name: string
  /** Data bytes of one item, without holes. */
  readonly size: number
  /** Bytes from one item to the next. */
  readonly extent: number
  /** Lower bound in bytes from the item's origin. */
  readonly lowerBound: number
  /** Upper bound: lower bound + extent. */
  readonly upperBound: number
  /** Lowest displacement of data, whatever the bounds are. */
  readonly trueLowerBound: number
  /** Bytes from the lowest to the highest byte of data. */
  readonly trueExtent: number
  /** How the layers beside this one see the type; not for programs. */
  readonly body: TypeBody

  /** For the constructors below; programs use those. */
  constructor(name: string, body: TypeBody) {
    this.name = name
    this.body = body
    this.size = body.shape.bytes
    this.extent = extentOf(body)
    this.lowerBound = body.bounds.lower
    this.upperBound = body.bounds.upper
    this.trueLowerBound = body.shape.low
    this.trueExtent = body.shape.high - body.shape.low
    Object.freeze(this)
  }

  static #basic(name: BasicName): Datatype {
    return new Datatype(name, basicBody(name))
  }

  /** `count` items, one after another. MPI_Type_contiguous. */
  static contiguous(count: number, type: Datatype): Datatype {
    const old = bodyOf(type)
    return new Datatype('contiguous', contiguousBody(countOf(count, 'contiguous count'), old))
  }

  /**
   * `count` blocks of `blocklength` items, `stride` extents from block to block. The gap after the
   * last block is not part of the extent: to tile it, resize it. MPI_Type_vector.
   */
  static vector(count: number, blocklength: number, stride: number, type: Datatype): Datatype {
    const old = bodyOf(type)
    countOf(count, 'vector count')
    integerFrom(0, blocklength, 'vector blocklength')
    const strideBytes = computed(
      integerOf(stride, 'vector stride') * extentOf(old),
      'vector stride',
    )
    return new Datatype('vector', hvectorBody(count, blocklength, strideBytes, old))
  }

  /** As `vector`, with the stride in bytes. MPI_Type_create_hvector. */
  static hvector(
    count: number,
    blocklength: number,
    strideBytes: number,
    type: Datatype,
  ): Datatype {
    const old = bodyOf(type)
    countOf(count, 'hvector count')
    integerFrom(0, blocklength, 'hvector blocklength')
    return new Datatype(
      'hvector',
      hvectorBody(count, blocklength, integerOf(strideBytes, 'hvector stride'), old),
    )
  }

  /** Blocks of any lengths; displacements in extents of `type`. MPI_Type_indexed. */
  static indexed(spec: IndexedSpec): Datatype {
    expectSpec('indexed', spec, 'blocklengths, displacements, type')
    const { blocklengths, displacements, type } = spec
    const old = bodyOf(type)
    const lengths = blocklengthsOf('indexed', blocklengths, displacements)
    return new Datatype(
      'indexed',
      blocksBody(bytesOf('indexed', displacements, extentOf(old)), lengths, old),
    )
  }

  /** Blocks of any lengths; displacements in bytes. MPI_Type_create_hindexed. */
  static hindexed(spec: IndexedSpec): Datatype {
    expectSpec('hindexed', spec, 'blocklengths, displacements, type')
    const { blocklengths, displacements, type } = spec
    const old = bodyOf(type)
    const lengths = blocklengthsOf('hindexed', blocklengths, displacements)
    return new Datatype('hindexed', blocksBody(bytesOf('hindexed', displacements, 1), lengths, old))
  }

  /** Blocks of one length; displacements in extents of `type`. MPI_Type_create_indexed_block. */
  static indexedBlock(spec: IndexedBlockSpec): Datatype {
    expectSpec('indexedBlock', spec, 'blocklength, displacements, type')
    const { blocklength, displacements, type } = spec
    const old = bodyOf(type)
    integerFrom(0, blocklength, 'indexedBlock blocklength')
    return new Datatype(
      'indexedBlock',
      blocksBody(bytesOf('indexedBlock', displacements, extentOf(old)), blocklength, old),
    )
  }

  /** Blocks of one length; displacements in bytes. MPI_Type_create_hindexed_block. */
  static hindexedBlock(spec: IndexedBlockSpec): Datatype {
    expectSpec('hindexedBlock', spec, 'blocklength, displacements, type')
    const { blocklength, displacements, type } = spec
    const old = bodyOf(type)
    integerFrom(0, blocklength, 'hindexedBlock blocklength')
    return new Datatype(
      'hindexedBlock',
      blocksBody(bytesOf('hindexedBlock', displacements, 1), blocklength, old),
    )
  }

  /**
   * Members of different types. Its extent is padded at the end to the strictest alignment of the
   * elements, so that it mirrors a C struct; no other constructor pads. MPI_Type_create_struct.
   */
  static struct(members: readonly StructMember[]): Datatype {
    if (!Array.isArray(members))
      throw new IoError('MPI_ERR_ARG', 'struct: its members must be an array')
    const placed = members.map((member, i) => {
      expectSpec('struct member', member, 'count, displacement, type')
      const { count, displacement, type } = member
      return {
        body: bodyOf(type),
        offset: integerOf(displacement, `struct displacement ${i}`),
        copies: countOf(count, `struct count ${i}`),
      }
    })
    return new Datatype('struct', structBody(placed))
  }

  /** A block of an array; its extent is the whole array's. MPI_Type_create_subarray. */
  static subarray(spec: SubarraySpec & { readonly type: Datatype }): Datatype {
    expectSpec('subarray', spec, 'sizes, subsizes, starts, type')
    expectOptions('subarray', spec, { ...SUBARRAY_KEYS, type: true })
    return new Datatype('subarray', subarrayBody(spec, bodyOf(spec.type)))
  }

  /** One rank's share of a distributed array; its extent is the whole array's. MPI_Type_create_darray. */
  static darray(spec: DarraySpec & { readonly type: Datatype }): Datatype {
    expectSpec('darray', spec, 'size, rank, gsizes, distribs, psizes, type')
    expectOptions('darray', spec, { ...DARRAY_KEYS, type: true })
    return new Datatype('darray', darrayBody(spec, bodyOf(spec.type)))
  }

  /**
   * The same data under other bounds. Data keep their displacements, also those outside of the
   * bounds; types made from this one take their bounds from it. MPI_Type_create_resized.
   */
  static resized(type: Datatype, lowerBound: number, extent: number): Datatype {
    const old = bodyOf(type)
    integerOf(lowerBound, 'resized lower bound')
    integerOf(extent, 'resized extent')
    return new Datatype('resized', resizedBody(old, lowerBound, extent))
  }

  /** Whether items that follow each other are contiguous bytes from the origin on, without holes. */
  get isContiguous(): boolean {
    return (
      this.pieces <= 1 &&
      this.size === this.extent &&
      this.lowerBound === 0 &&
      this.trueLowerBound === 0
    )
  }

  /** Whether data lie before the item's origin. */
  get hasNegative(): boolean {
    return this.trueLowerBound < 0
  }

  /** Whether displacements of elements never decrease in typemap order, within one item. */
  get isMonotonic(): boolean {
    return this.body.shape.isMonotonic
  }

  /** Whether bytes of one item may lie on each other. False is certain; true is certain where `isMonotonic`. */
  get mayOverlap(): boolean {
    return this.body.shape.mayOverlap
  }

  /** Regions of one item, those merged that are adjacent in typemap order. */
  get pieces(): number {
    return this.body.shape.pieces
  }

  /** Number of basic elements of one item. */
  get elementCount(): number {
    return this.body.elements.count
  }

  /** The basic datatype of all elements, or `undefined` where there are several or none. */
  get basicType(): Datatype | undefined {
    const { elements } = this.body
    if (elements.kind !== 'uniform' || elements.basic === undefined) return undefined
    return Datatype[elements.basic]
  }

  /** Whole basic elements in the first `bytes` data bytes of items that follow each other; rounds down. */
  elementsIn(bytes: number): number {
    return elementsIn(this.body.elements, bytes)
  }
}

/** The body of what must be a datatype; MPI_ERR_TYPE otherwise, for programs in JavaScript may pass anything. */
function bodyOf(type: unknown): TypeBody {
  if (type instanceof Datatype) return type.body
  throw new IoError('MPI_ERR_TYPE', 'datatype: what was given is no datatype')
}

/** What is named in one object is not taken from a list of arguments, as MPI's own calls have it. MPI_ERR_ARG. */
function expectSpec(what: string, spec: unknown, keys: string): void {
  const isObject = typeof spec === 'object' && spec !== null
  if (isObject && !Array.isArray(spec) && !ArrayBuffer.isView(spec)) return
  throw new IoError('MPI_ERR_ARG', `${what}: it takes one object, { ${keys} }`)
}

function blocklengthsOf(
  what: string,
  blocklengths: ArrayLike<number>,
  displacements: ArrayLike<number>,
): ArrayLike<number> {
  if (blocklengths?.length !== displacements?.length) {
    throw new IoError('MPI_ERR_ARG', `${what}: there must be as many blocklengths as displacements`)
  }
  for (let i = 0; i < blocklengths.length; i++) {
    const length = blocklengths[i] ?? -1
    if (!Number.isSafeInteger(length) || length < 0)
      integerFrom(0, length, `${what} blocklength ${i}`)
  }
  return blocklengths
}

/** Displacements in bytes; the message is only built for a wrong one, of a million. */
function bytesOf(what: string, displacements: ArrayLike<number>, unit: number): Float64Array {
  if (!(Number.isSafeInteger(displacements?.length) && displacements.length >= 0)) {
    throw new IoError('MPI_ERR_ARG', `${what}: its displacements must be an array`)
  }
  const bytes = new Float64Array(displacements.length)
  for (let i = 0; i < bytes.length; i++) {
    const displacement = displacements[i] ?? Number.NaN
    if (!Number.isSafeInteger(displacement)) integerOf(displacement, `${what} displacement ${i}`)
    const offset = displacement * unit
    if (!Number.isSafeInteger(offset)) computed(offset, `${what} displacement ${i}`)
    bytes[i] = offset
  }
  return bytes
}
