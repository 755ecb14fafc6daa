// What uvu's assertions lack: errors of promises, waiting for a condition, and a limit on a wait.
// The only file under test/ that may use a timer; every other wait goes through here.
import { type ErrorCode, IoError, isIoError } from '../../lib/base/errors.js'

/** A failed expectation of a test; uvu prints its message. */
export class ExpectationError extends Error {
  override readonly name = 'ExpectationError'
}

/** 10 s: far beyond what a healthy wait takes on a busy machine, far below the limit of a test file. */
const UNTIL_TIMEOUT_MS = 10_000

/** 20 ms: the longest pause between two looks at a condition. */
const POLL_MS_MAX = 20

/** Awaits the rejection of `promise` with an `IoError`, of class `code` where one is given, and returns that error. */
export async function rejects(promise: Promise<unknown>, code?: ErrorCode): Promise<IoError> {
  let value: unknown
  try {
    value = await promise
  } catch (error) {
    return expected(error, code)
  }
  throw new ExpectationError(`expected a rejection${suffix(code)}, but it resolved: ${show(value)}`)
}

/** Calls `fn`, which must throw an `IoError`, of class `code` where one is given, and returns that error. */
export function throws(fn: () => unknown, code?: ErrorCode): IoError {
  let value: unknown
  try {
    value = fn()
  } catch (error) {
    return expected(error, code)
  }
  throw new ExpectationError(`expected a throw${suffix(code)}, but it returned: ${show(value)}`)
}

/**
 * Waits until `condition` gives something other than false, null or undefined, and returns that.
 * A condition that throws ends the wait at once with its error.
 */
export async function until<Value>(
  condition: () => Value | Promise<Value>,
  timeoutMs: number = UNTIL_TIMEOUT_MS,
): Promise<Exclude<Value, false | null | undefined>> {
  const endMs = performance.now() + timeoutMs
  for (let pauseMs = 1; ; pauseMs = Math.min(POLL_MS_MAX, pauseMs * 2)) {
    const value = await condition()
    if (isPresent(value)) return value
    if (performance.now() >= endMs) {
      throw new ExpectationError(`still not so after ${timeoutMs} ms: ${String(condition)}`)
    }
    await pause(pauseMs)
  }
}

/**
 * Settles as `promise` does, but rejects after `ms` with a message that says what was awaited:
 * "barrier of 4 ranks: no result after 2000 ms".
 */
export async function deadline<Value>(
  what: string,
  ms: number,
  promise: Promise<Value>,
): Promise<Value> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new ExpectationError(`${what}: no result after ${ms} ms`)), ms)
  })
  try {
    return await Promise.race([promise, late])
  } finally {
    clearTimeout(timer)
  }
}

function expected(error: unknown, code: ErrorCode | undefined): IoError {
  if (isIoError(error) && (code === undefined || error.code === code)) return error
  const got = error instanceof IoError ? `${error.code}: ${error.message}` : show(error)
  throw new ExpectationError(`expected an IoError${suffix(code)}, got ${got}`, { cause: error })
}

function suffix(code: ErrorCode | undefined): string {
  return code === undefined ? '' : ` with ${code}`
}

function show(value: unknown): string {
  if (value instanceof Error) return value.stack ?? String(value)
  return typeof value === 'string' ? JSON.stringify(value) : String(value)
}

function isPresent<Value>(value: Value): value is Exclude<Value, false | null | undefined> {
  return value !== false && value !== null && value !== undefined
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, ms)
  })
}
