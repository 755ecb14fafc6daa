// Bytes that say where they come from. A file is written in blocks of 64 bytes; each names its writer, the number of
// the write and its place in the file, and fills the rest with what follows from these, so that a torn one is seen.

/** Bytes of one block. */
export const BLOCK_BYTES = 64

/** The bytes of a write: block by block, for the places in the file that it goes to. */
export function contentOf(write: number, blocks: readonly number[]): Uint8Array {
  const bytes = new Uint8Array(blocks.length * BLOCK_BYTES)
  for (const [index, block] of blocks.entries()) fill(bytes, index * BLOCK_BYTES, write, block)
  return bytes
}

/** The bytes of one block of a write. */
export function blockOf(write: number, block: number): Uint8Array {
  return contentOf(write, [block])
}

/** Which write a block says it is of; 0 = it is a hole. Nothing about whether the rest of it is right. */
export function writeIn(bytes: Uint8Array, at: number): number {
  const view = new DataView(bytes.buffer, bytes.byteOffset + at, BLOCK_BYTES)
  return view.getUint32(0, true)
}

/** Whether a block is a hole. */
export function isHole(bytes: Uint8Array, at: number): boolean {
  for (let index = 0; index < BLOCK_BYTES; index++) if (bytes[at + index] !== 0) return false
  return true
}

function fill(bytes: Uint8Array, at: number, write: number, block: number): void {
  const view = new DataView(bytes.buffer, bytes.byteOffset + at, BLOCK_BYTES)
  view.setUint32(0, write, true)
  view.setUint32(4, block, true)
  let word = Math.imul(write, 0x9e37_79b1) ^ Math.imul(block + 1, 0x85eb_ca6b)
  for (let offset = 8; offset < BLOCK_BYTES; offset += 4) {
    word ^= word << 13
    word ^= word >>> 17
    word ^= word << 5
    view.setUint32(offset, word, true)
  }
}
