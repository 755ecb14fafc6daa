// MPICH's harness of parallel files, on servers in processes of their own: three communicators, several sizes,
// every way of access, and the whole file has to be the integers from 0 on.
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import type { Communicator } from '../../lib/comm/communicator.js'
import { Datatype } from '../../lib/datatype/datatype.js'
import { FileSystem } from '../../lib/file/file-system.js'
import { File } from '../../lib/file/file.js'
import { Mode } from '../../lib/file/mode.js'
import type { Status } from '../../lib/file/status.js'
import { type Cluster, startCluster } from '../../servers/cluster.js'
import { assertBytes } from '../contract/driver.js'
import { onRanks } from '../support/ranks.js'

const test = suite('collective access of processes')

const { INT32 } = Datatype

const CREATE = Mode.CREATE | Mode.RDWR

/** Elements of a block, and blocks of a rank. */
const SIZES = [
  [1, 400],
  [400, 8],
  [4096, 8],
  [16_384, 8],
] as const

/** What a phase does with one block after the other of its rank. */
interface Phase {
  readonly file: File
  readonly comm: Communicator
  readonly n: number
  readonly b: number
  readonly kind: 'read' | 'write'
  /** The block's buffer: its values where it is written, something else where it is read. */
  readonly blocks: readonly Int32Array[]
}

type Way = (phase: Phase) => Promise<readonly Status[]>

/** Byte where block `k` of a rank lies. */
function place({ comm, n }: Phase, k: number): number {
  return 4 * (comm.rank * n + k * n * comm.size)
}

const WAYS: Readonly<Record<string, Way>> = {
  'write, read': async (phase) => {
    const statuses: Status[] = []
    for (const [k, block] of phase.blocks.entries()) {
      await phase.file.seek(place(phase, k))
      statuses.push(await phase.file[phase.kind](block))
    }
    return statuses
  },
  'writeat, readat': async (phase) => {
    const access = phase.kind === 'read' ? 'readAt' : 'writeAt'
    const statuses: Status[] = []
    for (const [k, block] of phase.blocks.entries())
      statuses.push(await phase.file[access](place(phase, k), block))
    return statuses
  },
  'writeatall, readatall': async (phase) => {
    const access = phase.kind === 'read' ? 'readAtAll' : 'writeAtAll'
    const statuses: Status[] = []
    for (const [k, block] of phase.blocks.entries())
      statuses.push(await phase.file[access](place(phase, k), block))
    return statuses
  },
  'iwriteatall, ireadatall: all pending': async (phase) => {
    const access = phase.kind === 'read' ? 'readAtAll' : 'writeAtAll'
    return await Promise.all(
      phase.blocks.map((block, k) => phase.file[access](place(phase, k), block)),
    )
  },
  'iwriteat, ireadat: two pending': async (phase) => {
    const access = phase.kind === 'read' ? 'readAt' : 'writeAt'
    return await inPairs(phase, (block, k) => phase.file[access](place(phase, k), block))
  },
  'iwrite, iread: the pointer is taken at the call': async (phase) => {
    return await inPairs(phase, (block, k) => {
      const seeking = phase.file.seek(place(phase, k))
      const access = phase.file[phase.kind](block)
      return seeking.then(() => access)
    })
  },
  'writeall, readall: by a view': async (phase) => {
    const { file, comm, n, b } = phase
    const filetype = Datatype.vector(b, n, n * comm.size, INT32)
    await file.setView({ displacement: comm.rank * n * 4, etype: INT32, filetype })
    const access = phase.kind === 'read' ? 'readAll' : 'writeAll'
    const statuses: Status[] = []
    for (const block of phase.blocks) statuses.push(await file[access](block))
    return statuses
  },
}

async function inPairs(
  { blocks }: Phase,
  access: (block: Int32Array, k: number) => Promise<Status>,
): Promise<readonly Status[]> {
  const statuses: Status[] = []
  for (let k = 0; k < blocks.length; k += 2) {
    const pair = blocks.slice(k, k + 2).map((block, i) => access(block, k + i))
    statuses.push(...(await Promise.all(pair)))
  }
  return statuses
}

for (const [name, way] of Object.entries(WAYS)) {
  test(name, async () => {
    await using cluster = await startCluster({ iods: 3 })
    await onRanks(4, cluster, async (world) => {
      const reversed = await world.split(0, -world.rank)
      const some = await world.split(world.rank === 0 ? 1 : 0)
      for (const comm of [world, reversed, ...(world.rank === 0 ? [] : [some])])
        for (const [n, b] of SIZES) await bothPhases(comm, way, n, b, cluster)
    })
  })
}

test('an iod that is killed and comes back is not seen, and has lost nothing', async () => {
  await using cluster = await startCluster({ iods: 3 })
  await onRanks(3, cluster, async (comm) => {
    await using file = await File.open(comm, '/f', CREATE, { striping_unit: 4096 })
    const { rank, size } = comm
    const block = 40_000
    const write = (value: number): Promise<Status> =>
      file.writeAtAll(rank * block, new Uint8Array(block).fill(value + rank))
    for (const iod of [0, 1, 2]) {
      await write(10 * iod)
      const pending = write(10 * iod + 5)
      if (rank === 0) {
        await cluster.kill(iod)
        await cluster.restart(iod)
      }
      // Waits while the iod is away, and goes on.
      assert.is((await pending).bytes, block)
      // The system holds what a killed process has written.
      await file.sync()
      const buffer = new Uint8Array(size * block)
      assert.is((await file.readAtAll(0, buffer)).bytes, size * block)
      assert.ok(buffer.every((byte, at) => byte === 10 * iod + 5 + Math.floor(at / block)))
    }
  })
})

test.run()

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
