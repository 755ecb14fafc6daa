// MPICH's harness on servers in processes of their own, as far as it uses the shared pointer, held collectives, and
// atomic mode.
import { suite } from 'uvu'
import { Datatype } from '../../lib/datatype/datatype.js'
import type { Status } from '../../lib/file/status.js'
import { startCluster } from '../../servers/cluster.js'
import { onRanks } from '../support/ranks.js'
import { onCommunicators, place, type Way } from './harness.js'

const test = suite('shared pointers and atomic mode of processes')

const { INT32 } = Datatype

/** Elements of a block, and blocks of a rank. */
const SIZES = [
  [1, 20],
  [400, 4],
  [4096, 4],
] as const

const WAYS: Readonly<Record<string, Way>> = {
  'writesh, readsh: each rank in its turn': async (phase) => {
    const { file, comm, kind, blocks } = phase
    const { rank, size } = comm
    const statuses: Status[] = []
    for (const [k, block] of blocks.entries()) {
      if (rank > 0 || k > 0) await comm.recv((rank + size - 1) % size)
      statuses.push(await file[kind === 'read' ? 'readShared' : 'writeShared'](block))
      await comm.send('turn', (rank + 1) % size)
    }
    // The last turn is given to the first rank, which has had all of its own.
    if (rank === 0) await comm.recv(size - 1)
    return statuses
  },
  'writeord, readord': async ({ file, kind, blocks }) => {
    const access = kind === 'read' ? 'readOrdered' : 'writeOrdered'
    const statuses: Status[] = []
    for (const block of blocks) statuses.push(await file[access](block))
    return statuses
  },
  'writeordbe, readordbe: all pending': async ({ file, kind, blocks }) => {
    const access = kind === 'read' ? 'readOrdered' : 'writeOrdered'
    return await Promise.all(blocks.map((block) => file[access](block)))
  },
  'writeallbe, readallbe: all pending': async ({ file, comm, n, b, kind, blocks }) => {
    const filetype = Datatype.vector(b, n, n * comm.size, INT32)
    await file.setView({ displacement: comm.rank * n * 4, etype: INT32, filetype })
    const access = kind === 'read' ? 'readAll' : 'writeAll'
    return await Promise.all(blocks.map((block) => file[access](block)))
  },
  'writeatall, readatall, in atomic mode': async (phase) => {
    await phase.file.setAtomicity(true)
    const access = phase.kind === 'read' ? 'readAtAll' : 'writeAtAll'
    return await Promise.all(
      phase.blocks.slice(0, -1).map((block, k) => phase.file[access](place(phase, k), block)),
    ).then(async (statuses) => {
      const k = phase.blocks.length - 1
      const last = phase.blocks[k] ?? new Int32Array(phase.n)
      const alone = phase.kind === 'read' ? 'readAt' : 'writeAt'
      return [...statuses, await phase.file[alone](place(phase, k), last)]
    })
  },
}

for (const [name, way] of Object.entries(WAYS)) {
  test(name, async () => {
    await using cluster = await startCluster({ iods: 3 })
    await onRanks(4, cluster, async (world) => {
      await onCommunicators(world, way, SIZES, cluster)
    })
  })
}

test.run()
