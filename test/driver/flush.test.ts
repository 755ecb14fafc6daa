// What a flush takes on itself, with a link that answers when it is told to: real iods answer in an
// order that cannot be held still.
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { deferred } from '../../lib/base/deferred.js'
import { contiguous } from '../../lib/base/regions.js'
import { TIMING } from '../../lib/base/timing.js'
import type { Client } from '../../lib/driver/client.js'
import { StripedFile } from '../../lib/driver/striped.js'
import { DATA } from '../../lib/protocol/iod.js'
import type { Call } from '../../lib/transport/rpc.js'
import { until } from '../support/assertions.js'

const test = suite('flush of a striped file')

test('a write that is acknowledged during a flush is flushed by the next one, which waits for the first', async () => {
  const gate = deferred<void>()
  const { file, sent } = fileOver(async (op) => {
    if (op === DATA.flush) await gate.promise
  })
  await write(file)
  const first = file.flush()
  await until(() => sent.includes(DATA.flush))
  await write(file)
  const second = file.flush()
  gate.resolve()
  await Promise.all([first, second])
  assert.equal(sent, [DATA.write, DATA.flush, DATA.write, DATA.flush])
  await file.flush()
  assert.is(sent.length, 4)
})

test('what a failed flush left is tried again by the next one', async () => {
  let fails = true
  const { file, sent } = fileOver(async (op) => {
    if (op === DATA.flush && fails) throw new Error('not now')
  })
  await write(file)
  const failure = await file.flush().catch((error: unknown) => error)
  assert.instance(failure, Error)
  fails = false
  await file.flush()
  assert.equal(sent, [DATA.write, DATA.flush, DATA.flush])
})

test('a part counts as being on disk from its first flush that succeeds, not before', async () => {
  let fails = true
  const { file } = fileOver(async (op) => {
    if (op === DATA.flush && fails) throw new Error('not now')
  })
  await write(file)
  await file.flush().catch(() => {})
  assert.equal(file.traces(), { sizeSeen: 1, wrote: true, parts: Uint8Array.of(0) })
  fails = false
  await file.flush()
  assert.equal(file.traces().parts, Uint8Array.of(1))
})

interface Watched {
  readonly file: StripedFile
  /** Operations sent to the iod, in order. */
  readonly sent: number[]
}

function fileOver(answer: (op: number) => Promise<void>): Watched {
  const sent: number[] = []
  const call = async (make: () => Call): Promise<unknown> => {
    const { op } = make()
    sent.push(op)
    await answer(op)
    return { header: { verifier: new Uint8Array(8), localSize: 1 }, body: new Uint8Array(0) }
  }
  const manager = { control: async (): Promise<object> => ({}) }
  // Only what the driver uses of a client.
  const client = {
    iod: () => ({ local: true, call }),
    manager,
    timing: TIMING,
  } as unknown as Client
  const layout = { stripSize: 4096, iodCount: 1, firstIod: 0, iodTotal: 1 }
  const file = new StripedFile(client, { handle: 1, capability: 'a'.repeat(32), layout, size: 0 })
  return { file, sent }
}

async function write(file: StripedFile): Promise<void> {
  const one = () => contiguous(0, 1)
  await file.write({ file: one, memory: one, buffer: new Uint8Array(1), bytes: 1 })
}

test.run()
