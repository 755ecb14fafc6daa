// Defaults of hints from a file, in ROMIO's format: a key and a value a line. Rank 0 reads it; what a program
// gives comes before it.

import { readFileSync } from 'node:fs'
import { asText } from '../base/errors.js'
import { acceptHints, type Hints, ignoredHints, type Info } from './hints.js'

/** Bytes of a hints file that are looked at, as in ROMIO. */
const HINTS_FILE_BYTES = 4096

/** The hints of the file that `ROMIO_HINTS` names; none where there is no such file. Of a key the first line counts. */
export function hintsOfEnvironment(env: NodeJS.ProcessEnv = process.env): Hints {
  return acceptHints(fileOf(env))
}

/**
 * The hints in force and those that were given in vain, a line each, and that the file of `ROMIO_HINTS` cannot be read, where
 * `ROMIO_PRINT_HINTS` is 1: for rank 0 to print.
 */
export function printedHints(
  info: Readonly<Record<string, string>>,
  given: Info | undefined,
  env: NodeJS.ProcessEnv = process.env,
): string {
  if (env['ROMIO_PRINT_HINTS'] !== '1') return ''
  const ignored = Object.entries({ ...ignoredHints(fileOf(env)), ...ignoredHints(given) })
  return [
    ...Object.entries(info).map(lineOf),
    ...ignored.map((hint) => `not taken: ${lineOf(hint)}`),
    ...unreadable(env['ROMIO_HINTS']),
  ].join('')
}

function lineOf([key, value]: readonly [string, unknown]): string {
  return `key = ${key}  value = ${asText(value)}\n`
}

function fileOf(env: NodeJS.ProcessEnv): Info {
  const path = env['ROMIO_HINTS']
  return path === undefined || path === '' ? {} : parsed(textOf(path))
}

// A name that is misspelt would be hard to find otherwise.
function unreadable(path: string | undefined): string[] {
  if (path === undefined || path === '') return []
  try {
    readFileSync(path)
    return []
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    return [`not taken: ROMIO_HINTS ${JSON.stringify(path)}: it cannot be read (${code})\n`]
  }
}

// A hint never changes results: a file that cannot be read gives none.
function textOf(path: string): string {
  try {
    return readFileSync(path).subarray(0, HINTS_FILE_BYTES).toString('utf8')
  } catch {
    return ''
  }
}

function parsed(text: string): Info {
  const info: Record<string, string> = {}
  for (const line of text.split('\n')) {
    const [key, value] = line.trim().split(/\s+/)
    if (line.startsWith('#') || key === undefined || value === undefined) continue
    if (Object.hasOwn(info, key)) continue
    if (key.length <= 256 && value.length <= 1024) info[key] = value
  }
  return info
}
