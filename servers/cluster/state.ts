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
  /** Tells its process from a later one of the same id; empty where it could not be looked at. */
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

/**
 * What is known of the process of a server: it is the one that was started, it is gone, or the operating system lets
 * nobody look at the process that has its id.
 */
export type Life = 'alive' | 'gone' | 'unknown'

/** How the process of a server is. */
export function lifeOf({ pid, start }: DetachedServer): Life {
  try {
    const now = startOf(pid)
    if (now === undefined) return 'gone'
    if (start === '') return 'unknown'
    return now === start ? 'alive' : 'gone'
  } catch {
    return isThere(pid) ? 'unknown' : 'gone'
  }
}

/** Whether the process of a server is there, or may be: nothing is started in its place. */
export function isAlive(server: DetachedServer): boolean {
  return lifeOf(server) !== 'gone'
}

function isThere(pid: number): boolean {
  try {
    return process.kill(pid, 0)
  } catch (error) {
    // Somebody else's process is there all the same.
    return !(error instanceof Error && 'code' in error && error.code === 'ESRCH')
  }
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
