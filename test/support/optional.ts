// Tests that need a tool which may be missing: they are skipped, counted, and say why.
import { accessSync, constants, statSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import type { Callback, Test } from 'uvu'

/** The start of a line by which a test file tells `test/run.ts` that a test was skipped. */
export const SKIP_PREFIX = 'skipped: '

/**
 * `test` itself where nothing is missing, or else a function that skips with the reason printed:
 * `const ifMpi = unlessMissing(test, missingCommand('mpirun'))`, then `ifMpi('…', body)`.
 */
export function unlessMissing(
  test: Test,
  reason: string | undefined,
): (name: string, body: Callback) => void {
  if (reason === undefined) return (name, body) => test(name, body)
  return (name, body) => {
    // Starts a new line: uvu prints its dots without one.
    process.stdout.write(`\n${SKIP_PREFIX}${name}: ${reason}\n`)
    test.skip(name, body)
  }
}

/** Why tests that call `commands` cannot run, or undefined where all of them are on the PATH. */
export function missingCommand(...commands: readonly string[]): string | undefined {
  const missing = commands.filter((command) => !isOnPath(command))
  return missing.length === 0 ? undefined : `not installed: ${missing.join(', ')}`
}

function isOnPath(command: string): boolean {
  return (process.env['PATH'] ?? '')
    .split(delimiter)
    .some((folder) => isExecutable(join(folder, command)))
}

function isExecutable(file: string): boolean {
  try {
    accessSync(file, constants.X_OK)
    return statSync(file).isFile()
  } catch {
    // Not there, or not ours to run: both mean that the command cannot be used from here.
    return false
  }
}
