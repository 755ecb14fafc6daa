// The data requests of one connection, in their order: one that waits holds up those behind it, whose bytes are kept
// meanwhile. Nothing else of the connection waits for them.

import { type Deferred, deferred } from '../../lib/base/deferred.js'
import type { RequestHeader } from '../../lib/protocol/frame.js'
import type { RequestSink } from './request-sink.js'

/** What a line needs. */
export interface RequestLineOptions {
  /** Begins a request whose turn it is; a promise where it waits. */
  readonly begin: (header: RequestHeader, bodyLength: number) => RequestSink | Promise<RequestSink>
  /** Resolves when the connection takes more answers. */
  readonly drained: () => Promise<void>
  /** Is given what runs until nobody waits any more. */
  readonly running: (work: Promise<void>) => void
  /** More or fewer bytes are kept. */
  readonly changed: () => void
  /** A request that has waited cannot be carried out. */
  readonly failed: (error: unknown) => void
}

/** The data requests of one connection. */
export class RequestLine {
  readonly #options: RequestLineOptions
  readonly #kept: KeptRequest[] = []
  #isWaiting = false
  #isDropped = false
  #keptBytes = 0

  constructor(options: RequestLineOptions) {
    this.#options = options
  }

  /** Whether a request waits: those that come are to be kept. */
  get isWaiting(): boolean {
    return this.#isWaiting
  }

  /** Bytes that are kept of requests which have not begun. */
  get keptBytes(): number {
    return this.#keptBytes
  }

  /** A request that begins later, in any case after those that wait: takes its body until then. */
  keep(header: RequestHeader, bodyLength: number, begun?: Promise<RequestSink>): RequestSink {
    // It may fail before its turn has come, and is told then.
    begun?.catch(() => {})
    const begin = () => begun ?? this.#options.begin(header, bodyLength)
    const kept = new KeptRequest(begin, (bytes) => {
      this.#keptBytes += bytes
      this.#options.changed()
    })
    this.#kept.push(kept)
    if (!this.#isWaiting) this.wait(Promise.resolve())
    return kept
  }

  /** What has arrived waits until `work` is done, and so do those that come. */
  wait(work: Promise<void>): void {
    this.#isWaiting = true
    this.#options.running(this.#run(work))
  }

  /** The connection has ended, or is believed no more: what has not begun never will. */
  drop(): void {
    this.#isDropped = true
    for (const kept of this.#kept) kept.dropped()
  }

  async #run(work: Promise<void>): Promise<void> {
    try {
      await work
      for (let kept = this.#kept[0]; kept !== undefined; kept = this.#kept[0]) {
        // They have arrived: that the connection is read no further holds none of them back.
        await this.#options.drained()
        await kept.carryOut()
        this.#kept.shift()
      }
    } catch (error) {
      if (!this.#isDropped) this.#options.failed(error)
    } finally {
      this.#isWaiting = false
    }
  }
}

// One of them: its body until it begins, and on to where it belongs from then on.
class KeptRequest implements RequestSink {
  readonly #begin: () => RequestSink | Promise<RequestSink>
  readonly #kept: (bytes: number) => void
  readonly #arrived: Deferred<void> = deferred()
  #parts: Uint8Array[] = []
  #sink: RequestSink | undefined
  #isDropped = false

  constructor(begin: () => RequestSink | Promise<RequestSink>, kept: (bytes: number) => void) {
    this.#begin = begin
    this.#kept = kept
  }

  body(bytes: Uint8Array): void {
    if (this.#sink !== undefined) return this.#sink.body(bytes)
    this.#parts.push(bytes.slice())
    this.#kept(bytes.length)
  }

  end(): void {
    this.#arrived.resolve()
  }

  dropped(): void {
    if (this.#isDropped) return
    this.#isDropped = true
    this.#release()
    this.#sink?.dropped?.()
    this.#arrived.resolve()
  }

  async carryOut(): Promise<void> {
    if (this.#isDropped) return
    const sink = await this.#begin()
    // Meanwhile its connection may have ended.
    if (this.#isDropped) return sink.dropped?.()
    this.#sink = sink
    for (const part of this.#parts) sink.body(part)
    this.#release()
    await this.#arrived.promise
    if (!this.#isDropped) await sink.end()
  }

  #release(): void {
    const bytes = this.#parts.reduce((sum, { length }) => sum + length, 0)
    this.#parts = []
    this.#kept(-bytes)
  }
}
