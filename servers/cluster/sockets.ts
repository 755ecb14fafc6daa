// Where the unix sockets of a cluster are: in a folder of their own with a short path, because paths
// of sockets are cut off silently at 107 bytes and data directories may lie deep.

import { randomBytes } from 'node:crypto'
import { existsSync, lstatSync, rmdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, dirname, join } from 'node:path'
import { LIMITS } from '../../lib/protocol/limits.js'
import { makeDirectory } from '../common/directory.js'

/** `iod-1023.sock` is the longest name of a socket. */
const NAME_BYTES_MAX = 13

/** Makes a fresh folder for sockets; undefined where none can be had that is ours alone and short. */
export function makeSocketDirectory(): string | undefined {
  const base = baseDirectory()
  const directory = join(base, randomBytes(4).toString('hex'))
  if (Buffer.byteLength(directory) + 1 + NAME_BYTES_MAX > LIMITS.unixPathBytes) return undefined
  try {
    makeDirectory(directory)
    if (isOurs(base)) return directory
    removeSocketDirectory(directory)
  } catch {
    // No unix sockets then: TCP is always there.
  }
  return undefined
}

/** Makes a folder of sockets again that was removed meanwhile, as programs do that tidy temporary files up. */
export function remakeSocketDirectory(directory: string | undefined): void {
  if (directory !== undefined && directory !== '') makeDirectory(directory)
}

/** Path of the socket of a server, where there are sockets. */
export function socketPath(directory: string | undefined, server: string): string | undefined {
  return directory === undefined ? undefined : join(directory, `${server}.sock`)
}

/** Removes a folder of sockets, and the one above if no other cluster has its sockets there. */
export function removeSocketDirectory(directory: string): void {
  rmSync(directory, { recursive: true, force: true })
  try {
    rmdirSync(dirname(directory))
  } catch {
    // In use by another cluster, or removed by it.
  }
}

/** The same for a path that was written down in a file, or is empty: only what looks like one of ours is removed. */
export function removeSocketsOf(sockets: string): void {
  const isOurs =
    /^[0-9a-f]{8}$/.test(basename(sockets)) && basename(dirname(sockets)).startsWith('rankio')
  if (isOurs) removeSocketDirectory(sockets)
}

function baseDirectory(): string {
  const runtime = process.env['XDG_RUNTIME_DIR']
  if (runtime !== undefined && existsSync(runtime)) return join(runtime, 'rankio')
  return join(tmpdir(), `rankio-${process.getuid?.() ?? 0}`)
}

// In a shared folder somebody else may have been there first.
function isOurs(directory: string): boolean {
  const stat = lstatSync(directory)
  const uid = process.getuid?.() ?? stat.uid
  return stat.isDirectory() && stat.uid === uid && (stat.mode & 0o022) === 0
}
