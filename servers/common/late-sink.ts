// A mistake that is planted on purpose: a request that is carried out some time after it has arrived, when its
// connection may be gone and a newer one at work.

import type { Runtime } from '../../lib/base/runtime.js'
import type { RequestSink } from './request-sink.js'

/** Milliseconds by which a request is late, at the most; mostly it is much less. */
const LATE_MS = 5000

/** Hands a request on too late. */
export class LateSink implements RequestSink {
  readonly #sink: RequestSink
  readonly #runtime: Runtime
  readonly #parts: Uint8Array[] = []

  constructor(sink: RequestSink, runtime: Runtime) {
    this.#sink = sink
    this.#runtime = runtime
  }

  body(bytes: Uint8Array): void {
    this.#parts.push(bytes.slice())
  }

  dropped(): void {
    this.#sink.dropped?.()
  }

  end(): void {
    const { clock, random } = this.#runtime
    clock.timer(random.fraction() ** 4 * LATE_MS, () => {
      for (const bytes of this.#parts) this.#sink.body(bytes)
      void this.#sink.end()
    })
  }
}
