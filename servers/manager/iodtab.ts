// The iodtab: one line an iod, in the order of their indices. It may grow at its end; entries that
// exist stay where they are, or every file's bytes would be looked for on the wrong iod.

import { createHash } from 'node:crypto'
import { lookup } from 'node:dns/promises'
import { IoError } from '../../lib/base/errors.js'
import type { Address } from '../../lib/base/runtime.js'
import { LIMITS } from '../../lib/protocol/limits.js'
import { parseHostPort, textOf } from '../../lib/transport/address.js'

/** Characters of a wrong entry that are told. */
const SHOWN_MAX = 80

/** One iod of the table. */
export interface IodtabEntry {
  readonly address: Address
  /** IP addresses of its host: from nowhere else may this iod ask for its state. Empty for a unix socket. */
  readonly hosts: ReadonlySet<string>
}

/** Reads the text of an iodtab; host names are resolved. MPI_ERR_ARG names the line. */
export async function parseIodtab(text: string, source: string): Promise<IodtabEntry[]> {
  const entries: IodtabEntry[] = []
  const seen = new Map<string, number>()
  for (const [index, raw] of text.split('\n').entries()) {
    const line = raw.replace(/#.*/, '').trim()
    if (line === '') continue
    const where = `${source}, line ${index + 1}`
    const address = addressOf(line, where)
    const before = seen.get(textOf(address))
    if (before !== undefined)
      throw new IoError(
        'MPI_ERR_ARG',
        `${where}: ${textOf(address)} stands on line ${before} already`,
      )
    seen.set(textOf(address), index + 1)
    entries.push({ address, hosts: await hostsOf(address, where) })
  }
  if (entries.length === 0)
    throw new IoError(
      'MPI_ERR_ARG',
      `${source}: it names no iod; write one line host:port for each`,
    )
  if (entries.length > LIMITS.iods)
    throw new IoError(
      'MPI_ERR_ARG',
      `${source}: ${entries.length} iods, at most ${LIMITS.iods} are possible`,
    )
  return entries
}

/** The line of an entry. */
export function iodtabLine({ address }: IodtabEntry): string {
  return textOf(address)
}

/** Digest of the first `count` lines: equal only if these iods are the same, in the same order. */
export function iodtabHash(lines: readonly string[], count: number = lines.length): string {
  return createHash('sha256').update(lines.slice(0, count).join('\n')).digest('hex').slice(0, 32)
}

/** Checks that `lines` begins with the lines that were in force before. MPI_ERR_ARG says which is not. */
export function checkGrown(
  before: readonly string[],
  lines: readonly string[],
  source: string,
): void {
  for (const [index, line] of before.entries()) {
    if (lines[index] === line) continue
    throw new IoError(
      'MPI_ERR_ARG',
      `${source}: iod ${index} was ${line} and is ${lines[index] ?? 'missing'} now; entries may be added at the end only`,
    )
  }
}

function addressOf(line: string, where: string): Address {
  if (line.startsWith('/')) return { kind: 'unix', path: line }
  const address = parseHostPort(line)
  if (address === undefined)
    throw new IoError(
      'MPI_ERR_ARG',
      `${where}: ${shown(line)} is neither host:port nor the path of a unix socket`,
    )
  return address
}

// What is no iodtab may have no end of line for long.
function shown(text: string): string {
  return JSON.stringify(text.length > SHOWN_MAX ? `${text.slice(0, SHOWN_MAX)}…` : text)
}

async function hostsOf(address: Address, where: string): Promise<ReadonlySet<string>> {
  if (address.kind === 'unix') return new Set()
  try {
    const found = await lookup(address.host, { all: true })
    return new Set(found.map((entry) => entry.address))
  } catch (cause) {
    throw new IoError('MPI_ERR_ARG', `${where}: the host ${shown(address.host)} is not known`, {
      cause,
    })
  }
}
