// A rank of three that are in a collective on a file when one of them is killed: says what it was told. How much each
// writes is given: in one exchange, or by aggregators.
import { initialize } from '../../lib/comm/initialize.js'
import { File, IoError } from '../../lib/index.js'
import { CREATE } from './harness.js'

const [, , bytes = '', victim = ''] = process.argv
const world = await initialize()
const file = await File.open(world, '/dying', CREATE, { romio_cb_write: 'enable' })
const block = new Uint8Array(Number(bytes)).fill(world.rank + 1)
await file.writeAtAll(world.rank * block.length, block)
// All have come through the first before one dies.
if (world.rank === Number(victim)) for (let n = 1; n < world.size; n++) await world.recv()
else await world.send('through', Number(victim))
const writing = file.writeAtAll(world.rank * block.length, block)
if (world.rank === Number(victim)) process.kill(process.pid, 'SIGKILL')
const settled = await Promise.allSettled([
  writing,
  file.sync(),
  file.readAtAll(0, new Uint8Array(1)),
])
for (const each of settled)
  process.stdout.write(`${each.status === 'fulfilled' ? 'done' : told(each.reason)}\n`)
await file.close()
await world.free().catch(() => {})

function told(error: unknown): string {
  if (error instanceof IoError) return `${error.code} of rank ${error.context.rank}`
  throw error
}
