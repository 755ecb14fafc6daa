// What accesses are on the wire: a regular pattern stays one entry, however many pieces it has, and a place of the shared
// pointer is one request.
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { Datatype } from '../../lib/datatype/datatype.js'
import { File } from '../../lib/file/file.js'
import { Mode } from '../../lib/file/mode.js'
import { decodeRequest, type RequestHeader } from '../../lib/protocol/frame.js'
import { DATA } from '../../lib/protocol/iod.js'
import { MANAGER } from '../../lib/protocol/manager.js'
import { type MemoryCluster, startMemoryCluster } from '../sim/memory-cluster.js'
import { onRanks } from '../support/ranks.js'

const test = suite('accesses on the wire')

const { INT8 } = Datatype

/** Numbers every 64 bytes: of a million of them each iod has 350 KB or less. */
const [COUNT, GAP] = [1_000_000, 64]

const IODS = 3

const VIEWS: readonly (readonly [string, Datatype])[] = [
  ['a vector of a million blocks', Datatype.vector(COUNT, 1, GAP, INT8)],
  ['a million tiles', Datatype.resized(INT8, 0, GAP)],
  [
    'a column of an array',
    Datatype.subarray({
      sizes: [COUNT, GAP],
      subsizes: [COUNT, 1],
      starts: [0, 5],
      order: 'C',
      type: INT8,
    }),
  ],
]

for (const [what, filetype] of VIEWS) {
  test(`${what} is one request of one entry to each iod`, async () => {
    await using cluster = await startMemoryCluster(IODS)
    await onRanks(1, cluster, async (comm) => {
      await using file = await File.open(comm, '/f', Mode.CREATE | Mode.RDWR)
      await file.setView({ etype: INT8, filetype })
      const values = new Int8Array(COUNT).map((_, i) => i % 127)
      const entries = entriesOf(cluster)
      await file.write(values)
      assert.equal(entries.splice(0), [1, 1, 1])
      await file.seek(0)
      const back = new Int8Array(COUNT)
      await file.read(back)
      assert.equal(entries, [1, 1, 1])
      assert.is(Buffer.compare(bytesOf(back), bytesOf(values)), 0)
    })
  })
}

test('an ordered access of eight ranks takes all of its places by one request to the manager', async () => {
  await using cluster = await startMemoryCluster(IODS)
  const requests = requestsOf(cluster, MANAGER.sharedPointer.op)
  await onRanks(8, cluster, async (comm) => {
    await using file = await File.open(comm, '/f', Mode.CREATE | Mode.RDWR)
    const mine = new Uint8Array(1000 * comm.rank).fill(comm.rank)
    await file.writeOrdered(mine)
    const counts = await comm.allgather(requests.length)
    assert.ok(counts.every((count) => count === 1))
    assert.is(await file.getSize(), 28_000)
  })
})

test('shared accesses that a rank holds take their places by two requests, however many they are', async () => {
  await using cluster = await startMemoryCluster(IODS)
  const requests = requestsOf(cluster, MANAGER.sharedPointer.op)
  await onRanks(1, cluster, async (comm) => {
    await using file = await File.open(comm, '/f', Mode.CREATE | Mode.RDWR)
    // The first is asked for at its call, the others together while it is under way.
    await Promise.all(Array.from({ length: 50 }, (_, i) => file.writeShared(Uint8Array.of(i))))
    assert.is(requests.length, 2)
    const all = new Uint8Array(51)
    assert.is((await file.readAt(0, all)).bytes, 50)
    assert.ok(all.subarray(0, 50).every((byte, i) => byte === i))
  })
})

test.run()

/** Collects the requests of one kind. */
function requestsOf({ fabric }: MemoryCluster, op: number): RequestHeader[] {
  const requests: RequestHeader[] = []
  fabric.faults = {
    fate: ({ request }, header) => {
      if (request && header[0] === op) requests.push(decodeRequest(header))
      return { kind: 'deliver', delayMs: 0 }
    },
  }
  return requests
}

/** Collects how many entries the list of each data request has. */
function entriesOf({ fabric }: MemoryCluster): number[] {
  const entries: number[] = []
  fabric.faults = {
    fate: ({ request }, header) => {
      if (request && (header[0] === DATA.read || header[0] === DATA.write))
        entries.push(decodeRequest(header).pieceCount)
      return { kind: 'deliver', delayMs: 0 }
    },
  }
  return entries
}

function bytesOf({ buffer }: Int8Array): Uint8Array {
  return new Uint8Array(buffer)
}
