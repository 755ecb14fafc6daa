// Where everything of a cluster is: one directory with the iodtab and a data directory for each
// server. What stands in an iodtab stays: a directory that was used before keeps its ports.

import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { freemem } from 'node:os'
import { join } from 'node:path'
import { IoError } from '../../lib/base/errors.js'
import { LIMITS } from '../../lib/protocol/limits.js'
import { textOf } from '../../lib/transport/address.js'
import { ioErrorOf } from '../common/errno.js'
import { parseIodtab } from '../manager/iodtab.js'

/** Clusters of one host listen here: what is meant for other hosts is started server by server. */
export const CLUSTER_HOST = '127.0.0.1'

/** Iods of a cluster that is not told how many. */
export const IODS_DEFAULT = 4

const PORT_MAX = 65_535

/** Ports and places of a cluster. */
export interface ClusterPlan {
  readonly directory: string
  readonly managerPort: number
  readonly iodPorts: readonly number[]
}

/** What is asked of a plan. */
export interface PlanRequest {
  readonly directory: string
  readonly iods: number | undefined
  /** Port of the manager; its iods follow. */
  readonly port: number | undefined
}

/** Path of the iodtab of a cluster. */
export function iodtabPath(directory: string): string {
  return join(directory, 'iodtab')
}

/** Where the logs of its servers are, if it runs on its own. */
export function logDirectory(directory: string): string {
  return join(directory, 'log')
}

/** The data directory of its manager. */
export function managerDirectory(directory: string): string {
  return join(directory, 'manager')
}

/** The data directory of one of its iods. */
export function iodDirectory(directory: string, index: number): string {
  return join(directory, `iod-${index}`)
}

/** A plan for a directory that no cluster has used; `firstPort` is the manager's. */
export function freshPlan(directory: string, iods: number, firstPort: number): ClusterPlan {
  if (firstPort + iods > PORT_MAX) {
    const message = `cluster: ports from ${firstPort} on for a manager and ${iods} iods; the last one is ${PORT_MAX}`
    throw new IoError('MPI_ERR_ARG', message)
  }
  return { directory, managerPort: firstPort, iodPorts: portsFrom(firstPort + 1, iods) }
}

/**
 * The plan of a directory that has an iodtab; undefined where there is none. More iods than before are
 * added at its end. MPI_ERR_ARG if fewer are asked for, or another port.
 */
export async function knownPlan(request: PlanRequest): Promise<ClusterPlan | undefined> {
  const { directory, iods, port } = request
  const path = iodtabPath(directory)
  if (!existsSync(path)) return undefined
  const known = await readPorts(path)
  const first = known[0] ?? 0
  const managerPort = port ?? first - 1
  if (port !== undefined && port + 1 !== first) {
    const message = `${path}: its iods have the ports from ${first} on, so the manager's is ${first - 1}, not ${port}`
    throw new IoError('MPI_ERR_ARG', message)
  }
  const count = iods ?? known.length
  if (count < known.length) {
    throw new IoError('MPI_ERR_ARG', `${path}: it has ${known.length} iods, of which none can go`)
  }
  const last = known.at(-1) ?? first
  return {
    directory,
    managerPort,
    iodPorts: [...known, ...portsFrom(last + 1, count - known.length)],
  }
}

/** Writes the iodtab of a plan. */
export function writeIodtab({ directory, iodPorts }: ClusterPlan): void {
  const path = iodtabPath(directory)
  const lines = iodPorts.map((port) => `${textOf({ kind: 'tcp', host: CLUSTER_HOST, port })}\n`)
  try {
    writeFileSync(path, lines.join(''))
  } catch (error) {
    throw ioErrorOf(error, `iodtab ${path}: it cannot be written`)
  }
}

/** Checks a number of iods. MPI_ERR_ARG. */
export function checkIods(iods: number): number {
  if (Number.isSafeInteger(iods) && iods >= 1 && iods <= LIMITS.iods) return iods
  throw new IoError('MPI_ERR_ARG', `cluster: ${iods} iods; from 1 to ${LIMITS.iods} are possible`)
}

/** 64 MiB: what a process of Node that serves as an iod has come to before it has served anybody (measured: 60 to 68). */
const PROCESS_BYTES = 64 * 2 ** 20

/**
 * Throws MPI_ERR_ARG where so many servers, each a process of its own, would take more memory than this host has to give:
 * they would be killed, or stand still, one by one. `free` is in bytes.
 */
export function expectMemory(iods: number, free: number = freemem()): void {
  const needed = (iods + 1) * PROCESS_BYTES
  if (needed <= free) return
  const [need, have] = [needed, free].map((bytes) => (bytes / 2 ** 30).toFixed(1))
  const message = `cluster: ${iods} iods on one host need ${need} GiB of memory before they serve anybody, and ${have} GiB are free`
  throw new IoError('MPI_ERR_ARG', message)
}

async function readPorts(path: string): Promise<number[]> {
  const entries = await parseIodtab(readFileSync(path, 'utf8'), path)
  return entries.map(({ address }) => {
    if (address.kind === 'tcp') return address.port
    throw new IoError(
      'MPI_ERR_ARG',
      `${path}: a cluster of one host has an address host:port a line`,
    )
  })
}

function portsFrom(first: number, count: number): number[] {
  return Array.from({ length: count }, (_, index) => first + index)
}
