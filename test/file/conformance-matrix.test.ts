// MPICH's harness of parallel files on servers in this process: every way of access on 1, 2, 3, 4 and 8 ranks and
// strips of three sizes. The same ways on processes, by ranks in reverse order and without the first as well, are in
// test/system/collective.test.ts and test/system/shared.test.ts.
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import type { Communicator } from '../../lib/comm/communicator.js'
import { Datatype } from '../../lib/datatype/datatype.js'
import { File } from '../../lib/file/file.js'
import { onCluster } from '../support/ranks.js'
import { CREATE, type Way } from '../system/harness.js'
import { OWN_WAYS, SHARED_WAYS } from '../system/ways.js'

const test = suite("MPICH's harness, on many ranks and strips")

const { INT32 } = Datatype

const RANKS = [1, 2, 3, 4, 8]

const STRIP_SIZES = [4096, 65_536, 2 ** 20]

/** Blocks of each rank. */
const BLOCKS = 4

for (const size of RANKS) {
  for (const stripSize of STRIP_SIZES) {
    test(`every way of access, on ${size} ranks and strips of ${stripSize} bytes`, async () => {
      await onCluster(size, async (comm) => {
        // Blocks end in the middle of strips, and all of them together are a little more than one.
        const n = Math.ceil((1.2 * stripSize) / (4 * BLOCKS * size)) + 1
        await using file = await File.open(comm, '/f', CREATE, { striping_unit: stripSize })
        for (const [name, way] of Object.entries({ ...OWN_WAYS, ...SHARED_WAYS }))
          await checkWay(file, comm, way, n).catch((cause: unknown) => {
            throw new Error(name, { cause })
          })
      })
    })
  }
}

async function checkWay(file: File, comm: Communicator, way: Way, n: number): Promise<void> {
  const { rank, size } = comm
  const valuesOf = (k: number): Int32Array =>
    new Int32Array(n).map((_, i) => rank * n + k * n * size + i)
  const values = Array.from({ length: BLOCKS }, (_, k) => valuesOf(k))
  const move = async (kind: 'read' | 'write', blocks: readonly Int32Array[]): Promise<void> => {
    // All ranks have come here, and both pointers are at the start.
    await file.setView()
    const statuses = await way({ file, comm, n, b: BLOCKS, kind, blocks })
    assert.equal(
      statuses.map((status) => status.count(INT32)),
      values.map(() => n),
    )
    await file.setAtomicity(false)
  }
  await file.setSize(0)
  await move('write', values)
  await file.setView()
  const whole = new Int32Array(n * BLOCKS * size + 1)
  const { bytes } = await file.readAtAll(0, whole)
  assert.is(bytes, 4 * n * BLOCKS * size)
  assert.ok(whole.subarray(0, -1).every((value, i) => value === i))
  const blocks = values.map((block) => block.map((value) => -(value + 1)))
  await move('read', blocks)
  for (const [k, block] of blocks.entries())
    assert.is(Buffer.compare(bytesOf(block), bytesOf(values[k] ?? whole)), 0)
}

function bytesOf({ buffer, byteOffset, byteLength }: Int32Array): Uint8Array {
  return new Uint8Array(buffer, byteOffset, byteLength)
}

test.run()
