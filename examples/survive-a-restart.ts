// What does a program see when an iod is killed in the middle of its writes and comes back? Nothing but time.

import { Datatype, File, FileSystem, localRanks, Mode } from 'rankio'
import { startCluster } from 'rankio/servers'

const rounds = 40
const chunk = 256 * 1024

await using cluster = await startCluster({ iods: 3 })
const ranks = localRanks(4, { managerUrl: cluster.url })
let restart: Promise<void> | undefined

await Promise.all(
  ranks.map(async (world) => {
    const tile = Datatype.resized(Datatype.contiguous(chunk, Datatype.BYTE), 0, chunk * world.size)
    await using file = await File.open(world, '/data', Mode.CREATE | Mode.RDWR)
    await file.setView({ displacement: world.rank * chunk, filetype: tile })
    for (let round = 0; round < rounds; round++) {
      if (world.rank === 0 && round === rounds / 2) {
        await cluster.kill(1) // SIGKILL: no goodbye, and its table of open files is gone
        restart = cluster.restart(1)
      }
      await file.writeAll(new Uint8Array(chunk).fill(round + world.rank))
    }
  }),
)
await restart

await using system = await FileSystem.connect(cluster.url)
const bytes = await system.readFile('/data')
for (let i = 0; i < rounds * ranks.length; i++) {
  const wanted = Math.floor(i / ranks.length) + (i % ranks.length)
  const wrong = bytes.subarray(i * chunk, (i + 1) * chunk).findIndex((byte) => byte !== wanted)
  if (wrong >= 0) throw new Error(`byte ${i * chunk + wrong} is wrong`)
}
const { reopens } = await system.status()
if (reopens !== 0) throw new Error(`${reopens} files had to be opened again`)
console.log(
  `${bytes.length} bytes are right after an iod was killed between two rounds; no file was opened again`,
)
await Promise.all(ranks.map((world) => world.free()))
