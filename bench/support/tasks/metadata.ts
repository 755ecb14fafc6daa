// mdtest's phases: files of one directory for all ranks, or of one for each; a phase works on what a neighbour made.
import { IoError } from '../../../lib/base/errors.js'
import { FileSystem } from '../../../lib/file/file-system.js'
import { checkTransfer, fillTransfer } from '../pattern.js'
import { type TaskRank, timed, type Window } from './rank.js'

/** What is done with each file. */
export type MetadataPhase = 'create' | 'stat' | 'read' | 'remove'

/** What `metadata` is given. */
export interface MetadataOrder {
  readonly phase: MetadataPhase
  /** Where the directories are. */
  readonly path: string
  /** One directory for all, instead of one for each rank. */
  readonly shared: boolean
  readonly files: number
  /** Bytes of each file. */
  readonly bytes: number
  /** Whose files: those of the rank so many further on. */
  readonly shift: number
}

const clients = new WeakMap<TaskRank, FileSystem>()

/** Makes the directories: the first rank does. */
export async function directories(
  rank: TaskRank,
  { path, shared }: Pick<MetadataOrder, 'path' | 'shared'>,
): Promise<void> {
  const files = await clientOf(rank)
  if (rank.comm.rank === 0) {
    await files.mkdir(path)
    for (let other = 0; other < rank.comm.size && !shared; other++)
      await files.mkdir(`${path}/${other}`)
  }
  await rank.comm.barrier()
}

/** One phase over all files; `bytes` of the window counts the files. */
export async function metadata(rank: TaskRank, order: MetadataOrder): Promise<Window> {
  const { phase, path, shared, shift, bytes } = order
  const files = await clientOf(rank)
  const owner = (rank.comm.rank + shift) % rank.comm.size
  const content = new Uint8Array(bytes)
  const nameOf = (item: number): string =>
    `${path}/${shared ? '' : `${owner}/`}file.mdtest.${owner}.${item}`
  const contentOf = (item: number): Uint8Array => {
    fillTransfer(content, item * 8, owner, 0)
    return content
  }
  return await timed(rank, async () => {
    for (let item = 0; item < order.files; item++) await one(nameOf(item), item)
    return order.files
  })

  async function one(name: string, item: number): Promise<void> {
    if (phase === 'create') {
      if (bytes === 0) await (await files.open(name, 'w')).close()
      else await files.writeFile(name, contentOf(item))
    } else if (phase === 'stat') expectSize((await files.stat(name)).size, bytes, name)
    else if (phase === 'read') checkTransfer(await files.readFile(name), contentOf(item), name)
    else await files.unlink(name)
  }
}

/** How many names the directories hold. */
export async function names(
  rank: TaskRank,
  { path, shared }: Pick<MetadataOrder, 'path' | 'shared'>,
): Promise<number> {
  const files = await clientOf(rank)
  return (await files.readdir(shared ? path : `${path}/${rank.comm.rank}`)).length
}

async function clientOf(rank: TaskRank): Promise<FileSystem> {
  const client = clients.get(rank) ?? (await FileSystem.connect(rank.manager))
  clients.set(rank, client)
  return client
}

/** Ends what the tasks above have connected. */
export async function endMetadata(rank: TaskRank): Promise<void> {
  await clients.get(rank)?.close()
}

function expectSize(size: number, wanted: number, name: string): void {
  if (size !== wanted)
    throw new IoError('MPI_ERR_IO', `${name}: ${size} bytes instead of ${wanted}`)
}
