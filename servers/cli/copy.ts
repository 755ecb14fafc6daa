// Copies bytes from anywhere to anywhere in bounded memory, with several chunks under way at a time.
// Files take their chunks in any order; the standard input and output only one after the other.

/** 4 MiB: a chunk keeps all iods of a file busy. */
const CHUNK_BYTES = 4 * 2 ** 20

/** Chunks that are under way at a time: 16 MiB of memory in all. */
const CHUNKS_OUT = 4

/** Where bytes come from. */
export interface Source {
  /** Whether its chunks must be read one after the other. */
  readonly inOrder: boolean
  /** Fills `into` with the bytes at `position`; fewer only at the end. */
  read(into: Uint8Array, position: number): Promise<number>
}

/** Where bytes go. */
export interface Target {
  /** Whether its chunks must be written one after the other. */
  readonly inOrder: boolean
  write(bytes: Uint8Array, position: number): Promise<void>
}

/** Copies everything; resolves with the number of bytes. Aborted, it ends with the chunks that are under way. */
export async function copyBytes(
  source: Source,
  target: Target,
  signal?: AbortSignal,
): Promise<number> {
  const copy = new Copy(source, target, signal)
  // The first failure ends all lanes; all have ended when it is told.
  const lanes = await Promise.allSettled(Array.from({ length: CHUNKS_OUT }, () => copy.lane()))
  for (const lane of lanes) if (lane.status === 'rejected') throw lane.reason
  signal?.throwIfAborted()
  return copy.bytes
}

class Copy {
  bytes = 0
  readonly #source: Source
  readonly #target: Target
  readonly #signal: AbortSignal | undefined
  #position = 0
  #over = false
  #failed = false
  #lastRead: Promise<void> = Promise.resolve()
  #lastWritten: Promise<void> = Promise.resolve()

  constructor(source: Source, target: Target, signal: AbortSignal | undefined) {
    this.#source = source
    this.#target = target
    this.#signal = signal
  }

  // One chunk after the other, in one buffer.
  async lane(): Promise<void> {
    const buffer = new Uint8Array(CHUNK_BYTES)
    while (!this.#isOver) {
      const position = this.#position
      this.#position += CHUNK_BYTES
      const mayRead = this.#lastRead
      const mayWrite = this.#lastWritten
      const reading = this.#read(buffer, position, mayRead)
      const writing = reading.then((length) => this.#write(buffer, position, length, mayWrite))
      this.#lastRead = settled(reading)
      this.#lastWritten = settled(writing)
      await writing
    }
  }

  get #isOver(): boolean {
    return this.#over || this.#signal?.aborted === true
  }

  async #read(buffer: Uint8Array, position: number, mayRead: Promise<void>): Promise<number> {
    if (this.#source.inOrder) await mayRead
    if (this.#isOver) return 0
    try {
      const length = await this.#source.read(buffer, position)
      if (length < buffer.length) this.#over = true
      return length
    } catch (error) {
      this.#over = true
      this.#failed = true
      throw error
    }
  }

  async #write(
    buffer: Uint8Array,
    position: number,
    length: number,
    mayWrite: Promise<void>,
  ): Promise<void> {
    if (this.#target.inOrder) await mayWrite
    // After a failure nothing is added behind the gap; of a copy that is given up nobody keeps more.
    if (length === 0 || this.#failed || this.#signal?.aborted === true) return
    try {
      await this.#target.write(buffer.subarray(0, length), position)
      this.bytes += length
    } catch (error) {
      this.#over = true
      this.#failed = true
      throw error
    }
  }
}

async function settled(promise: Promise<unknown>): Promise<void> {
  await promise.catch(() => {})
}
