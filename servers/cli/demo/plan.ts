// How the demo cuts its input: a block-cyclic share for each writing rank in rounds, and contiguous
// blocks for another number of reading ranks. Pure.

/** Bytes of a block of the block-cyclic view; smaller where the input is small. */
const BLOCK_BYTES_MAX = 1024 * 1024

/** Rounds of a large input: enough that a restart falls among them. */
const ROUNDS = 12

/** What all ranks of the demo know of the input. */
export interface DemoPlan {
  /** Bytes of the input. */
  readonly size: number
  /** Bytes of one block of the view; rank r writes the blocks r, r + ranks, … */
  readonly blockBytes: number
  /** Blocks that a rank writes in one round. */
  readonly blocksPerRound: number
  readonly rounds: number
  readonly writers: number
  readonly readers: number
}

/** Plans for an input of `size` bytes and this many writing ranks. */
export function planDemo(size: number, writers: number): DemoPlan {
  const share = Math.ceil(size / (writers * ROUNDS))
  const blockBytes = Math.max(1, Math.min(BLOCK_BYTES_MAX, share))
  const blocksPerRank = Math.ceil(Math.ceil(size / blockBytes) / writers)
  const blocksPerRound = Math.max(1, Math.ceil(blocksPerRank / ROUNDS))
  const rounds = Math.ceil(blocksPerRank / blocksPerRound)
  return {
    size,
    blockBytes,
    blocksPerRound,
    rounds,
    writers,
    readers: writers <= 2 ? writers + 1 : Math.floor(writers / 2) + 1,
  }
}

/** The blocks of one writing rank in one round, as regions of the input in order. */
export function blocksOf(
  plan: DemoPlan,
  rank: number,
  round: number,
): { readonly offset: number; readonly length: number }[] {
  const { size, blockBytes, blocksPerRound, writers } = plan
  const blocks: { offset: number; length: number }[] = []
  for (let i = 0; i < blocksPerRound; i++) {
    const offset = ((round * blocksPerRound + i) * writers + rank) * blockBytes
    if (offset < size) blocks.push({ offset, length: Math.min(blockBytes, size - offset) })
  }
  return blocks
}

/** The contiguous block of one reading rank. */
export function readBlockOf(
  { size, readers }: DemoPlan,
  rank: number,
): { readonly offset: number; readonly length: number } {
  const offset = Math.floor((size * rank) / readers)
  return { offset, length: Math.floor((size * (rank + 1)) / readers) - offset }
}

/** Rounds after which the iod is killed, or undefined if that is to be before the read-back. */
export function killAfter({ rounds }: DemoPlan): number | undefined {
  return rounds < 2 ? undefined : Math.floor(rounds / 2)
}
