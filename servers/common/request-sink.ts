// Who takes the body of a data request.

/** Takes the body of a data request as it arrives and answers at its end. */
export interface RequestSink {
  body(bytes: Uint8Array): void
  /** The whole request has arrived undamaged: answer it. A promise where that waits: data requests behind it wait as well. */
  end(): void | Promise<void>
  /** The connection has ended before that, or in the middle of it. */
  dropped?(): void
}
