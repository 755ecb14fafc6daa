// Where a rank's unix socket lives, for the ranks on its host.

import * as fs from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { hexOf } from '../base/bytes.js'
import type { Random } from '../base/runtime.js'
import { LIMITS } from '../protocol/limits.js'
type Environment = Readonly<Record<string, string | undefined>>

/**
 * A path that no other socket has, in a directory of this user alone; it is made if it is missing.
 * Sockets that dead processes left there are removed. Undefined where there can be none: TCP serves as well.
 */
export function newSocketPath(env: Environment, random: Random): string | undefined {
  const directory = directoryOf(env)
  try {
    if (!fs.existsSync(directory)) make(directory)
    const { uid, mode } = fs.lstatSync(directory)
    // A directory that others may write to could hold a socket of theirs.
    if (uid !== process.getuid?.() || (mode & 0o022) !== 0) return undefined
    sweep(directory)
  } catch {
    // No such place on this system.
    return undefined
  }
  const path = join(directory, `${process.pid}-${hexOf(random.bytes(4))}.sock`)
  return Buffer.byteLength(path) > LIMITS.unixPathBytes ? undefined : path
}

/** Removes the sockets that dead processes of this user have left, and their directory where it is empty then. */
export function removeDeadSockets(env: Environment): void {
  const directory = directoryOf(env)
  try {
    sweep(directory)
    fs.rmdirSync(directory)
  } catch {
    // There is none, or others are using it.
  }
}

function directoryOf(env: Environment): string {
  const runtime = env['XDG_RUNTIME_DIR']
  if (runtime !== undefined && runtime !== '') return join(runtime, 'rankio')
  return join(tmpdir(), `rankio-${process.getuid?.() ?? 'user'}`)
}

// Not with those above it: a place for such files is there, or there is none. Of ranks that start together one makes it.
function make(directory: string): void {
  try {
    fs.mkdirSync(directory, { mode: 0o700 })
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
  }
}

function sweep(directory: string): void {
  for (const name of fs.readdirSync(directory)) {
    const pid = Number(/^(\d+)-[0-9a-f]{8}\.sock$/.exec(name)?.[1] ?? Number.NaN)
    if (Number.isNaN(pid) || isAlive(pid)) continue
    fs.rmSync(join(directory, name), { force: true })
  }
}

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0)
  } catch (error) {
    return (error as NodeJS.ErrnoException).code !== 'ESRCH'
  }
}
