// How do ranks write one log together? Each record takes its place from the shared file pointer: none is lost and
// none is there twice, although nobody knows in which order they come, and the manager is started anew meanwhile.

import { Datatype, File, localRanks, Mode } from 'rankio'
import { startCluster } from 'rankio/servers'

const records = 50 // of each rank
const length = 8 // numbers of a record: its rank, its number, and what it measured

await using cluster = await startCluster({ iods: 2 })
const ranks = localRanks(4, { managerUrl: cluster.url })

const seen = await Promise.all(
  ranks.map(async (world) => {
    await using log = await File.open(world, '/log', Mode.CREATE | Mode.RDWR)
    const record = Datatype.contiguous(length, Datatype.INT32)
    await log.setView({ etype: record, filetype: record })
    for (let number = 0; number < records; number++) {
      const values = new Int32Array(length).fill(world.rank * 1000 + number)
      values.set([world.rank, number])
      await log.writeShared(values)
      if (world.rank === 0 && number === records / 2) await cluster.restart('manager')
    }
    // Also a barrier: after it everybody's records are there.
    await log.sync()
    if (world.rank > 0) return undefined

    const found = new Set<string>()
    for await (const block of log.blocks({ datatype: Datatype.INT32, count: length })) {
      const [rank = -1, number = -1, measured] = block
      if (measured !== Number(rank) * 1000 + Number(number)) throw new Error('a torn record')
      if (found.has(`${rank}.${number}`)) throw new Error(`record ${number} of rank ${rank} twice`)
      found.add(`${rank}.${number}`)
    }
    return found.size
  }),
)

if (seen[0] !== ranks.length * records) throw new Error(`${seen[0]} records in the log`)
console.log(`${seen[0]} records of ${ranks.length} ranks, each of them once`)
await Promise.all(ranks.map((world) => world.free()))
