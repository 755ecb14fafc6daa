// A rank that holds a range lock, and whose event loop then stands still until a line comes in; then it writes.
import { readSync } from 'node:fs'
import { IoError } from '../../lib/base/errors.js'
import { contiguous } from '../../lib/base/regions.js'
import { checkedTiming, TIMING } from '../../lib/base/timing.js'
import { Client } from '../../lib/driver/client.js'
import { openFile } from '../../lib/driver/namespace.js'
import { StripedFile } from '../../lib/driver/striped.js'
import { nodeRuntime } from '../../lib/transport/runtime.js'

const [, , url = '', times = '{}'] = process.argv
const timing = checkedTiming({ ...TIMING, ...(JSON.parse(times) as object) })
const client = new Client({ runtime: nodeRuntime(), timing, url })
const opened = await openFile(client, '/f', {
  read: true,
  write: true,
  create: true,
  exclusive: false,
  truncate: false,
  mode: 0o644,
  stripSize: 4096,
  advisory: false,
})
const file = new StripedFile(client, opened)
const bytes = 100_000
const lock = await file.lock({ from: 0, to: bytes, exclusive: true })
process.stdout.write(`${JSON.stringify({ sessionId: client.sessionId, opened })}\n`)
readSync(0, new Uint8Array(1))
const [here, there] = [() => contiguous(0, bytes), () => contiguous(0, bytes)]
const access = { file: there, memory: here, buffer: new Uint8Array(bytes).fill(1), bytes }
try {
  await file.write({ ...access, fence: lock.fence })
  process.stdout.write('written\n')
} catch (error) {
  if (!(error instanceof IoError)) throw error
  process.stdout.write(`${String(error.context.reason)}\n`)
}
await lock.release('clean')
await client.close({ leave: false })
