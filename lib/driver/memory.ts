// A file in memory, for tests and for the algorithms above: the same promises as the striped one,
// without servers. Faults can be injected before each operation.

import { IoError } from '../base/errors.js'
import { RunCursor, regionBytesBelow } from '../base/regions.js'
import type { DirectChoice } from './direct.js'
import type {
  Access,
  Driver,
  Fence,
  LockRange,
  PointerRequest,
  RangeLock,
  Traces,
} from './driver.js'

/** The bytes that all ranks of one open share, and its shared pointer. */
export class MemoryStore {
  #bytes = new Uint8Array(0)
  #size = 0
  readonly #pointers = new Map<number, number>()

  get size(): number {
    return this.#size
  }

  /** The contents: a copy. */
  contents(): Uint8Array {
    return this.#bytes.slice(0, this.#size)
  }

  resize(size: number): void {
    if (size > this.#bytes.length) {
      const grown = new Uint8Array(Math.max(size, this.#bytes.length * 2, 4096))
      grown.set(this.#bytes.subarray(0, this.#size))
      this.#bytes = grown
    }
    if (size < this.#size) this.#bytes.fill(0, size, this.#size)
    this.#size = size
  }

  write(from: Uint8Array, offset: number): void {
    if (offset + from.length > this.#size) this.resize(offset + from.length)
    this.#bytes.set(from, offset)
  }

  /** Changes the pointer of a view; its position before. */
  movePointer({ view, start, change, value }: PointerRequest): number {
    const position = this.#pointers.get(view) ?? start
    const moved = { get: position, set: value, add: position + value, subtract: position - value }
    const next = moved[change]
    if (next < 0) throw new IoError('MPI_ERR_ARG', `shared pointer: ${next} is before the start`)
    if (!Number.isSafeInteger(next))
      throw new IoError('MPI_ERR_VALUE_TOO_LARGE', 'shared pointer: beyond 2^53 - 1')
    this.#pointers.set(view, next)
    return position
  }

  /** The bytes from `offset` on: a view. */
  at(offset: number, length: number): Uint8Array {
    return this.#bytes.subarray(offset, Math.min(this.#size, offset + length))
  }
}

/** What may fail: called before each operation, an error to fail it with. */
export type MemoryFault = (
  operation:
    | 'read'
    | 'write'
    | 'size'
    | 'resize'
    | 'preallocate'
    | 'sharedPointer'
    | 'lock'
    | 'flush',
) => IoError | undefined

/** An open file in memory. */
export class MemoryFile implements Driver {
  readonly features = { atomicMode: true, sharedPointers: true }
  /** Without effect: there is no server to go past. */
  direct: DirectChoice = 'off'
  readonly stripSize: number
  /** As many as the tests of what is above like; the bytes are all in one place. */
  readonly iodCount: number
  operationMs = 0
  readonly #store: MemoryStore
  readonly #fault: MemoryFault
  #wrote = false
  #hasFlushed = false

  constructor(
    store: MemoryStore,
    options: {
      readonly stripSize?: number
      readonly iodCount?: number
      readonly fault?: MemoryFault
    } = {},
  ) {
    this.#store = store
    this.stripSize = options.stripSize ?? 65_536
    this.iodCount = options.iodCount ?? 1
    this.#fault = options.fault ?? ((): undefined => undefined)
  }

  readNow(): boolean {
    return false
  }

  async read(access: Access): Promise<number> {
    await this.#begin('read')
    const bytes = regionBytesBelow(access.file(), this.#store.size)
    walk(access, bytes, (offset, at, length) =>
      access.buffer.set(this.#store.at(offset, length), at),
    )
    return bytes
  }

  async write(access: Access): Promise<void> {
    await this.#begin('write')
    this.#wrote ||= access.bytes > 0
    walk(access, access.bytes, (offset, at, length) =>
      this.#store.write(access.buffer.subarray(at, at + length), offset),
    )
  }

  async size(): Promise<number> {
    await this.#begin('size')
    return this.#store.size
  }

  async resize(size: number): Promise<void> {
    await this.#begin('resize')
    this.#store.resize(size)
  }

  async preallocate(size: number): Promise<void> {
    await this.#begin('preallocate')
    this.#wrote ||= size > 0
    this.#store.resize(Math.max(size, this.#store.size))
  }

  resized(): void {}

  async sharedPointer(request: PointerRequest): Promise<number> {
    await this.#begin('sharedPointer')
    return this.#store.movePointer(request)
  }

  // An access is done in one step here: nobody can come in between.
  async lock(_range: LockRange): Promise<RangeLock> {
    await this.#begin('lock')
    return { fence: this.fenceOf(0), release: async () => {} }
  }

  fenceOf(token: number): Fence {
    return { token, refresh: async () => {} }
  }

  async flush(): Promise<void> {
    await this.#begin('flush')
    this.#hasFlushed = this.#wrote
  }

  async flushUntold(): Promise<void> {
    await this.flush()
  }

  // There is nobody to tell.
  get untold(): Uint8Array | undefined {
    return undefined
  }

  async tell(): Promise<void> {}

  told(): void {}

  release(): void {}

  traces(): Traces {
    const parts = Uint8Array.of(this.#hasFlushed ? 1 : 0)
    return { sizeSeen: this.#store.size, wrote: this.#wrote, parts }
  }

  async #begin(operation: Parameters<MemoryFault>[0]): Promise<void> {
    await Promise.resolve()
    const error = this.#fault(operation)
    if (error !== undefined) throw error
  }
}

function walk(
  access: Access,
  bytes: number,
  move: (fileOffset: number, bufferOffset: number, length: number) => void,
): void {
  const file = new RunCursor(access.file())
  const memory = new RunCursor(access.memory())
  for (let left = bytes; left > 0; ) {
    const length = Math.min(file.left, memory.left, left)
    move(file.offset, memory.offset, length)
    file.advance(length)
    memory.advance(length)
    left -= length
  }
}
