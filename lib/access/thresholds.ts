// From where on ranks do what with each other in a collective access: measured, and free to change. What the wire and
// memory bound is in `protocol/limits.ts`; what a program may set is a hint.

import type { Kind } from './move.js'

/** 1 MiB: what rank 0 takes of all ranks together to move it at once. */
export const SMALL_TOTAL_BYTES = 2 ** 20

/**
 * What one rank hands to rank 0, where there are few ranks; or takes back, which is only done when rank 0 has it all
 * (measured, unix sockets, against requests of each rank: reads of 4 KiB take 1.26 times as long for 4 ranks and 1.07 for 8, and fewer
 * messages; of 8 KiB 1.4 and 1.3; of 16 KiB 2.25).
 */
export const SMALL_BYTES_MAX = { read: 4 * 1024, write: 16 * 1024 } as const satisfies Record<
  Kind,
  number
>

/**
 * 48 KiB: what is written by each of the ranks of one host, where its way to rank 0 costs less than a second exchange and
 * requests of all ranks (measured, unix sockets, 4 iods: 46 KiB takes .6 of the CPU for 4 ranks, .5 for 8, and 32 KiB no more). With all that is told of
 * it, it still travels at once.
 */
export const SMALL_BYTES_MAX_ON_HOST = 48 * 1024

/**
 * Pieces of a quarter of a strip, or of 2 KiB, are not worth a second way over the network: an iod moves even
 * those that lie far apart at 1 GB/s, a system call each (measured: from 4 KiB on direct takes half of the time).
 */
export const PIECE_BYTES_MAX = 2048

/** See there. */
export const PIECES_PER_STRIP = 4

/**
 * Smaller ones an iod moves in windows that hold the pieces of all ranks: as many ranks, so many times each byte.
 * That costs less than the second way below some 16 ranks for reads and some 8 for writes, whether the pieces are
 * regular or not (measured: 16 B, 64 B and 512 B, 12 and 25 MB over 4 iods; of 2 and 4 ranks lists take .4 to .8 of
 * the time of rounds, of 8 ranks writes take the same).
 */
export const RANKS_MIN = { read: 16, write: 8 } as const satisfies Record<Kind, number>

/** How much emptier than full rounds may be on average before lists are sent instead. */
export const SPARSE_ROUNDS_MAX = 64

/** Runs of the messages of all ranks together, 32 bytes each. A rank with more than its share in a round sends several messages. */
export const ENTRIES_OF_ALL = 2 ** 20

/** Runs of one message, however many ranks there are. */
export const MESSAGE_ENTRIES_MIN = 4096

/** And however few. */
export const MESSAGE_ENTRIES_MAX = 65_536

/** Regions of one message: what an aggregator does at a stretch, some 10 ms. */
export const MESSAGE_REGIONS = 128 * 1024

/** Bytes of one message at most. */
export const MESSAGE_BYTES_MAX = 4 * 2 ** 20

/** Bytes that one may have however many aggregators there are. */
export const MESSAGE_BYTES_MIN = 64 * 1024

/** Bytes of all parts that a rank hands to the leader of its host at a time. */
export const HELD_BYTES_MAX = 4 * 2 ** 20

/** And runs. */
export const HELD_ENTRIES_MAX = 65_536

/** Ranks of a host, on average, from which on they combine what they send to aggregators of other hosts. */
export const COMBINED_RANKS_MIN = 4

/**
 * Bytes of a message to an aggregator, on average, up to which they do. What is longer costs more on its second way than
 * messages are saved (measured, 16 to 32 ranks on 2 to 4 hosts, where those between hosts cost no more than others: .9 of
 * the CPU in writes up to 8 KiB, 1.2 at 16 KiB; .9 in reads up to 32 KiB, which save answers too).
 */
export const COMBINED_BYTES_MAX = {
  read: 32 * 1024,
  write: 8 * 1024,
} as const satisfies Record<Kind, number>

/** Messages that an aggregator takes at a time. */
export const RECEIVES_OUT = 4
