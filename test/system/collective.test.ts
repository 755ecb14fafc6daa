// MPICH's harness of parallel files, on servers in processes of their own: three communicators, several sizes,
// every way of access, and the whole file has to be the integers from 0 on.
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { Datatype } from '../../lib/datatype/datatype.js'
import { File } from '../../lib/file/file.js'
import type { Status } from '../../lib/file/status.js'
import { startCluster } from '../../servers/cluster.js'
import { onRanks } from '../support/ranks.js'
import { CREATE, onCommunicators, type Phase, place, type Way } from './harness.js'

const test = suite('collective access of processes')

const { INT32 } = Datatype

/** Elements of a block, and blocks of a rank. */
const SIZES = [
  [1, 400],
  [400, 8],
  [4096, 8],
  [16_384, 8],
] as const

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
      await onCommunicators(world, way, SIZES, cluster)
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
