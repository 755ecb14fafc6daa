// A promise that is settled from outside.

/** A promise and the two functions that settle it. */
export interface Deferred<T> {
  readonly promise: Promise<T>
  resolve(value: T): void
  reject(error: unknown): void
}

// Who makes a promise hands these over before the next one is made.
let nextResolve: (value: never) => void
let nextReject: (error: unknown) => void

function handOver(resolve: (value: never) => void, reject: (error: unknown) => void): void {
  nextResolve = resolve
  nextReject = reject
}

/** Makes a promise that is settled from outside. There is one in each call of a server, so it makes nothing else. */
export function deferred<T>(): Deferred<T> {
  const promise = new Promise<T>(handOver)
  return { promise, resolve: nextResolve as (value: T) => void, reject: nextReject }
}
