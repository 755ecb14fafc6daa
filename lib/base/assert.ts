// Checks of our own assumptions. What a caller may do wrong is an `IoError` at the public edge instead.

/** A broken assumption of this library: a bug of ours, which nobody catches. */
export class AssertionError extends Error {
  override readonly name = 'AssertionError'
}

/** Throws an `AssertionError` unless `condition` holds. */
export function assert(condition: boolean, message: string): asserts condition {
  if (!condition) throw new AssertionError(message)
}

/** Marks what the types prove cannot happen. */
export function unreachable(value: never): never {
  throw new AssertionError(`unreachable: ${String(value)}`)
}
