// How do ranks share one file? Each writes its part with one collective call, then each reads all of it.
// Alone this runs as one rank; `rankio run -n 4 node dist/examples/hello-ranks.js` runs it as four processes.

import { File, initialize, Mode } from 'rankio'
import { startCluster } from 'rankio/servers'

// `rankio run` brings a cluster along; alone we start one.
await using cluster =
  process.env['RANKIO_MANAGER'] === undefined ? await startCluster({ iods: 2 }) : undefined
await using world = await initialize(cluster === undefined ? {} : { manager: cluster.url })

await using file = await File.open(world, '/hello', Mode.CREATE | Mode.RDWR)
const line = new TextEncoder().encode(
  `hello from rank ${String(world.rank).padStart(3)} of ${String(world.size).padStart(3)}\n`,
)
await file.writeAtAll(world.rank * line.length, line)

// A read that starts after a write was acknowledged sees it: no sync is needed, only the barrier.
await world.barrier()
const all = new Uint8Array(world.size * line.length)
const status = await file.readAtAll(0, all)
const text = new TextDecoder().decode(all)
if (world.rank === 0) process.stdout.write(text)

const lines = text.trimEnd().split('\n')
const right =
  status.bytes === all.length &&
  lines.every((each, rank) => each.includes(`rank ${String(rank).padStart(3)} `))
if (!right) throw new Error(`rank ${world.rank} read something else: ${JSON.stringify(text)}`)
