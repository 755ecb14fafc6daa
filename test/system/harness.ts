// MPICH's harness of parallel files: blocks of n integers, dealt to the ranks in turn, so that the whole file is the
// integers from 0 on. A way writes them, and its counterpart reads them.
import * as assert from 'uvu/assert'
import type { Communicator } from '../../lib/comm/communicator.js'
import { Datatype } from '../../lib/datatype/datatype.js'
import { FileSystem } from '../../lib/file/file-system.js'
import { File } from '../../lib/file/file.js'
import { Mode } from '../../lib/file/mode.js'
import type { Status } from '../../lib/file/status.js'
import type { Cluster } from '../../servers/cluster.js'
import { assertBytes } from '../contract/driver.js'

const { INT32 } = Datatype

/** How every file of the harness is opened. */
export const CREATE: number = Mode.CREATE | Mode.RDWR

/** What a phase does with one block after the other of its rank. */
export interface Phase {
  readonly file: File
  readonly comm: Communicator
  readonly n: number
  readonly b: number
  readonly kind: 'read' | 'write'
  /** The block's buffer: its values where it is written, something else where it is read. */
  readonly blocks: readonly Int32Array[]
}

/** A way to move all blocks of a rank: the status of each. */
export type Way = (phase: Phase) => Promise<readonly Status[]>

/** Byte where block `k` of a rank lies. */
export function place({ comm, n }: Phase, k: number): number {
  return 4 * (comm.rank * n + k * n * comm.size)
}

/** Runs a way on all ranks, on all in reverse order, and on all but the first, with blocks of several sizes. */
export async function onCommunicators(
  world: Communicator,
  way: Way,
  sizes: readonly (readonly [n: number, b: number])[],
  cluster: Cluster,
): Promise<void> {
  const reversed = await world.split(0, -world.rank)
  const some = await world.split(world.rank === 0 ? 1 : 0)
  for (const comm of [world, reversed, ...(world.rank === 0 ? [] : [some])])
    for (const [n, b] of sizes) await bothPhases(comm, way, n, b, cluster)
}

async function bothPhases(
  comm: Communicator,
  way: Way,
  n: number,
  b: number,
  cluster: Cluster,
): Promise<void> {
  const valueOf = (k: number, i: number): number => comm.rank * n + k * n * comm.size + i
  const values = Array.from({ length: b }, (_, k) => new Int32Array(n).map((_, i) => valueOf(k, i)))
  const inPhase = async (kind: 'read' | 'write', blocks: readonly Int32Array[]): Promise<void> => {
    await using file = await File.open(comm, '/harness', CREATE)
    const statuses = await way({ file, comm, n, b, kind, blocks })
    assert.is(statuses.length, b)
    assert.ok(statuses.every((status) => status.count(INT32) === n))
  }
  await inPhase('write', values)
  if (comm.rank === 0) await checkWhole(cluster, n * b * comm.size)
  const buffers = values.map((block) => block.map((value) => -(value + 1)))
  await inPhase('read', buffers)
  for (const [k, block] of buffers.entries())
    assertBytes(bytesOf(block), bytesOf(values[k]), 'block')
  if (comm.rank === 0) await File.delete('/harness', { rankio_manager: cluster.url })
  await comm.barrier()
}

function bytesOf(block: Int32Array = new Int32Array()): Uint8Array {
  return new Uint8Array(block.buffer)
}

async function checkWhole(cluster: Cluster, length: number): Promise<void> {
  await using fs = await FileSystem.connect(cluster.url)
  const bytes = await fs.readFile('/harness')
  const values = new Int32Array(bytes.buffer, bytes.byteOffset, bytes.length / 4)
  assert.is(values.length, length)
  assert.ok(values.every((value, i) => value === i))
}
