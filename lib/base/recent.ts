// What is remembered up to a number: the entry that was set longest ago makes room for a new one.

/** A map of a bounded number of entries. */
export class RecentMap<K, V> {
  readonly #entries = new Map<K, V>()
  readonly #countMax: number
  readonly #isInUse: (value: V) => boolean

  /** An entry that is in use is kept whatever the limit. */
  constructor(countMax: number, isInUse: (value: V) => boolean = () => false) {
    this.#countMax = countMax
    this.#isInUse = isInUse
  }

  get size(): number {
    return this.#entries.size
  }

  has(key: K): boolean {
    return this.#entries.has(key)
  }

  get(key: K): V | undefined {
    return this.#entries.get(key)
  }

  values(): IterableIterator<V> {
    return this.#entries.values()
  }

  /** Sets an entry, which is the youngest then; the oldest ones that are not in use make room. */
  set(key: K, value: V): void {
    this.#entries.delete(key)
    this.#entries.set(key, value)
    if (this.#entries.size <= this.#countMax) return
    for (const [oldest, its] of this.#entries) {
      if (oldest === key || this.#isInUse(its)) continue
      this.#entries.delete(oldest)
      if (this.#entries.size <= this.#countMax) return
    }
  }

  /** Deletes the entries with these keys, but none that is in use. */
  deleteWhere(which: (key: K) => boolean): void {
    for (const [key, value] of this.#entries)
      if (which(key) && !this.#isInUse(value)) this.#entries.delete(key)
  }

  /** Whether there was such an entry. */
  delete(key: K): boolean {
    return this.#entries.delete(key)
  }
}
