// What is written down of a cluster that runs on its own: `cluster.json` in its directory.

import { readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { IoError } from '../../lib/base/errors.js'
import { ioErrorOf } from '../common/errno.js'
import { startOf } from './identity.js'

/** One server of a cluster that runs on its own. */
export interface DetachedServer {
  /** The server in words. */
  readonly name: string
  readonly pid: number
  /** Tells its process from a later one of the same id. */
  readonly start: string
  readonly address: string
  /** Path of its log. */
  readonly log: string
}

/** A cluster that runs on its own. */
export interface DetachedCluster {
  readonly url: string
  /** Folder of its unix sockets, or empty. */
  readonly sockets: string
  /** The manager first, then the iods in order. */
  readonly servers: readonly DetachedServer[]
}

/** Path of what is written down. */
export function statePath(directory: string): string {
  return join(directory, 'cluster.json')
}

/** Reads what is written down; undefined where there is nothing. MPI_ERR_OTHER if it makes no sense. */
export function readState(directory: string): DetachedCluster | undefined {
  const path = statePath(directory)
  let text: string
  try {
    text = readFileSync(path, 'utf8')
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? error.code : undefined
    if (code === 'ENOENT') return undefined
    if (code === 'ENOTDIR') throw ioErrorOf(error, `${directory}: it is no directory`)
    throw ioErrorOf(error, `${path}: it cannot be read`)
  }
  const state = parsed(text)
  if (isCluster(state)) return state
  throw new IoError('MPI_ERR_OTHER', `${path}: it was not written by \`rankio cluster start\``)
}

/** Writes it down, whole or not at all. */
export function writeState(directory: string, state: DetachedCluster): void {
  const path = statePath(directory)
  try {
    writeFileSync(`${path}.new`, `${JSON.stringify(state, undefined, 2)}\n`)
    renameSync(`${path}.new`, path)
  } catch (error) {
    throw ioErrorOf(error, `${path}: it cannot be written`)
  }
}

/** Forgets it. */
export function removeState(directory: string): void {
  rmSync(statePath(directory), { force: true })
}

/** Whether the process of a server is still the one that was started. */
export function isAlive({ pid, start }: DetachedServer): boolean {
  return startOf(pid) === start
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    // No JSON at all: it is refused by its shape.
    return undefined
  }
}

function isCluster(value: unknown): value is DetachedCluster {
  if (!hasTexts(value, 'url', 'sockets') || !('servers' in value)) return false
  const { servers } = value
  return Array.isArray(servers) && servers.length > 0 && servers.every(isServer)
}

function isServer(value: unknown): value is DetachedServer {
  if (!hasTexts(value, 'name', 'start', 'address', 'log') || !('pid' in value)) return false
  // 0 and negative numbers mean groups of processes to `kill`.
  return Number.isSafeInteger(value.pid) && Number(value.pid) > 1
}

function hasTexts(value: unknown, ...names: readonly string[]): value is object {
  if (typeof value !== 'object' || value === null) return false
  const fields = new Map<string, unknown>(Object.entries(value))
  return names.every((name) => typeof fields.get(name) === 'string')
}
