// The calls that lie below the MPI-IO layer, and beside the library: a file handle without ranks, and a local file.
import { closeSync, openSync, readSync } from 'node:fs'
import { type FileHandle, FileSystem } from '../../../lib/file/file-system.js'
import { checkTransfer, fillTransfer } from '../pattern.js'
import { type TaskRank, timed, type Window } from './rank.js'

/** What `nativeMove` is given: calls of equal size, one behind the other. */
export interface NativeOrder {
  readonly path: string
  readonly bytes: number
  readonly count: number
  readonly kind: 'write' | 'read'
  readonly verify: boolean
}

/** Writes or reads a file that exists by the handle of one process. */
export async function nativeMove(rank: TaskRank, order: NativeOrder): Promise<Window> {
  const { path, bytes, count, kind, verify } = order
  await using files = await FileSystem.connect(rank.manager)
  await using handle = await files.open(path, 'r+')
  const buffer = new Uint8Array(bytes)
  fillTransfer(buffer, 0, 0, 1)
  if (verify) await check(handle)
  // The first call makes the connection.
  await handle.read(buffer, 0, bytes, 0)
  return await timed(rank, async () => {
    for (let call = 0; call < count; call++) await handle[kind](buffer, 0, bytes, call * bytes)
    return count * bytes
  })

  async function check(of: FileHandle): Promise<void> {
    const actual = new Uint8Array(bytes)
    await of.write(buffer, 0, bytes, 0)
    await of.read(actual, 0, bytes, 0)
    checkTransfer(actual, buffer, `${path} by its handle`)
  }
}

/** Reads of a local file, one after the other: what the operating system alone takes for them. */
export async function localReads(
  rank: TaskRank,
  { path, bytes, count }: Pick<NativeOrder, 'path' | 'bytes' | 'count'>,
): Promise<Window> {
  const buffer = new Uint8Array(bytes)
  const fd = openSync(path, 'r')
  try {
    return await timed(rank, async () => {
      for (let call = 0; call < count; call++) readSync(fd, buffer, 0, bytes, call * bytes)
      return count
    })
  } finally {
    closeSync(fd)
  }
}
