// The file that a copy makes: written under another name beside its own, which it gets when it is whole. Whoever reads the
// name meanwhile, or finds it after the copy was interrupted, has the file from before, or none.

import { existsSync, type Stats } from 'node:fs'
import type { FileHandle as LocalHandle } from 'node:fs/promises'
import { lstat, open, realpath, rename, rm, stat } from 'node:fs/promises'
import { basename, dirname, join, posix } from 'node:path'
import { type FileStat, type FileSystem, IoError, type LayoutOptions } from '../../lib/index.js'
import { ioErrorOf } from '../common/errno.js'
import { hinting } from './command.js'
import type { Target } from './copy.js'
import { localEnd, remoteEnd } from './ends.js'
import { sweepLocal, sweepRemote, unfinishedName } from './leftovers.js'

const PERMISSIONS = 0o7777

/** What is to become a file; disposed of without `commit`, nothing is left of it. */
export interface Replacement extends AsyncDisposable {
  readonly end: Target
  /** Gives it its name. */
  commit(): Promise<void>
}

/** A file on a manager. `mode` is that of a new one; one that is replaced keeps its own, and its layout but for `layout`. */
export async function replaceRemote(
  fileSystem: FileSystem,
  path: string,
  { mode, layout }: { readonly mode: number | undefined; readonly layout: LayoutOptions },
): Promise<Replacement> {
  const before = await statOf(fileSystem, path)
  // Only a directory may be written with a slash: the manager says so.
  const isOdd = path.endsWith('/') || before?.kind === 'directory'
  const directory = posix.dirname(posix.join('/', path))
  const written = isOdd ? path : posix.join(directory, unfinishedName())
  if (!isOdd) await sweepRemote(fileSystem, directory)
  const permissions = before === undefined ? mode : before.mode & PERMISSIONS
  const options = {
    ...layoutOf(before, layout),
    ...(permissions === undefined ? {} : { mode: permissions }),
  }
  const opening = fileSystem.open(written, 'wx', options)
  const named = withName(opening, written, path)
  const file = await hinting('ENOENT', 'rankio mkdir -p makes it', named)
  return replacement(
    remoteEnd(file),
    async () => {
      await file.close()
      await fileSystem.rename(written, path)
    },
    // Its name first: nobody need wait for iods to be rid of it.
    async () => {
      await fileSystem.unlink(written)
      await file.close()
    },
  )
}

/** A local file. `mode` is that of a new one. What is no file of its own, such as a pipe or a device, is written as it is. */
export async function replaceLocal(path: string, mode: number): Promise<Replacement> {
  const before = await stat(path).catch(() => undefined)
  // A link that leads nowhere makes the file where it leads.
  const isNew = before === undefined && (await lstat(path).catch(() => undefined)) === undefined
  if (!isNew && !isReplaceable(before)) return await writtenInPlace(path, mode)
  try {
    const real = isNew ? path : await realpath(path)
    const directory = dirname(real)
    const written = join(directory, unfinishedName())
    await sweepLocal(directory)
    const file = await open(written, 'wx', mode)
    const discard = async (): Promise<void> => {
      await rm(written, { force: true })
      await file.close()
    }
    try {
      if (before !== undefined) await file.chmod(before.mode & PERMISSIONS)
    } catch (error) {
      await discard()
      throw error
    }
    const commit = async (): Promise<void> => {
      await flushed(file, path)
      await closed(file, path)
      await rename(written, real).catch((error: unknown) => {
        throw ioErrorOf(error, `${JSON.stringify(path)}: it cannot be replaced`)
      })
      await nameFlushed(directory, path)
    }
    return replacement(localEnd(file, path, true), commit, discard)
  } catch (error) {
    // In a directory where nothing can be made, a file may be written all the same.
    if (before !== undefined && isForbidden(error)) return await writtenInPlace(path, mode)
    throw notOpened(error, path)
  }
}

function notOpened(error: unknown, path: string): IoError {
  const directory = dirname(path)
  const why = existsSync(directory)
    ? 'it cannot be opened'
    : `there is no directory ${JSON.stringify(directory)}`
  return ioErrorOf(error, `${JSON.stringify(path)}: ${why}`)
}

// Of our own, with one name: it would have another owner, or be torn from its other names.
function isReplaceable(found: Stats | undefined): boolean {
  return found?.isFile() === true && found.nlink === 1 && found.uid === process.getuid?.()
}

async function writtenInPlace(path: string, mode: number): Promise<Replacement> {
  let file: LocalHandle
  try {
    file = await open(path, 'w', mode)
  } catch (error) {
    const isDirectory = error instanceof Error && 'code' in error && error.code === 'EISDIR'
    if (!isDirectory) throw notOpened(error, path)
    const message = `${JSON.stringify(path)}: it is a directory`
    throw new IoError('MPI_ERR_BAD_FILE', message, { errno: 'EISDIR' })
  }
  const isFile = (await file.stat()).isFile()
  return replacement(
    localEnd(file, path, isFile),
    async () => {
      // A pipe or a device keeps nothing.
      if (isFile) await flushed(file, path)
      await closed(file, path)
    },
    () => file.close(),
  )
}

// As the close of a file on a manager does: otherwise a loss of power leaves the name with nothing in it.
async function flushed(file: LocalHandle, path: string): Promise<void> {
  await file.sync().catch((error: unknown) => {
    // A file system that knows no such thing.
    if (codeOf(error) === 'EINVAL') return
    throw ioErrorOf(error, `${JSON.stringify(path)}: it cannot be made durable`)
  })
}

async function nameFlushed(directory: string, path: string): Promise<void> {
  try {
    const opened = await open(directory, 'r')
    try {
      await opened.sync()
    } finally {
      await opened.close()
    }
  } catch (error) {
    // A directory in which one may make files but not look, or of a file system that knows no such thing.
    if (isForbidden(error) || codeOf(error) === 'EINVAL') return
    throw ioErrorOf(error, `${JSON.stringify(path)}: its name cannot be made durable`)
  }
}

async function closed(file: LocalHandle, path: string): Promise<void> {
  await file.close().catch((error: unknown) => {
    throw ioErrorOf(error, `${JSON.stringify(path)}: it cannot be written`)
  })
}

function replacement(
  end: Target,
  commit: () => Promise<void>,
  discard: () => Promise<void>,
): Replacement {
  let isCommitted = false
  return {
    end,
    commit: async () => {
      await commit()
      isCommitted = true
    },
    // Why nothing came of it is what is told, whatever else fails then.
    [Symbol.asyncDispose]: async () => void (isCommitted || (await discard().catch(() => {}))),
  }
}

async function statOf(fileSystem: FileSystem, path: string): Promise<FileStat | undefined> {
  try {
    return await fileSystem.stat(path)
  } catch (error) {
    if (error instanceof IoError && error.context.errno === 'ENOENT') return undefined
    throw error
  }
}

function layoutOf(before: FileStat | undefined, asked: LayoutOptions): LayoutOptions {
  if (before?.layout === undefined) return asked
  const { stripSize, iodCount, firstIod } = before.layout
  return asked.iodCount === undefined
    ? { stripSize, iodCount, firstIod, ...asked }
    : { stripSize, ...asked }
}

// Errors name the file that is meant, not how it is called meanwhile.
async function withName<T>(work: Promise<T>, written: string, path: string): Promise<T> {
  try {
    return await work
  } catch (error) {
    if (!(error instanceof IoError)) throw error
    const message = error.message.replaceAll(basename(written), basename(path))
    throw new IoError(error.code, message, { ...error.context, cause: error })
  }
}

function isForbidden(error: unknown): boolean {
  const code = codeOf(error)
  return code === 'EACCES' || code === 'EPERM'
}

function codeOf(error: unknown): unknown {
  return error instanceof Error && 'code' in error ? error.code : undefined
}
