// Memory of messages between ranks that is used again. Of short ones on their way out until they were sent, and on their way in
// until they are taken; of long ones where both ends are ours and know when nobody reads them any more.

import { BlockPool } from '../base/block-pool.js'
import type { BodySource } from '../base/runtime.js'

/** Up to here V8 makes an array within its heap; longer ones cost ten times as much, and more the more there are (measured). */
const NEW_BYTES_MAX = 64

/** 1 MiB: as much as one rank may send to another that takes nothing. */
const KEPT_BYTES = 2 ** 20

/**
 * 28 MiB: as much as an aggregator takes at a time, four messages of at most 4 MiB and 2 MiB of regions, in blocks of up to 7 MiB. With a block
 * less those of other lengths would make room for the last one, each time.
 */
const LONG_KEPT_BYTES = 28 * 2 ** 20

const pool = new BlockPool(KEPT_BYTES)

/**
 * Of long messages that are lent, and of what is put together to be sent as one. New memory for each cost ranks that exchange
 * megabytes in rounds a quarter of their time, in the collector and in pages that are touched for the first time (measured).
 */
export const longMemory = new BlockPool(LONG_KEPT_BYTES)

/** Memory of a short message that is used again. */
export interface LentBody extends BodySource {
  /** All of it; nobody else's until it was sent. */
  readonly bytes: Uint8Array
}

/** A short message as it travels, in memory of its own until it was sent: its parts are the caller's again at once. */
export function shortBody(
  head: Uint8Array,
  parts: readonly Uint8Array[],
  length: number,
): readonly Uint8Array[] | LentBody {
  const bytes = 1 + head.length + length
  if (bytes > NEW_BYTES_MAX) return lent(put(pool.take(bytes), head, parts), bytes)
  return [put(new Uint8Array(bytes), head, parts)]
}

/** What has arrived of a short message behind its head. */
export class ArrivedBody {
  readonly length: number
  readonly #bytes: Uint8Array
  readonly #block: Uint8Array | undefined

  constructor(length: number) {
    this.length = length
    this.#block = length > NEW_BYTES_MAX ? pool.take(length) : undefined
    this.#bytes = this.#block?.subarray(0, length) ?? new Uint8Array(length)
  }

  /** The next of its bytes. */
  set(bytes: Uint8Array, at: number): void {
    this.#bytes.set(bytes, at)
  }

  /** Its bytes, in memory that nobody else has; once, and nothing else afterwards. */
  taken(): Uint8Array {
    // All that are empty share one.
    if (this.length === 0) return new Uint8Array(0)
    if (this.#block === undefined) return this.#bytes
    // No Buffer: a slice of it would be no copy.
    const own = new Uint8Array(Buffer.allocUnsafeSlow(this.length).buffer)
    own.set(this.#bytes)
    this.giveBack()
    return own
  }

  /** Its bytes until `giveBack`. */
  borrowed(): Uint8Array {
    return this.#bytes
  }

  /** Nobody reads them any more. To be called once. */
  giveBack(): void {
    if (this.#block !== undefined) pool.give(this.#block)
  }
}

function put(into: Uint8Array, head: Uint8Array, parts: readonly Uint8Array[]): Uint8Array {
  into[0] = head.length
  into.set(head, 1)
  let at = 1 + head.length
  for (const part of parts) {
    into.set(part, at)
    at += part.length
  }
  return into
}

// A connection gives back what it has taken, once; what it has not taken nobody reads.
function lent(block: Uint8Array, length: number): LentBody {
  const bytes = block.subarray(0, length)
  let isTaken = false
  return {
    bytes,
    length,
    next: () => {
      if (isTaken) return undefined
      isTaken = true
      return bytes
    },
    release: () => pool.give(block),
    cancel: () => {
      if (!isTaken) pool.give(block)
    },
  }
}
