// Can a job that was written by four ranks go on with six? The file is one array in global order, so a
// checkpoint knows nothing of how many ranks there were.

import { createHash } from 'node:crypto'
import { Datatype, File, localRanks, Mode } from 'rankio'
import { startCluster } from 'rankio/servers'

const elements = 1_000_003 // a prime: no number of ranks divides it

/** What part of the array a rank has: as even as it goes. */
const partOf = (rank: number, size: number): { readonly start: number; readonly count: number } => {
  const start = Math.floor((elements * rank) / size)
  return { start, count: Math.floor((elements * (rank + 1)) / size) - start }
}

await using cluster = await startCluster({ iods: 3 })
const digests: string[] = []

for (const [ranks, step] of [
  [4, 'written'],
  [6, 'read'],
] as const) {
  const worlds = localRanks(ranks, { managerUrl: cluster.url })
  const parts = await Promise.all(
    worlds.map(async (world) => {
      const { start, count } = partOf(world.rank, world.size)
      const state = new Float64Array(count)
      const mode = step === 'written' ? Mode.CREATE | Mode.WRONLY : Mode.RDONLY
      await using file = await File.open(world, '/checkpoint', mode)
      await file.setView({ etype: Datatype.FLOAT64 })
      if (step === 'written') {
        for (let i = 0; i < count; i++) state[i] = Math.sin(start + i)
        await file.writeAtAll(start, state)
        await file.sync() // durable before the job may forget its state
      } else {
        await file.readAtAll(start, state)
      }
      return state
    }),
  )
  const hash = createHash('sha256')
  for (const part of parts) hash.update(part)
  digests.push(hash.digest('hex'))
  console.log(`${step} by ${ranks} ranks: ${digests.at(-1)?.slice(0, 16)}…`)
  await Promise.all(worlds.map((world) => world.free()))
}
if (digests[0] !== digests[1])
  throw new Error('the state that was read is not the one that was written')
