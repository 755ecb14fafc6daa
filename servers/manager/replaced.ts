// Capabilities that were replaced by a reopen, and by which: whoever of the job still has an old one gets the
// same new one, also from the next manager. They are forgotten with the end of the open; of one that is replaced
// again and again the oldest.

import { ByteReader } from '../../lib/base/bytes.js'
import { encode, id, struct, u16 } from '../../lib/protocol/codec.js'
import { LIMITS } from '../../lib/protocol/limits.js'
import { capabilityOf, KINDS, keyOf, replacedKey } from './keys.js'
import type { OpenTable } from './open-table.js'
import { entriesOf, type Operation, type Store } from './store/store.js'

/** The capability in force, and how many of its former ones are older: keys do not tell. */
const formerCodec = struct({ now: id, place: u16 })

/** All capabilities that were replaced. */
export class Replaced {
  readonly #now = new Map<string, string>()
  /** By the present one, the oldest first. */
  readonly #formers = new Map<string, readonly string[]>()

  /** Reads what managers before this one have left. */
  static async load(store: Store, table: OpenTable): Promise<Replaced> {
    const replaced = new Replaced()
    const places = new Map<string, { readonly former: string; readonly place: number }[]>()
    for await (const { key, value } of entriesOf(store, keyOf(KINDS.replaced))) {
      const { now, place } = formerCodec.read(new ByteReader(value))
      if (table.get(now) === undefined) continue
      const known = places.get(now) ?? []
      known.push({ former: capabilityOf(key), place })
      places.set(now, known)
    }
    for (const [now, formers] of places) {
      const ordered = formers.sort((one, other) => one.place - other.place)
      replaced.#set(
        now,
        ordered.map(({ former }) => former),
      )
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

  /** The changes of the store by which a capability is replaced. */
  replace(old: string, by: string): Operation[] {
    const all = [...this.#formersOf(old), old]
    const formers = all.slice(-LIMITS.formerCapabilities)
    const forgotten = all.slice(0, -LIMITS.formerCapabilities)
    const applied = (): void => {
      for (const former of forgotten) this.#now.delete(former)
      this.#formers.delete(old)
      this.#set(by, formers)
    }
    return [
      ...forgotten.map((former) => ({ key: replacedKey(former), value: undefined })),
      ...formers.map((former, place) => {
        const value = encode(formerCodec, { now: by, place })
        // All of them with that of the newest, which is always there.
        return { key: replacedKey(former), value, ...(former === old ? { applied } : {}) }
      }),
    ]
  }

  /** The changes of the store that go with the end of an open. */
  ended(capability: string): Operation[] {
    return this.#formersOf(capability).map((former) => ({
      key: replacedKey(former),
      value: undefined,
      applied: () => {
        this.#formers.delete(capability)
        this.#now.delete(former)
      },
    }))
  }

  #set(now: string, formers: readonly string[]): void {
    this.#formers.set(now, formers)
    for (const former of formers) this.#now.set(former, now)
  }

  #formersOf(capability: string): readonly string[] {
    return this.#formers.get(capability) ?? []
  }
}
