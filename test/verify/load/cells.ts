// Files as cells of 16 KiB, the least that ranks under load write and read. The bytes of a cell say which write they are of.
import { BLOCK_BYTES, blockOf, contentOf, isHole, writeIn } from '../../sim/content.js'

/** Bytes of one cell. */
export const CELL_BYTES = 16 * 1024

/** Blocks of one cell. */
const BLOCKS = CELL_BYTES / BLOCK_BYTES

/** A block of which not all bytes are of one write: its number in the file, and its bytes in base64. */
export type OddBlock = readonly [block: number, bytes: string]

/** What some cells, one after the other, were seen to hold. */
export interface Seen {
  readonly cells: number
  /** The writes of which whole blocks were seen; 0 is a hole. */
  readonly writes: readonly number[]
  readonly odd?: readonly OddBlock[]
}

/** The bytes that a write puts into some cells. */
export function cellsOf(write: number, cell: number, cells: number): Uint8Array {
  return contentOf(
    write,
    Array.from({ length: cells * BLOCKS }, (_, index) => cell * BLOCKS + index),
  )
}

/** What bytes from a cell on say they are of; what lies behind the end of the file is given as zeros. */
export function seenIn(bytes: Uint8Array, cell: number): Seen[] {
  const seen: Seen[] = []
  for (let at = 0; at < bytes.length; at += CELL_BYTES) {
    const one = cellIn(bytes.subarray(at, at + CELL_BYTES), cell + at / CELL_BYTES)
    const last = seen.at(-1)
    if (last !== undefined && isAlike(last, one)) seen[seen.length - 1] = longer(last)
    else seen.push(one)
  }
  return seen
}

/** The bytes of an odd block. */
export function bytesOf([, text]: OddBlock): Uint8Array {
  return Buffer.from(text, 'base64')
}

/** Whether each byte of a block is one that a write puts there, 0 being a hole. */
export function isMixture([block, text]: OddBlock, writes: readonly number[]): boolean {
  const values = writes.map((write) => (write === 0 ? undefined : blockOf(write, block)))
  return bytesOf([block, text]).every((byte, index) =>
    values.some((value) => (value?.[index] ?? 0) === byte),
  )
}

function cellIn(bytes: Uint8Array, cell: number): Seen {
  const first = writeIn(bytes, 0)
  const whole = first === 0 ? new Uint8Array(CELL_BYTES) : cellsOf(first, cell, 1)
  if (Buffer.compare(bytes, whole) === 0) return { cells: 1, writes: [first] }
  const writes = new Set<number>()
  const odd: OddBlock[] = []
  for (let index = 0; index < BLOCKS; index++) {
    const at = index * BLOCK_BYTES
    const block = bytes.subarray(at, at + BLOCK_BYTES)
    const write = writeIn(block, 0)
    const number = cell * BLOCKS + index
    const isWhole =
      write === 0 ? isHole(block, 0) : Buffer.compare(block, blockOf(write, number)) === 0
    if (isWhole) writes.add(write)
    else odd.push([number, Buffer.from(block).toString('base64')])
  }
  return { cells: 1, writes: [...writes], ...(odd.length > 0 ? { odd } : {}) }
}

function isAlike(a: Seen, b: Seen): boolean {
  const isPlain = a.odd === undefined && b.odd === undefined && a.writes.length === 1
  return isPlain && b.writes.length === 1 && a.writes[0] === b.writes[0]
}

function longer(seen: Seen): Seen {
  return { ...seen, cells: seen.cells + 1 }
}
