import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { contiguous, RunList, sourceOf } from '../../lib/base/regions.js'
import type { Client } from '../../lib/driver/client.js'
import type { Access } from '../../lib/driver/driver.js'
import { GatherPool } from '../../lib/driver/gather-pool.js'
import { StripedFile } from '../../lib/driver/striped.js'
import type { Call } from '../../lib/transport/rpc.js'
import { driverContract, pattern, plainAccess } from '../contract/driver.js'
import { rejects } from '../support/assertions.js'
import { SharedPlace, StripedPlace } from './striped-place.js'

const test = suite('StripedFile')

const MIB = 2 ** 20

const shared = new SharedPlace('off')

driverContract(test, {
  layouts: [4096, 65_536].flatMap((stripSize) =>
    [1, 3, 4].map((iodCount) => ({ stripSize, iodCount })),
  ),
  sparse: true,
  place: () => shared.place(),
})

test('nothing of this has gone past the iods', async () => {
  const { reads, writes, grants } = await shared.close()
  assert.equal([reads, writes, grants], [0, 0, 0])
})

test('a large access of one small buffer is held in pieces, not as a whole', async () => {
  // Servers in processes of their own: what is measured is the client's.
  await using place = await StripedPlace.start({ inProcess: false })
  const file = await place.file({ stripSize: 65_536, iodCount: 4 })
  const driver = await file.open()
  const size = 256 * MIB
  const small = pattern(65_536)
  const memory = new RunList()
  memory.addRun(0, small.length, 0, size / small.length)
  const access: Access = {
    file: () => contiguous(0, size),
    memory: () => sourceOf(memory),
    buffer: small,
    bytes: size,
  }
  const before = process.memoryUsage().arrayBuffers
  let peak = before
  let done = false
  const write = driver.write(access).finally(() => {
    done = true
  })
  while (!done) {
    peak = Math.max(peak, process.memoryUsage().arrayBuffers)
    await new Promise(setImmediate)
  }
  await write
  assert.is(await driver.size(), size)
  assert.equal(file.stored(size - 65_536, 65_536), small)
  const heldMib = (peak - before) / MIB
  assert.ok(heldMib < 16, `${heldMib.toFixed(1)} MiB were held at once`)
})

test('what an attempt has gathered that failed is not used again, although the next one gathers nothing before it sends', async () => {
  const gathering = new GatherPool()
  const bytes = 256 * 1024
  const link = { local: false, call: attempts }
  const client = { timing: { operationMs: 1000 }, iod: () => link, gathering }
  const layout = { stripSize: MIB, iodCount: 1, firstIod: 0, iodTotal: 1 }
  const open = { handle: 5, capability: '0'.repeat(32), layout, size: 0 }
  const driver = new StripedFile(client as unknown as Client, open)
  let given: Uint8Array | undefined
  let isMoved = true
  // The first attempt goes to another host, over a connection that may still read what it was given, and the next one to this.
  async function attempts(call: () => Call): Promise<unknown> {
    link.local = false
    given = call().gather?.()
    link.local = isMoved
    if (isMoved) assert.type(call().source, 'function')
    return { header: { verifier: new Uint8Array(8), localSize: bytes, length: bytes } }
  }
  const memory = new RunList()
  memory.addRun(0, 4096, 8192, bytes / 4096)
  const access: Access = {
    file: () => contiguous(0, bytes),
    memory: () => sourceOf(memory),
    buffer: new Uint8Array(2 * bytes),
    bytes,
  }
  await driver.write(access)
  assert.is(given?.length, bytes)
  assert.is(gathering.keptBytes, 0)
  isMoved = false
  await driver.write(access)
  assert.is(gathering.keptBytes, bytes)
  assert.is(gathering.take(bytes).buffer, given?.buffer)
})

test('an offset that no datafile can reach is MPI_ERR_NO_SPACE, and the file goes on', async () => {
  await using place = await StripedPlace.start()
  const file = await place.file({ stripSize: 4096, iodCount: 3 })
  const driver = await file.open()
  await driver.write(plainAccess(0, pattern(10)))
  const last = Number.MAX_SAFE_INTEGER - 10
  // What a disk takes differs: ext4 ends at 16 TiB, xfs does not end before our offsets do.
  const outcome = await driver.write(plainAccess(last, pattern(10))).then(
    () => 'written',
    (error: unknown) => error,
  )
  if (outcome === 'written') assert.equal(file.stored(last, 10), pattern(10))
  else await rejects(Promise.reject(outcome), 'MPI_ERR_NO_SPACE')
  const buffer = new Uint8Array(10)
  assert.is(await driver.read(plainAccess(0, buffer)), 10)
  assert.equal(buffer, pattern(10))
})

test('a part without a byte has no datafile', async () => {
  await using place = await StripedPlace.start()
  const file = await place.file({ stripSize: 4096, iodCount: 3 })
  const driver = await file.open()
  assert.is(await driver.size(), 0)
  assert.equal(file.datafileSizes(), [undefined, undefined, undefined])
  await driver.write(plainAccess(4096, pattern(10)))
  assert.equal(file.datafileSizes(), [undefined, 10, undefined])
})

test.run()
