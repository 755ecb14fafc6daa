// How ranks access a file in the benchmarks of the field, as numbers: pieces of equal length in two nested loops,
// in the file and in memory. Both we and bench/peers/romio.c carry them out. Pure.
import { WrongOption } from './options.js'

/** How often something comes again, and how many bytes further on each time. */
export interface Loop {
  readonly count: number
  readonly stride: number
}

/** Pieces of equal length. Their order is that of the inner loop within the outer one. */
export interface Section {
  readonly start: number
  readonly length: number
  readonly inner: Loop
  readonly outer: Loop
}

/** What one rank does: calls of one section each. */
export interface RankAccess {
  readonly file: Section
  /** Starts at 0. */
  readonly memory: Section
  /** Call c lies (c · order mod calls) · step further on in the file. More than one only where a call is one piece. */
  readonly calls: number
  readonly step: number
  readonly order: number
}

/** What all ranks do. */
export interface Shape {
  readonly name: string
  readonly ranks: number
  /** Each rank has a file of its own. */
  readonly filePerRank: boolean
  of(rank: number): RankAccess
}

const ONCE: Loop = { count: 1, stride: 0 }

/** What stands in memory that an access must leave alone. */
const CANARY = 0xa5

/** A round whose bytes are all others than those of any round in use. */
const OTHER_ROUND = 100

/** Contiguous bytes. */
export function whole(start: number, length: number): Section {
  return { start, length, inner: ONCE, outer: ONCE }
}

/** Bytes of a section's data. */
export function dataBytesOf({ length, inner, outer }: Section): number {
  return length * inner.count * outer.count
}

/** Pieces of a section. */
export function piecesOf({ inner, outer }: Section): number {
  return inner.count * outer.count
}

/** Bytes from the first of a section to its last. */
export function extentOf({ length, inner, outer }: Section): number {
  return length + (inner.count - 1) * inner.stride + (outer.count - 1) * outer.stride
}

/** Bytes that all ranks move. */
export function bytesOf(shape: Shape): number {
  let bytes = 0
  for (let rank = 0; rank < shape.ranks; rank++) {
    const { file, calls } = shape.of(rank)
    bytes += dataBytesOf(file) * calls
  }
  return bytes
}

/** How often all calls of a shape are made so that about so many bytes move; once at least. */
export function passesFor(shape: Shape, bytes: number): number {
  return Math.max(1, Math.round(bytes / bytesOf(shape)))
}

/** Calls that the naive way makes: one for each stretch that is contiguous in the file and in memory, of all ranks. */
export function requestsOf(shape: Shape): number {
  let requests = 0
  for (let rank = 0; rank < shape.ranks; rank++) {
    const { file, memory, calls } = shape.of(rank)
    requests += (dataBytesOf(file) / Math.min(file.length, memory.length)) * calls
  }
  return requests
}

/** How far behind its section a call lies. */
export function shiftOf({ calls, step, order }: RankAccess, call: number): number {
  return ((call * order) % calls) * step
}

/** The accesses of a rank as a line of the plan that romio.c reads. */
export function planLine({ file, memory, calls, step, order }: RankAccess): string {
  const loops = ({ inner, outer }: Section): number[] => [
    inner.count,
    inner.stride,
    outer.count,
    outer.stride,
  ]
  const parts = [file.start, file.length, ...loops(file), memory.length, ...loops(memory)]
  return [...parts, calls, step, order].join(' ')
}

/** What stands in a file at an offset after a round of writes: the same function as in romio.c. */
export function byteAt(offset: number, round: number): number {
  const hash = Math.imul(offset >>> 0, 0x9e3779b1) >>> 24
  return (hash + Math.floor(offset / 2 ** 32) + round * 41) & 0xff
}

/** Fills memory with what a call writes, and all around it with what nobody may change. */
export function fillMemory(
  into: Uint8Array,
  access: RankAccess,
  call: number,
  round: number,
): void {
  into.fill(CANARY)
  const { file, memory } = access
  const shift = shiftOf(access, call)
  const bytes = dataBytesOf(file)
  for (let at = 0; at < bytes; ) {
    const run = Math.min(file.length - (at % file.length), memory.length - (at % memory.length))
    const from = placeOf(file, at) + shift
    const to = placeOf(memory, at)
    for (let i = 0; i < run; i++) into[to + i] = byteAt(from + i, round)
    at += run
  }
}

/** Fills memory so that a read which does nothing, or ends early, is noticed. */
export function spoilMemory(into: Uint8Array, access: RankAccess, call: number): void {
  fillMemory(into, access, call, OTHER_ROUND)
}

/** Where the byte `at` of the data of a section is. */
export function placeOf({ start, length, inner, outer }: Section, at: number): number {
  const piece = Math.floor(at / length)
  const [row, column] = [Math.floor(piece / inner.count), piece % inner.count]
  return start + row * outer.stride + column * inner.stride + (at % length)
}

/** What `ior` shapes are made of. */
export interface IorOptions {
  readonly ranks: number
  /** Calls of each rank. */
  readonly calls: number
  readonly transferSize: number
}

/** IO500's ior-easy: a file for each rank, one transfer behind the other. */
export function iorEasy({ ranks, calls, transferSize }: IorOptions): Shape {
  const access = { ...inOnePiece(0, transferSize), calls, step: transferSize }
  return { name: 'ior-easy', ranks, filePerRank: true, of: () => access }
}

/** A shared file in which each rank has a block of its own, one transfer behind the other. */
export function iorShared({ ranks, calls, transferSize }: IorOptions): Shape {
  return {
    name: 'ior-shared',
    ranks,
    filePerRank: false,
    of: (rank) => ({
      ...inOnePiece(rank * calls * transferSize, transferSize),
      calls,
      step: transferSize,
    }),
  }
}

/** IO500's ior-hard: a shared file in which the ranks' transfers, of 47008 bytes, take turns. */
export function iorHard({ ranks, calls }: Omit<IorOptions, 'transferSize'>): Shape {
  const bytes = 47_008
  return {
    name: 'ior-hard',
    ranks,
    filePerRank: false,
    of: (rank) => ({ ...inOnePiece(rank * bytes, bytes), calls, step: ranks * bytes }),
  }
}

/** IO500's rnd4K: as `iorShared`, in an order that jumps through the block and comes to each place once. */
export function iorRandom(options: IorOptions): Shape {
  const shape = iorShared(options)
  const order = coprimeTo(options.calls)
  return { ...shape, name: 'ior-random', of: (rank) => ({ ...shape.of(rank), order }) }
}

/** Pieces of the ranks in turn, all of a rank's in one call. */
export function cyclic(ranks: number, piece: number, pieces: number): Shape {
  return {
    name: `cyclic ${piece} B`,
    ranks,
    filePerRank: false,
    of: (rank) =>
      inOneCall({
        start: rank * piece,
        length: piece,
        inner: { count: pieces, stride: ranks * piece },
        outer: ONCE,
      }),
  }
}

/** What mpi-tile-io is given. */
export interface TileOptions {
  /** Tiles, one for each rank. */
  readonly columns: number
  readonly rows: number
  /** Elements of a tile. */
  readonly sizeX: number
  readonly sizeY: number
  readonly elementBytes: number
  /** Elements that neighbours share. */
  readonly overlapX: number
  readonly overlapY: number
}

/** mpi-tile-io: a dataset of two dimensions, of which each rank has a tile that overlaps its neighbours'. */
export function tileIo(options: TileOptions): Shape {
  const { columns, rows, sizeX, sizeY, elementBytes, overlapX, overlapY } = options
  const rowBytes = (columns * sizeX - (columns - 1) * overlapX) * elementBytes
  return {
    name: 'tile-io',
    ranks: columns * rows,
    filePerRank: false,
    of: (rank) => {
      const [x, y] = [rank % columns, Math.floor(rank / columns)]
      return inOneCall({
        start: y * (sizeY - overlapY) * rowBytes + x * (sizeX - overlapX) * elementBytes,
        length: sizeX * elementBytes,
        inner: { count: sizeY, stride: rowBytes },
        outer: ONCE,
      })
    },
  }
}

/** ROMIO's coll_perf: an array of 4-byte numbers in three dimensions, of which each rank has a block. */
export function collPerf(ranks: number, [n0, n1, n2]: readonly [number, number, number]): Shape {
  const [p0, p1, p2] = gridOf(ranks)
  const [b0, b1, b2] = [n0 / p0, n1 / p1, n2 / p2]
  if (![b0, b1, b2].every(Number.isInteger))
    throw new WrongOption(`coll-perf: ${n0} × ${n1} × ${n2} cannot be cut ${p0} × ${p1} × ${p2}`)
  return {
    name: 'coll-perf',
    ranks,
    filePerRank: false,
    of: (rank) => {
      const [x, y, z] = [Math.floor(rank / (p1 * p2)), Math.floor(rank / p2) % p1, rank % p2]
      return inOneCall({
        start: ((x * b0 * n1 + y * b1) * n2 + z * b2) * 4,
        length: b2 * 4,
        inner: { count: b1, stride: n2 * 4 },
        outer: { count: b0, stride: n1 * n2 * 4 },
      })
    },
  }
}

/** The most even grid of three dimensions for some ranks, as MPI_Dims_create: the largest dimension first. */
export function gridOf(ranks: number): readonly [number, number, number] {
  let best: readonly [number, number, number] = [ranks, 1, 1]
  for (let a = 1; a <= ranks; a++)
    for (let b = 1; ranks % a === 0 && b <= a && a * b <= ranks; b++) {
      const c = ranks / a / b
      if (Number.isInteger(c) && c <= b && a - c < best[0] - best[2]) best = [a, b, c]
    }
  return best
}

/** Where an access has gaps. */
export interface Gaps {
  readonly inFile: boolean
  readonly inMemory: boolean
}

/** What HPIO is given. */
export interface HpioOptions extends Gaps {
  readonly ranks: number
  /** Regions of each rank. */
  readonly count: number
  /** Bytes of a region. */
  readonly size: number
  /** Bytes between regions, in the file and in memory; where there are no gaps they do not count. */
  readonly spacing: number
}

/** HPIO: regions of the ranks in turn, with gaps between them; or each rank's regions side by side. */
export function hpio({ ranks, count, size, spacing, inFile, inMemory }: HpioOptions): Shape {
  const stride = size + spacing
  return {
    name: `hpio ${inMemory ? 'nc' : 'c'}-${inFile ? 'nc' : 'c'} ${count} × ${size} B + ${spacing}`,
    ranks,
    filePerRank: false,
    of: (rank) => {
      const file = inFile
        ? regions(rank * stride, size, count, ranks * stride)
        : whole(rank * count * size, count * size)
      const memory = inMemory ? regions(0, size, count, stride) : whole(0, count * size)
      return { file, memory, calls: 1, step: 0, order: 1 }
    },
  }
}

/** What noncontig is given. */
export interface NoncontigOptions extends Gaps {
  readonly ranks: number
  /** Numbers of 4 bytes in an element. */
  readonly elementCount: number
  /** Elements of each rank. */
  readonly elements: number
}

/** noncontig: elements of the ranks in turn; the gaps in memory are as those in the file. */
export function noncontig(options: NoncontigOptions): Shape {
  const { ranks, elementCount, elements, inFile, inMemory } = options
  const size = elementCount * 4
  return {
    name: `noncontig ${inMemory ? 'nc' : 'c'}-${inFile ? 'nc' : 'c'}`,
    ranks,
    filePerRank: false,
    of: (rank) => {
      const file = inFile
        ? regions(rank * size, size, elements, ranks * size)
        : whole(rank * elements * size, elements * size)
      const memory = inMemory ? regions(0, size, elements, ranks * size) : whole(0, elements * size)
      return { file, memory, calls: 1, step: 0, order: 1 }
    },
  }
}

function regions(start: number, length: number, count: number, stride: number): Section {
  return { start, length, inner: { count, stride }, outer: ONCE }
}

function inOnePiece(start: number, bytes: number): Omit<RankAccess, 'calls' | 'step'> {
  return { file: whole(start, bytes), memory: whole(0, bytes), order: 1 }
}

function inOneCall(file: Section): RankAccess {
  return { file, memory: whole(0, dataBytesOf(file)), calls: 1, step: 0, order: 1 }
}

/** A number that jumps far through 0 … count - 1, and comes to each of them once. */
export function coprimeTo(count: number): number {
  let order = Math.max(1, Math.floor(count * 0.618))
  while (commonDivisor(order, count) !== 1) order++
  return order
}

function commonDivisor(a: number, b: number): number {
  return b === 0 ? a : commonDivisor(b, a % b)
}
