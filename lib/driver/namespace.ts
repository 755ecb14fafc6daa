// Names: what is asked of the manager about files and directories. One function an operation.

import { IoError, shown } from '../base/errors.js'
import type { Layout } from '../layout/striping.js'
import { LIMITS } from '../protocol/limits.js'
import { CHOOSE, MANAGER, OPEN_FLAGS } from '../protocol/manager.js'
import { type Attributes, type IodInfo, RIGHTS } from '../protocol/records.js'
import { schemeOf } from '../transport/address.js'
import type { Client } from './client.js'
import type { Traces } from './driver.js'
import type { OpenFile } from './striped.js'

/** How a file is to be opened. */
export interface OpenOptions {
  readonly read: boolean
  readonly write: boolean
  readonly create: boolean
  readonly exclusive: boolean
  readonly truncate: boolean
  /** Permission bits of a new file. */
  readonly mode: number
  /** Layout of a new file; what is left out is the manager's choice. */
  readonly stripSize?: number
  readonly iodCount?: number
  readonly firstIod?: number
  /** An impossible layout is made possible, instead of refused. */
  readonly advisory: boolean
}

/** What `openFile` found. */
export interface OpenResult extends OpenFile {
  readonly layout: Layout
  readonly created: boolean
  readonly iods: readonly IodInfo[]
}

/** One name of a directory. */
export interface NameEntry {
  readonly name: string
  readonly kind: 'file' | 'directory'
}

/** Opens a file at the manager and on its iods. Errors of the manager; the open has left no trace then. */
export async function openFile(
  client: Client,
  path: string,
  options: OpenOptions,
): Promise<OpenResult> {
  const flags =
    (options.create ? OPEN_FLAGS.CREATE : 0) |
    (options.exclusive && options.create ? OPEN_FLAGS.EXCLUSIVE : 0) |
    (options.truncate ? OPEN_FLAGS.TRUNCATE : 0) |
    (options.advisory ? OPEN_FLAGS.ADVISORY : 0)
  const { capability, layout, attributes, created, iods } = await client.manager.control(
    MANAGER.open,
    {
      path: checkedPath(path),
      flags,
      rights: (options.read ? RIGHTS.READ : 0) | (options.write ? RIGHTS.WRITE : 0),
      mode: options.mode,
      ...owner(),
      stripSize: options.stripSize ?? 0,
      iodCount: options.iodCount ?? 0,
      firstIod: options.firstIod ?? CHOOSE,
    },
  )
  client.learn(iods)
  return { handle: attributes.handle, capability, layout, size: attributes.size, created, iods }
}

/** Ends an open; with what was seen by all who used it. */
export async function closeFile(client: Client, capability: string, traces: Traces): Promise<void> {
  const { wrote, parts } = traces
  const mtimeMs = wrote ? Math.floor(client.runtime.clock.wallTime()) : undefined
  await client.manager.control(MANAGER.close, {
    capability,
    size: wrote ? traces.sizeSeen : undefined,
    mtimeMs,
    parts,
  })
}

/** What is known of a file or directory. */
export async function stat(client: Client, path: string): Promise<Attributes> {
  const { attributes } = await client.manager.control(MANAGER.stat, { path: checkedPath(path) })
  return attributes
}

/** Removes a file's name; with `handle` only of that file. */
export async function unlink(client: Client, path: string, handle?: number): Promise<void> {
  await client.manager.control(MANAGER.unlink, { path: checkedPath(path), handle })
}

/** Gives a file or directory another name. */
export async function rename(client: Client, from: string, to: string): Promise<void> {
  await client.manager.control(MANAGER.rename, { from: checkedPath(from), to: checkedPath(to) })
}

/** Makes a directory. */
export async function mkdir(client: Client, path: string, mode: number): Promise<void> {
  await client.manager.control(MANAGER.mkdir, { path: checkedPath(path), mode, ...owner() })
}

/** Removes an empty directory. */
export async function rmdir(client: Client, path: string): Promise<void> {
  await client.manager.control(MANAGER.rmdir, { path: checkedPath(path) })
}

/** The names of a directory that are greater than `after`, in the order of their bytes, a page at a time. */
export async function* readdir(
  client: Client,
  path: string,
  after = '',
): AsyncGenerator<NameEntry, void> {
  for (let last = after; ; ) {
    // Each page starts where the one before ended.
    const { entries, more } = await client.manager.control(MANAGER.readdir, {
      path: checkedPath(path),
      after: last,
    })
    yield* entries
    const end = entries.at(-1)
    if (!more || end === undefined) return
    last = end.name
  }
}

/** Sets the size of a file by its path. */
export async function truncate(client: Client, path: string, size: number): Promise<void> {
  await client.manager.control(MANAGER.truncate, {
    path: checkedPath(path),
    capability: undefined,
    size,
  })
}

/** What `setAttributes` may change. */
export interface AttributeChange {
  readonly mode?: number
  readonly uid?: number
  readonly gid?: number
  readonly mtimeMs?: number
  readonly atimeMs?: number
}

/** Sets permission bits, owner or times. */
export async function setAttributes(
  client: Client,
  path: string,
  change: AttributeChange,
): Promise<void> {
  const { mode, uid, gid, mtimeMs, atimeMs } = change
  await client.manager.control(MANAGER.setAttributes, {
    path: checkedPath(path),
    mode,
    uid,
    gid,
    mtimeMs,
    atimeMs,
  })
}

/** What the wire could not carry is refused here; the other rules for names are the manager's. MPI_ERR_BAD_FILE. */
export function checkedPath(path: unknown): string {
  if (typeof path !== 'string')
    throw new IoError('MPI_ERR_BAD_FILE', `path ${shown(path)}: not a string`, { errno: 'EINVAL' })
  const bad = (why: string, errno: string): never => {
    throw new IoError('MPI_ERR_BAD_FILE', `path ${JSON.stringify(path.slice(0, 200))}: ${why}`, {
      errno,
      path: path.slice(0, 200),
    })
  }
  if (new TextEncoder().encode(path).length > LIMITS.pathBytes)
    bad(`longer than ${LIMITS.pathBytes} bytes`, 'ENAMETOOLONG')
  if (/[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/.test(path))
    bad('not valid Unicode', 'EINVAL')
  const scheme = schemeOf(path)
  if (scheme !== undefined) bad(whyNot(scheme), 'EINVAL')
  return path
}

function whyNot(scheme: string): string {
  if (scheme === 'rankio') return 'a name on a manager is wanted here, without its URL'
  return `there is no scheme ${scheme}://; write rankio://host:port/name, or a name such as /a/b`
}

function owner(): { readonly uid: number; readonly gid: number } {
  return { uid: process.getuid?.() ?? 0, gid: process.getgid?.() ?? 0 }
}
