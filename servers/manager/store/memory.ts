// A store in memory, and the disk that outlives it: for tests and for the simulator. Deterministic: it waits
// for nothing but what is injected. A crash drops what was not flushed, a kill only what was not committed.

import { Buffer } from 'node:buffer'
import { hexOf } from '../../../lib/base/bytes.js'
import { errorOf, IoError } from '../../../lib/base/errors.js'
import { type Engine, GroupStore } from './group-store.js'
import { keyText } from './overlay.js'
import { type Entry, type Operation, prefixEnd, STORE_LIMITS, type Store } from './store.js'

/** What can be injected into a store in memory. */
export interface MemoryStoreOptions {
  /**
   * Called before each commit and flush, which wait for it: to delay them, or, by a rejection, to let
   * the disk fail.
   */
  readonly fault?: (step: 'commit' | 'flush') => void | Promise<void>
}

/** What a directory is for a store on disk: opened by one store at a time, and there after it has gone. */
export class MemoryDisk {
  readonly #content: Content
  #engine: MemoryEngine | undefined

  constructor(content = new Content()) {
    this.#content = content
  }

  /** A copy of what lies on this disk now, as one makes it of a directory: what is not flushed is in it. */
  copy(): MemoryDisk {
    return new MemoryDisk(this.#content.copy())
  }

  /** Opens the store that lies on this disk; MPI_ERR_IO while another one has it open. */
  open(options: MemoryStoreOptions = {}): Store {
    if (this.#engine?.isOpen === true) {
      throw new IoError('MPI_ERR_IO', 'memory store: it is open already', { errno: 'EBUSY' })
    }
    this.#engine = new MemoryEngine(this.#content, options)
    return new GroupStore(this.#engine)
  }

  /** The death of the process: the open store rejects everything, what was committed stays. */
  kill(): void {
    this.#engine?.kill()
  }

  /** A loss of power: as `kill`, and what was not flushed is gone. */
  crash(): void {
    this.kill()
    this.#content.dropUnflushed()
  }

  /** Every key that has a value, in order. */
  get keys(): Uint8Array[] {
    return this.#content.keys
  }

  /** The value of a key has a wrong bit, as its checksum shows to whoever reads it, until it is replaced. */
  rot(key: Uint8Array): void {
    this.#content.rot(key)
  }

  /** Every value is as it was written. */
  restore(): void {
    this.#content.restore()
  }
}

class MemoryEngine implements Engine {
  readonly limits = STORE_LIMITS
  readonly #content: Content
  readonly #fault: NonNullable<MemoryStoreOptions['fault']>
  #state: 'open' | 'killed' | 'closed' = 'open'

  constructor(content: Content, options: MemoryStoreOptions) {
    this.#content = content
    this.#fault = options.fault ?? ((): void => {})
  }

  get isOpen(): boolean {
    return this.#state === 'open'
  }

  kill(): void {
    if (this.#state === 'open') this.#state = 'killed'
  }

  get(key: Uint8Array): Uint8Array | undefined {
    this.#checkAlive()
    return this.#content.get(key)?.slice()
  }

  range(prefix: Uint8Array, after: Uint8Array | undefined, limit: number): Entry[] {
    this.#checkAlive()
    return this.#content.range(prefix, after, limit)
  }

  keys(prefix: Uint8Array, after: Uint8Array | undefined, limit: number): Uint8Array[] {
    this.#checkAlive()
    return this.#content.keysIn(prefix, after, limit).map(bytesOf)
  }

  async commit(changes: readonly Operation[]): Promise<void> {
    await this.#fault('commit')
    this.#checkAlive()
    for (const change of changes) this.#content.apply(change)
  }

  async flush(): Promise<void> {
    await this.#fault('flush')
    this.#checkAlive()
    this.#content.keepUnflushed()
  }

  async close(): Promise<void> {
    this.#state = 'closed'
  }

  #checkAlive(): void {
    if (this.#state === 'killed') throw new IoError('MPI_ERR_IO', 'memory store: its process died')
  }
}

/** Sorted keys with their values, and what they were when last flushed. Keys are text of one character a byte. */
class Content {
  readonly #values = new Map<string, Uint8Array>()
  readonly #keys: string[] = []
  readonly #unflushed = new Map<string, Uint8Array | undefined>()
  readonly #rotten = new Set<string>()

  get keys(): Uint8Array[] {
    return this.#keys.map(bytesOf)
  }

  rot(key: Uint8Array): void {
    this.#rotten.add(keyText(key))
  }

  restore(): void {
    this.#rotten.clear()
  }

  copy(): Content {
    const copy = new Content()
    for (const [key, value] of this.#values) copy.#put(key, value)
    return copy
  }

  get(key: Uint8Array): Uint8Array | undefined {
    return this.#sound(keyText(key))
  }

  range(prefix: Uint8Array, after: Uint8Array | undefined, limit: number): Entry[] {
    return this.keysIn(prefix, after, limit).map((key) => ({
      key: bytesOf(key),
      value: (this.#sound(key) ?? new Uint8Array()).slice(),
    }))
  }

  keysIn(prefix: Uint8Array, after: Uint8Array | undefined, limit: number): string[] {
    const end = prefixEnd(prefix)
    const first = this.#indexOf(keyText(prefix))
    // One past `after`: the least text greater than it ends with a zero byte.
    const start =
      after === undefined ? first : Math.max(first, this.#indexOf(`${keyText(after)}\0`))
    const stop = end === undefined ? this.#keys.length : this.#indexOf(keyText(end))
    return this.#keys.slice(start, Math.min(stop, start + limit))
  }

  apply({ key, value }: Operation): void {
    const text = keyText(key)
    if (!this.#unflushed.has(text)) this.#unflushed.set(text, this.#values.get(text))
    this.#put(text, value)
  }

  keepUnflushed(): void {
    this.#unflushed.clear()
  }

  dropUnflushed(): void {
    for (const [key, value] of this.#unflushed) this.#put(key, value)
    this.#unflushed.clear()
  }

  #sound(key: string): Uint8Array | undefined {
    if (!this.#rotten.has(key)) return this.#values.get(key)
    const message = `memory store: the value of key ${hexOf(bytesOf(key))} does not match its checksum`
    throw errorOf('CHECKSUM', message)
  }

  #put(key: string, value: Uint8Array | undefined): void {
    this.#rotten.delete(key)
    const isThere = this.#values.has(key)
    if (value === undefined) {
      if (isThere) this.#keys.splice(this.#indexOf(key), 1)
      this.#values.delete(key)
      return
    }
    if (!isThere) this.#keys.splice(this.#indexOf(key), 0, key)
    this.#values.set(key, value)
  }

  /** Index of the first key that is not less than `key`. */
  #indexOf(key: string): number {
    let low = 0
    let high = this.#keys.length
    while (low < high) {
      const middle = (low + high) >>> 1
      if ((this.#keys[middle] ?? '') < key) low = middle + 1
      else high = middle
    }
    return low
  }
}

function bytesOf(key: string): Uint8Array {
  return new Uint8Array(Buffer.from(key, 'latin1'))
}
