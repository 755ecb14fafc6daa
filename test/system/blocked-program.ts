// A program without ranks whose event loop stands still as soon as its file is open, long before a heartbeat.
import { readSync } from 'node:fs'
import { checkedTiming, TIMING } from '../../lib/base/timing.js'
import { FileSystem, IoError } from '../../lib/index.js'

const [, , url = '', path = '', times = '{}'] = process.argv
const timing = checkedTiming({ ...TIMING, ...(JSON.parse(times) as object) })
const files = await FileSystem.connect(url, { timing })
const file = await files.open(path, 'w+')
await file.write(Uint8Array.of(1, 2, 3), 0, 3, 0)
await file.sync()
process.stdout.write('computing\n')
readSync(0, new Uint8Array(1))
try {
  await file.write(Uint8Array.of(4, 5), 0, 2, 3)
  await file.close()
  process.stdout.write('done\n')
} catch (error) {
  if (!(error instanceof IoError)) throw error
  process.stdout.write(`${String(error.context.reason)}\n`)
}
await files.close().catch(() => {})
