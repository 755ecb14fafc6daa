// A rank that computes: it opens a file, writes, and then its event loop stands still until a line comes in.
import { readSync } from 'node:fs'
import { initialize } from '../../lib/comm/initialize.js'
import { checkedTiming, TIMING } from '../../lib/base/timing.js'
import { File, IoError, Mode } from '../../lib/index.js'
import { nodeRuntime } from '../../lib/transport/runtime.js'

const [, , url = '', path = '', threads = '', times = '{}'] = process.argv
const { keepSession, ...without } = nodeRuntime()
const runtime =
  threads === 'with' && keepSession !== undefined ? { ...without, keepSession } : without
const timing = checkedTiming({ ...TIMING, ...(JSON.parse(times) as object) })
const world = await initialize({ manager: url, runtime, timing, env: {} })
const file = await File.open(world, `${url}${path}`, Mode.CREATE | Mode.RDWR)
await file.writeAt(0, Uint8Array.of(1, 2, 3))
process.stdout.write('computing\n')
readSync(0, new Uint8Array(1))
try {
  await file.writeAt(3, Uint8Array.of(4, 5))
  await file.close()
  process.stdout.write('done\n')
} catch (error) {
  if (!(error instanceof IoError)) throw error
  process.stdout.write(`${String(error.context.reason)}\n`)
}
await world.free().catch(() => {})
