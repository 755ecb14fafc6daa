// Capabilities that were replaced by a reopen, and by which: whoever of the job still has an old one gets the
// same new one, also from the next manager. They are forgotten with the end of the open.

import { ByteReader } from '../../lib/base/bytes.js'
import { encode, id } from '../../lib/protocol/codec.js'
import { LIMITS } from '../../lib/protocol/limits.js'
import { capabilityOf, KINDS, keyOf, replacedKey } from './keys.js'
import type { OpenTable } from './open-table.js'
import { entriesOf, type Operation, type Store } from './store/store.js'

/** All capabilities that were replaced. */
export class Replaced {
  readonly #now = new Map<string, string>()
  /** By the present one, the oldest first. */
  readonly #formers = new Map<string, readonly string[]>()

  /** Reads what managers before this one have left. */
  static async load(store: Store, table: OpenTable): Promise<Replaced> {
    const replaced = new Replaced()
    for await (const { key, value } of entriesOf(store, keyOf(KINDS.replaced))) {
      const now = id.read(new ByteReader(value))
      if (table.get(now) === undefined) continue
      const former = capabilityOf(key)
      replaced.#set(now, [...replaced.#formersOf(now), former])
    }
    return replaced
  }

  /** Capabilities that are remembered. */
  get size(): number {
    return this.#now.size
  }

  /** The capability that is in force for one that may have been replaced, however often. */
  now(capability: string): string {
    return this.#now.get(capability) ?? capability
  }

  /** A capability was replaced; returns the changes of the store that go with it. */
  replace(old: string, by: string): Operation[] {
    const all = [...this.#formersOf(old), old]
    const formers = all.slice(-LIMITS.formerCapabilities)
    const forgotten = all.slice(0, -LIMITS.formerCapabilities)
    for (const former of forgotten) this.#now.delete(former)
    this.#formers.delete(old)
    this.#set(by, formers)
    return [
      ...forgotten.map((former) => ({ key: replacedKey(former), value: undefined })),
      ...formers.map((former) => ({ key: replacedKey(former), value: encode(id, by) })),
    ]
  }

  /** It was not, after all: nothing of it is in the store. */
  restore(old: string, by: string): void {
    const formers = this.#formersOf(by).filter((former) => former !== old)
    this.#formers.delete(by)
    this.#now.delete(old)
    if (formers.length > 0) this.#set(old, formers)
  }

  /** An open has ended; returns the changes of the store that go with it. */
  ended(capability: string): Operation[] {
    const formers = this.#formersOf(capability)
    this.#formers.delete(capability)
    for (const former of formers) this.#now.delete(former)
    return formers.map((former) => ({ key: replacedKey(former), value: undefined }))
  }

  #set(now: string, formers: readonly string[]): void {
    this.#formers.set(now, formers)
    for (const former of formers) this.#now.set(former, now)
  }

  #formersOf(capability: string): readonly string[] {
    return this.#formers.get(capability) ?? []
  }
}
