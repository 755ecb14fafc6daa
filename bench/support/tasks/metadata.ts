// mdtest's phases: files of one directory for all ranks, or of one for each; a phase works on what a neighbour made. The
// same loop runs over our files and over those of a local directory.
import * as local from 'node:fs'
import { IoError } from '../../../lib/base/errors.js'
import { FileSystem } from '../../../lib/file/file-system.js'
import { checkTransfer, fillTransfer } from '../pattern.js'
import { type TaskRank, timed, type Window } from './rank.js'

/** What is done with each file. */
export type MetadataPhase = 'create' | 'stat' | 'read' | 'remove'

/** Where the files are. */
export interface MetadataPlace {
  /** The directory of all, ours or a local one. */
  readonly path: string
  readonly local: boolean
  /** One directory for all ranks, instead of one for each. */
  readonly shared: boolean
}

/** What `metadata` is given. */
export interface MetadataOrder extends MetadataPlace {
  readonly phase: MetadataPhase
  /** Files of each rank, and the number of the first; 0 by default. */
  readonly files: number
  readonly first?: number
  /** Bytes of each file. */
  readonly bytes: number
  /** Whose files: those of the rank so many further on. */
  readonly shift: number
  /** Files that are worked on at a time. */
  readonly depth: number
}

/** What both kinds of files can do. */
interface Tree {
  mkdir(path: string): Promise<void>
  create(path: string, content: Uint8Array): Promise<void>
  sizeOf(path: string): Promise<number>
  read(path: string): Promise<Uint8Array>
  remove(path: string): Promise<void>
  count(path: string): Promise<number>
}

const clients = new WeakMap<TaskRank, FileSystem>()

/** Makes the directories: the first rank does. */
export async function directories(rank: TaskRank, place: MetadataPlace): Promise<void> {
  const tree = await treeOf(rank, place)
  if (rank.comm.rank === 0) {
    await tree.mkdir(place.path)
    for (let other = 0; other < rank.comm.size && !place.shared; other++)
      await tree.mkdir(`${place.path}/${other}`)
  }
  await rank.comm.barrier()
}

/** One phase over all files; `bytes` of the window counts the files. */
export async function metadata(rank: TaskRank, order: MetadataOrder): Promise<Window> {
  const { phase, path, shared, shift, bytes, depth } = order
  const tree = await treeOf(rank, order)
  const owner = (rank.comm.rank + shift) % rank.comm.size
  const nameOf = (item: number): string =>
    `${path}/${shared ? '' : `${owner}/`}file.mdtest.${owner}.${item}`
  const contentOf = (item: number): Uint8Array => {
    const content = new Uint8Array(bytes)
    fillTransfer(content, item * 8, owner, 0)
    return content
  }
  const { first = 0 } = order
  let next = 0
  const worker = async (): Promise<void> => {
    while (next < order.files) {
      const item = first + next++
      await one(nameOf(item), item)
    }
  }
  return await timed(rank, async () => {
    await Promise.all(Array.from({ length: depth }, worker))
    return order.files
  })

  async function one(name: string, item: number): Promise<void> {
    if (phase === 'create') await tree.create(name, contentOf(item))
    else if (phase === 'stat') expectSize(await tree.sizeOf(name), bytes, name)
    else if (phase === 'read') checkTransfer(await tree.read(name), contentOf(item), name)
    else await tree.remove(name)
  }
}

/** How many names there are where this rank's files are. */
export async function names(rank: TaskRank, place: MetadataPlace): Promise<number> {
  const tree = await treeOf(rank, place)
  return await tree.count(place.shared ? place.path : `${place.path}/${rank.comm.rank}`)
}

/** Ends what the tasks above have connected. */
export async function endMetadata(rank: TaskRank): Promise<void> {
  await clients.get(rank)?.close()
}

async function treeOf(rank: TaskRank, place: MetadataPlace): Promise<Tree> {
  if (place.local) return LOCAL
  const files = clients.get(rank) ?? (await FileSystem.connect(rank.manager))
  clients.set(rank, files)
  return {
    mkdir: async (path) => await files.mkdir(path),
    create: async (path, content) => {
      if (content.length > 0) await files.writeFile(path, content)
      else await (await files.open(path, 'w')).close()
    },
    sizeOf: async (path) => (await files.stat(path)).size,
    read: async (path) => await files.readFile(path),
    remove: async (path) => await files.unlink(path),
    count: async (path) => (await files.readdir(path)).length,
  }
}

/** A local directory by the synchronous calls, which are the fastest that Node has. */
const LOCAL: Tree = {
  mkdir: async (path) => local.mkdirSync(path),
  create: async (path, content) => local.writeFileSync(path, content),
  sizeOf: async (path) => local.statSync(path).size,
  read: async (path) => local.readFileSync(path),
  remove: async (path) => local.unlinkSync(path),
  count: async (path) => local.readdirSync(path).length,
}

function expectSize(size: number, wanted: number, name: string): void {
  if (size !== wanted)
    throw new IoError('MPI_ERR_IO', `${name}: ${size} bytes instead of ${wanted}`)
}
