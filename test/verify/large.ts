// `npm run verify:large`: single calls as large as calls get, each correct and in bounded memory. It needs as much room on
// the disk of the temporary directory as the largest of them, and memory for the buffer.
//
//   -- [--bytes 17179869184] [--pieces 10000000] [--buffer 3221225472]

import { localRanks } from '../../lib/comm/local-ranks.js'
import { onWorlds } from '../support/ranks.js'
import { startCluster } from '../../servers/cluster.js'
import { Options } from '../support/options.js'
import {
  expectBounded,
  inMiB,
  moveBuffer,
  movePieces,
  type Needed,
  type Stand,
  writeRepeated,
} from './large/calls.js'

const IODS = 2

/** One that takes longer hangs. */
const CALL_MS = 30 * 60_000

const options = new Options('verify:large', { bytes: 'value', pieces: 'value', buffer: 'value' })
const bytes = options.count('bytes', 16 * 2 ** 30)
const pieces = options.count('pieces', 10_000_000)
const buffer = options.count('buffer', 3 * 2 ** 30)

await using cluster = await startCluster({ iods: IODS })
const iodPids = Array.from({ length: IODS }, (_, iod) => cluster.pidOf(iod))
const calls: readonly (readonly [string, (stand: Stand) => Promise<Needed>])[] = [
  [`${bytes} bytes of a memory type of stride 0`, (stand) => writeRepeated(stand, bytes)],
  [`${pieces} pieces`, (stand) => movePieces(stand, pieces)],
  [`a buffer of ${buffer} bytes`, (stand) => moveBuffer(stand, buffer)],
]
let failed = 0
for (const [name, call] of calls)
  for (const isCollective of [false, true]) {
    const what = `${name}, ${isCollective ? 'collective' : 'of one rank'}`
    const started = performance.now()
    try {
      const [needed] = await onWorlds(
        localRanks(1, { managerUrl: cluster.url }),
        (comm) => call({ comm, isCollective, iodPids }),
        CALL_MS,
      )
      const seconds = ((performance.now() - started) / 1000).toFixed(1)
      console.log(`${what}: ${seconds} s, rank + ${inMiB(needed?.rank)}, iod ${inMiB(needed?.iod)}`)
      if (needed !== undefined) expectBounded(needed)
    } catch (error) {
      failed++
      console.log(`FAIL: ${what}: ${error instanceof Error ? error.stack : String(error)}`)
    }
  }
console.log(`${calls.length * 2 - failed} passed, ${failed} failed`)
if (failed > 0) process.exitCode = 1
