// The ordered key-value store under the manager's metadata: what every kind of it promises. Maps one to one to
// LMDB, LevelDB, etcd and FoundationDB. Knows nothing of names, files or opens.

import { Buffer } from 'node:buffer'

/** A key and its value. */
export interface Entry {
  readonly key: Uint8Array
  readonly value: Uint8Array
}

/**
 * A condition of a transaction: the value under `key` equals `value` byte by byte (`undefined`: the
 * key is absent); or no key at all begins with `emptyPrefix`.
 */
export type Compare =
  | { readonly key: Uint8Array; readonly value: Uint8Array | undefined }
  | { readonly emptyPrefix: Uint8Array }

/** One change of a transaction: `value` is put under `key`; `undefined` removes the key, if it is there. */
export interface Operation {
  readonly key: Uint8Array
  readonly value: Uint8Array | undefined
  /**
   * What the change means for what is kept in memory: called once it is committed, in the order of all changes, before
   * its transaction resolves; never if it does not hold. So memory is never ahead of the store. It must not throw.
   */
  readonly applied?: () => void
}

/**
 * When a transaction resolves: 'flushed' once it survives a loss of power; 'committed' once it survives the death of
 * this process, and it is flushed with the next transaction that is. What anybody is told is flushed; 'committed' is
 * what may come back, such as a record of something that is done.
 */
export type Durability = 'flushed' | 'committed'

/** Conditions, and changes that happen all or not at all. Later changes of one key win over earlier ones. */
export interface Transaction {
  readonly compare: readonly Compare[]
  readonly operations: readonly Operation[]
  readonly durability: Durability
}

/** What a store takes; more is refused with MPI_ERR_ARG before anything happens. */
export interface StoreLimits {
  /** Bytes of a key; the least is 1. */
  readonly keyBytes: number
  /** Bytes of a value; 0 is allowed. */
  readonly valueBytes: number
  /** Conditions and changes of one transaction, together. */
  readonly operations: number
  /** Entries of one range. */
  readonly rangeEntries: number
}

/**
 * Limits that all kinds keep: 1,978 bytes is LMDB's longest key on pages of 4 KiB; 1 MiB fits into
 * one request of etcd (1.5 MiB); 4,096 operations keep one commit in the range of milliseconds.
 */
export const STORE_LIMITS: StoreLimits = {
  keyBytes: 1978,
  valueBytes: 1 << 20,
  operations: 4096,
  rangeEntries: 4096,
}

/**
 * An ordered key-value store. All methods are asynchronous, `get` too: a store on other machines cannot
 * be otherwise, and beside a lookup of a microsecond an `await` costs a tenth, so a second, synchronous
 * form would buy nothing.
 *
 * What is passed in is copied before the method returns; what comes out belongs to the caller.
 * Transactions take effect in the order in which they were called. Reads may see a transaction a moment
 * before it is flushed, never one that failed.
 *
 * Errors: MPI_ERR_ARG beyond a limit; MPI_ERR_IO with reason CHECKSUM for a damaged value;
 * MPI_ERR_NO_SPACE and MPI_ERR_QUOTA leave the store as it was. After any other failure to commit or
 * flush it is poisoned: every later call rejects, and no flush is ever tried again, since the kernel
 * may have dropped the bytes and would report success.
 */
export interface Store extends AsyncDisposable {
  readonly limits: StoreLimits
  /** The value under `key`, or `undefined`. */
  get(key: Uint8Array): Promise<Uint8Array | undefined>
  /**
   * The first `limit` entries whose key begins with `prefix` and is greater than `after`, in ascending
   * order of the bytes of their keys.
   */
  range(prefix: Uint8Array, after: Uint8Array | undefined, limit: number): Promise<Entry[]>
  /** The same without the values: also keys whose value is damaged. */
  keys(prefix: Uint8Array, after: Uint8Array | undefined, limit: number): Promise<Uint8Array[]>
  /** Applies a transaction if all its conditions hold: `false` = one does not, and nothing has changed. */
  transact(transaction: Transaction): Promise<boolean>
  /** Resolves when everything that was committed before the call is flushed. */
  flush(): Promise<void>
  /** Ends the store after what is in flight; idempotent. */
  close(): Promise<void>
}

/** Negative, 0 or positive: the order of two keys, byte by byte; a prefix comes first. */
export function compareKeys(one: Uint8Array, other: Uint8Array): number {
  return Buffer.compare(one, other)
}

/** The first key after all that begin with `prefix`, or `undefined` where there is no such key. */
export function prefixEnd(prefix: Uint8Array): Uint8Array | undefined {
  const last = prefix.findLastIndex((byte) => byte !== 0xff)
  if (last < 0) return undefined
  const end = prefix.slice(0, last + 1)
  end[last] = (end[last] ?? 0) + 1
  return end
}

/**
 * All entries whose key begins with `prefix`, in order, a page at a time: not a snapshot, what changes
 * meanwhile may be seen or not. Walking over everything (an empty prefix) checks every checksum.
 */
export function entriesOf(store: Store, prefix: Uint8Array): AsyncGenerator<Entry, void> {
  return paged(
    store,
    async (after, limit) => await store.range(prefix, after, limit),
    ({ key }) => key,
  )
}

/** All keys that begin with `prefix`, likewise; what is damaged of their values does not matter. */
export function keysOf(store: Store, prefix: Uint8Array): AsyncGenerator<Uint8Array, void> {
  return paged(
    store,
    async (after, limit) => await store.keys(prefix, after, limit),
    (key) => key,
  )
}

// Each page starts where the one before ended.
async function* paged<Item>(
  store: Store,
  pageBehind: (after: Uint8Array | undefined, limit: number) => Promise<readonly Item[]>,
  keyIn: (item: Item) => Uint8Array,
): AsyncGenerator<Item, void> {
  const limit = Math.min(512, store.limits.rangeEntries)
  let after: Uint8Array | undefined
  for (;;) {
    const page = await pageBehind(after, limit)
    yield* page
    const last = page.at(-1)
    if (last === undefined || page.length < limit) return
    after = keyIn(last)
  }
}
