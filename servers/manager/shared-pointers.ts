// Shared file pointers: one counter for each collective open, in etypes of its view. A counter is
// committed before it is told, so that no manager gives the same place away twice.
//
// A new view starts a new counter instead of setting the old one back: the ranks count their views alike, so
// a request names the view that it means, and one that comes late cannot move the pointer of another.

import { ByteReader } from '../../lib/base/bytes.js'
import { IoError } from '../../lib/base/errors.js'
import { encode, list, struct, u32, u64, type ValueOf } from '../../lib/protocol/codec.js'
import { LIMITS } from '../../lib/protocol/limits.js'
import type { MANAGER } from '../../lib/protocol/manager.js'
import type { RequestOf } from '../../lib/protocol/operation.js'
import type { Keep } from './kept-replies.js'
import { capabilityOf, KINDS, keyOf, pointerKey } from './keys.js'
import { entriesOf, type Operation, type Store } from './store/store.js'

const countersCodec = list(struct({ view: u32, position: u64 }), LIMITS.viewsPerPointer)

/** Counters of one open, newest view first. */
type Counters = ValueOf<typeof countersCodec>

/** What is asked of a pointer. */
export type PointerRequest = Omit<RequestOf<typeof MANAGER.sharedPointer>, 'capability'>

/** The shared pointers of all opens that have used one, by capability. */
export class SharedPointers {
  readonly #store: Store
  readonly #counters = new Map<string, Counters>()

  private constructor(store: Store) {
    this.#store = store
  }

  /** Reads what a manager before this one has left. */
  static async load(store: Store): Promise<SharedPointers> {
    const pointers = new SharedPointers(store)
    for await (const { key, value } of entriesOf(store, keyOf(KINDS.pointer)))
      pointers.#counters.set(capabilityOf(key), countersCodec.read(new ByteReader(value)))
    return pointers
  }

  /**
   * Moves the pointer of an open, and resolves with its position before, which `keep` keeps for a repeat. MPI_ERR_ARG below 0,
   * MPI_ERR_VALUE_TOO_LARGE beyond 2^53 - 1, MPI_ERR_IO for a view that was replaced too long ago.
   */
  async move(
    capability: string,
    request: PointerRequest,
    keep: Keep<number> = () => [],
  ): Promise<number> {
    const { view, start, change } = request
    const counters = this.#counters.get(capability) ?? []
    const oldest = counters.at(-1)
    const counter = counters.find((each) => each.view === view)
    if (
      counter === undefined &&
      counters.length === LIMITS.viewsPerPointer &&
      oldest !== undefined &&
      view < oldest.view
    )
      throw new IoError('MPI_ERR_IO', `shared pointer: its view ${view} was replaced too long ago`)
    const position = counter?.position ?? start
    if (change === 'get') return position
    const moved = { view, position: movedBy(position, request) }
    const others = counters.filter((each) => each !== counter)
    const next = [...others, moved].sort((one, other) => other.view - one.view)
    const kept = keep(position)
    await this.#commit([this.#put(capability, next.slice(0, LIMITS.viewsPerPointer)), ...kept])
    return position
  }

  /** An open has another capability from now on; returns the changes of the store that go with it. */
  moved(from: string, to: string): Operation[] {
    const counters = this.#counters.get(from)
    return counters === undefined ? [] : [...this.ended(from), this.#put(to, counters)]
  }

  /** An open has ended; returns the changes of the store that go with it. */
  ended(capability: string): Operation[] {
    if (!this.#counters.delete(capability)) return []
    return [{ key: pointerKey(capability), value: undefined }]
  }

  #put(capability: string, counters: Counters): Operation {
    this.#counters.set(capability, counters)
    return { key: pointerKey(capability), value: encode(countersCodec, counters) }
  }

  async #commit(operations: readonly Operation[]): Promise<void> {
    await this.#store.transact({ compare: [], operations, durability: 'committed' })
  }
}

function movedBy(position: number, { change, value }: PointerRequest): number {
  if (change === 'set') return value
  const moved = change === 'subtract' ? position - value : position + value
  if (moved < 0) {
    throw new IoError('MPI_ERR_ARG', `shared pointer: ${moved} is before the start of the view`)
  }
  if (!Number.isSafeInteger(moved))
    throw new IoError('MPI_ERR_VALUE_TOO_LARGE', 'shared pointer: beyond 2^53 - 1')
  return moved
}
