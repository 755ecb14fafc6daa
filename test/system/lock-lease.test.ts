// A rank that is away for longer than the lease of its range lock, in a process of its own.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { TIMING } from '../../lib/base/timing.js'
import { Client } from '../../lib/driver/client.js'
import { type OpenFile, StripedFile } from '../../lib/driver/striped.js'
import { nodeRuntime } from '../../lib/transport/runtime.js'
import { startCluster } from '../../servers/cluster.js'
import { plainAccess } from '../contract/driver.js'
import { deadline, until } from '../support/assertions.js'

const PROGRAM = join(import.meta.dirname, 'locking-program.js')
const TIMES = { lockLeaseMs: 7000 }

const test = suite('lease of a range lock')

test('a lock whose holder does not come back goes to the next one, and the late write of the holder is refused', async () => {
  await using cluster = await startCluster({ iods: 2, timing: TIMES })
  const args = [PROGRAM, cluster.url, JSON.stringify(TIMES)]
  const holder = spawn(process.execPath, args, { stdio: ['pipe', 'pipe', 'inherit'] })
  const ended = once(holder, 'close')
  let output = ''
  holder.stdout.on('data', (chunk) => {
    output += String(chunk)
  })
  try {
    await until(() => output.includes('\n'), 60_000)
    const { sessionId, opened } = JSON.parse(output) as { sessionId: string; opened: OpenFile }
    // Another rank of the same open: it waits for as long as the lease of the first one runs.
    const timing = { ...TIMING, ...TIMES }
    const client = new Client({ runtime: nodeRuntime(), timing, url: cluster.url, sessionId })
    const { iods } = opened as OpenFile & { iods: Parameters<Client['learn']>[0] }
    client.learn(iods)
    const file = new StripedFile(client, opened)
    const lock = await deadline(
      'the lock of the other',
      60_000,
      file.lock({ from: 50_000, to: 50_001, exclusive: false }),
    )
    await file.write({ ...plainAccess(0, new Uint8Array(100_000).fill(2)), fence: lock.fence })
    await lock.release('clean')
    holder.stdin.end('\n')
    assert.is((await deadline('the holder ends', 60_000, ended))[0], 0)
    assert.match(output, /\nLOCK_LOST\n$/)
    const there = new Uint8Array(100_000)
    await file.read(plainAccess(0, there))
    assert.ok(there.every((byte) => byte === 2))
    await client.close({ leave: true })
  } finally {
    holder.kill('SIGKILL')
    await ended
  }
})

test.run()
