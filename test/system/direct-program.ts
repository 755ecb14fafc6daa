// A process that reads and writes the file /f past the iods where it may: a line in is what to do, a line out what has
// come of it.
import { createInterface } from 'node:readline'
import { FileSystem } from '../../lib/index.js'
import { checkedTiming, TIMING } from '../../lib/base/timing.js'

const BYTES = 100_000

const [, , url = '', times = '{}'] = process.argv
const timing = checkedTiming({ ...TIMING, ...(JSON.parse(times) as object) })
const files = await FileSystem.connect(url, { timing })
const file = await files.open('/f', 'r+', { direct: 'rw' })
process.stdout.write('ready\n')
for await (const line of createInterface(process.stdin)) {
  const [what, value] = line.split(' ')
  if (what === 'write') await file.write(new Uint8Array(BYTES).fill(Number(value)), 0, BYTES, 0)
  else if (what !== 'read') break
  const { bytesRead, buffer } = await file.read(new Uint8Array(BYTES), 0, BYTES, 0)
  const bytes = [...new Set(buffer.subarray(0, bytesRead))]
  process.stdout.write(`${JSON.stringify({ bytesRead, bytes, counts: files.directCounts })}\n`)
}
await file.close()
await files.close()
