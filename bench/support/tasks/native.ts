// The calls that lie below the MPI-IO layer, and beside the library: a file handle without ranks, and a local file.
import { closeSync, openSync, readSync } from 'node:fs'
import type { DirectCounts } from '../../../lib/driver/direct.js'
import { clientOf } from '../../../lib/file/clients.js'
import { type FileHandle, FileSystem } from '../../../lib/file/file-system.js'
import { checkTransfer, fillTransfer } from '../pattern.js'
import { spreadOf } from '../figures.js'
import { fileOf, type TaskRank, timed, type Window } from './rank.js'

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
  await using handle = await files.open(path, 'r+', { direct: 'off' })
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

/** Microseconds of calls of both layers, the median of each. */
export interface LayerTimes {
  readonly file: number
  readonly native: number
}

/** The same calls through an open file of the rank and by a handle, in turn: what disturbs one disturbs its neighbour. */
export async function layers(rank: TaskRank, order: NativeOrder): Promise<LayerTimes> {
  const { path, bytes, count, kind } = order
  const file = fileOf(rank, path)
  await using files = await FileSystem.connect(rank.manager)
  await using handle = await files.open(path, 'r+', { direct: 'off' })
  const buffer = new Uint8Array(bytes)
  fillTransfer(buffer, 0, 0, 1)
  const calls = {
    file: async (at: number) => (await file[`${kind}At`](at, buffer)).bytes,
    native: async (at: number) => {
      if (kind === 'write') return (await handle.write(buffer, 0, bytes, at)).bytesWritten
      return (await handle.read(buffer, 0, bytes, at)).bytesRead
    },
  }
  const times = { file: [] as number[], native: [] as number[] }
  for (let call = 0; call < count; call++)
    for (const layer of call % 2 === 0 ? LAYERS : LAYERS.toReversed()) {
      const startMs = performance.now()
      const moved = await calls[layer](call * bytes)
      times[layer].push((performance.now() - startMs) * 1000)
      if (moved !== bytes) throw new RangeError(`${path}: ${moved} bytes instead of ${bytes}`)
    }
  return { file: spreadOf(times.file).median, native: spreadOf(times.native).median }
}

const LAYERS = ['file', 'native'] as const

/** What `smallWays` is given: small reads of a file that exists, and where its only datafile is. */
export interface SmallWaysOrder {
  readonly path: string
  readonly datafile: string
  readonly bytes: number
  readonly count: number
}

/** Microseconds of a small read, the median of batches. */
export interface SmallTimes {
  readonly readAt: number
  readonly handle: number
  readonly local: number
}

/**
 * Reads past the iod by `readAt` and by a handle, and of the datafile by the operating system alone, in short batches in
 * turn: what disturbs one disturbs its neighbour. Each goes through the whole file, where the others are not just then.
 */
export async function smallWays(rank: TaskRank, order: SmallWaysOrder): Promise<SmallTimes> {
  const { path, datafile, bytes, count } = order
  const file = fileOf(rank, path)
  await using files = await FileSystem.connect(rank.manager)
  await using handle = await files.open(path, 'r', { direct: 'read' })
  const buffer = new Uint8Array(bytes)
  const fd = openSync(datafile, 'r')
  const batch = Math.min(SMALL_BATCH, count)
  const ways = {
    readAt: (at: number): Promise<unknown> => file.readAt(at, buffer),
    handle: (at: number): Promise<unknown> => handle.read(buffer, 0, bytes, at),
  }
  const places = (number: number, way: number): number =>
    (number * batch + Math.floor((way * count) / 3)) % count
  const times = { readAt: [] as number[], handle: [] as number[], local: [] as number[] }
  try {
    // Leave is asked for after a few reads.
    for (const way of SMALL_WAYS) for (let i = 0; i < 16; i++) await ways[way](0)
    for (let number = 0; number * batch < count; number++) {
      for (const [index, way] of SMALL_WAYS.entries()) {
        const first = places(number, index)
        const read = ways[way]
        const startMs = performance.now()
        for (let i = 0; i < batch; i++) await read(((first + i) % count) * bytes)
        times[way].push((performance.now() - startMs) * 1000)
      }
      const first = places(number, 2)
      const startMs = performance.now()
      for (let i = 0; i < batch; i++) readSync(fd, buffer, 0, bytes, ((first + i) % count) * bytes)
      times.local.push((performance.now() - startMs) * 1000)
    }
  } finally {
    closeSync(fd)
  }
  const each = (all: readonly number[]): number => spreadOf(all).median / batch
  return { readAt: each(times.readAt), handle: each(times.handle), local: each(times.local) }
}

const SMALL_WAYS = ['readAt', 'handle'] as const

/** Reads of a batch: others have their turn in it, as they do now and then. */
const SMALL_BATCH = 512

/** What this rank has moved around the iods so far. */
export async function direct({ comm, manager }: TaskRank): Promise<DirectCounts> {
  return clientOf(comm.job, manager, true).direct.counts
}
