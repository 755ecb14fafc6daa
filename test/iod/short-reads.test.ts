import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { IoError } from '../../lib/base/errors.js'
import type { BodySource } from '../../lib/base/runtime.js'
import { FileSystem } from '../../lib/file/file-system.js'
import { DATA } from '../../lib/protocol/iod.js'
import { startCluster } from '../../servers/cluster.js'
import { Peer } from '../../servers/common/server.js'
import { CHUNKS_KEPT } from '../../servers/iod/chunk-pool.js'
import { Datafiles } from '../../servers/iod/datafiles.js'
import { SHORT_BYTES_MAX, ShortReads } from '../../servers/iod/short-reads.js'
import { VirtualClock } from '../sim/clock.js'
import { SimDisk } from '../sim/disk.js'
import { rejects, throws } from '../support/assertions.js'
import { property } from '../support/random.js'

const test = suite('short reads')

const HANDLE = 5

property(
  test,
  'a reply is what the datafile has, and zeros behind its end',
  100,
  async (random) => {
    const { datafiles } = await formatted()
    const old = random.bytes(random.int(1, 300))
    datafiles.write(HANDLE, old, 0)
    const short = new ShortReads(datafiles)
    for (let times = 0; times < 20; times++) {
      const start = random.int(0, 400)
      const length = random.int(1, 200)
      const expected = new Uint8Array(length)
      expected.set(old.subarray(start, start + length))
      const body = short.read(HANDLE, start, length)
      assert.is(body.length, length)
      assert.equal(drained(body), expected)
      assert.is(short.kept, 1)
    }
  },
)

test('memory that is given back twice is a bug that is not hidden: two replies would have it', async () => {
  const { datafiles } = await formatted()
  const short = new ShortReads(datafiles)
  const body = short.read(HANDLE, 0, 2)
  const bytes = body.next() ?? new Uint8Array(0)
  body.release(bytes)
  assert.throws(() => body.release(bytes), /given back twice/)
  assert.is(short.kept, 1)
})

test('replies that are on their way at the same time do not share memory, and as many as before are kept', async () => {
  const { datafiles } = await formatted()
  datafiles.write(
    HANDLE,
    Uint8Array.from({ length: 100 }, (_, at) => at),
    0,
  )
  const short = new ShortReads(datafiles)
  const bodies = Array.from({ length: CHUNKS_KEPT + 1 }, (_, at) => short.read(HANDLE, at, 2))
  assert.is(short.kept, 0)
  const parts = bodies.map((body) => body.next() ?? new Uint8Array(0))
  assert.equal(
    parts.map((part) => [...part]),
    bodies.map((_, at) => [at, at + 1]),
  )
  for (const [index, body] of bodies.entries()) {
    assert.is(body.next(), undefined)
    body.release(parts[index] ?? new Uint8Array(0))
    assert.is(short.kept, Math.min(index + 1, CHUNKS_KEPT))
  }
})

test('as many may be out as are kept, and no more until one is back', async () => {
  const { datafiles } = await formatted()
  datafiles.write(HANDLE, new Uint8Array(10), 0)
  const short = new ShortReads(datafiles)
  const bodies: BodySource[] = []
  for (; short.isFree; ) bodies.push(short.read(HANDLE, 0, 4))
  assert.is(bodies.length, CHUNKS_KEPT)
  const [first, second] = bodies
  first?.cancel()
  assert.ok(short.isFree)
  bodies.push(short.read(HANDLE, 0, 4))
  assert.not.ok(short.isFree)
  second?.release(second.next() ?? new Uint8Array(0))
  assert.ok(short.isFree)
})

test('a read that fails does not count as one that is out', async () => {
  const { datafiles, disk } = await formatted()
  datafiles.write(HANDLE, new Uint8Array(10), 0)
  const short = new ShortReads(datafiles)
  disk.faults = {
    fault: (operation) => (operation === 'read' ? { kind: 'error', errno: 'EIO' } : undefined),
  }
  for (let times = 0; times <= CHUNKS_KEPT; times++) {
    assert.ok(short.isFree)
    throws(() => short.read(HANDLE, 0, 4), 'MPI_ERR_IO')
  }
})

test('many short reads at once are all answered so, each with its own bytes', async () => {
  await using cluster = await startCluster({ iods: 1, inProcess: true })
  await using files = await FileSystem.connect(cluster.url)
  await using file = await files.open('/f', 'w+', { direct: 'off' })
  const count = 4 * CHUNKS_KEPT
  const bytes = Uint8Array.from({ length: count * 4096 }, (_, at) => (at * 7 + (at >> 12)) % 251)
  await file.write(bytes, 0, bytes.length, 0)
  using taken = countReads()
  const buffers = Array.from({ length: count }, () => new Uint8Array(4096))
  await Promise.all(buffers.map(async (buffer, at) => await file.read(buffer, 0, 4096, at * 4096)))
  assert.equal(Uint8Array.from(buffers.flatMap((buffer) => [...buffer])), bytes)
  assert.is(taken.count, count)
})

test('of short reads behind a large one that is half sent as many wait in memory that is used again as may be out, and all come whole', async () => {
  await using cluster = await startCluster({ iods: 1, inProcess: true })
  await using files = await FileSystem.connect(cluster.url)
  await using file = await files.open('/f', 'w+', { direct: 'off' })
  const large = 8 * 2 ** 20
  const bytes = Uint8Array.from({ length: large }, (_, at) => (at * 7 + (at >> 12)) % 251)
  await file.write(bytes, 0, bytes.length, 0)
  const into = new Uint8Array(large)
  const buffers = Array.from({ length: 3 * CHUNKS_KEPT }, () => new Uint8Array(512))
  using taken = countReads()
  await Promise.all([
    file.read(into, 0, large, 0),
    ...buffers.map(async (buffer, at) => await file.read(buffer, 0, 512, at * 4096)),
  ])
  // Those that wait for its end are as many as may be out; the others have memory that is counted.
  assert.is(taken.count, CHUNKS_KEPT)
  for (const [at, buffer] of buffers.entries())
    assert.equal(buffer, bytes.subarray(at * 4096, at * 4096 + 512), `read ${at}`)
  assert.is(Buffer.compare(into, bytes), 0)
})

test('memory is given back once, whether a reply was sent, was not, or could not be read', async () => {
  const { datafiles, disk } = await formatted()
  datafiles.write(HANDLE, new Uint8Array(10), 0)
  const short = new ShortReads(datafiles)
  const [first, second] = [short.read(HANDLE, 0, 4), short.read(HANDLE, 4, 4)]
  first.cancel()
  first.cancel()
  assert.is(short.kept, 1)
  const part = second.next() ?? new Uint8Array(0)
  second.cancel()
  assert.is(short.kept, 1)
  second.release(part)
  assert.is(short.kept, 2)
  disk.faults = {
    fault: (operation) => (operation === 'read' ? { kind: 'error', errno: 'EIO' } : undefined),
  }
  assert.is(throws(() => short.read(HANDLE, 0, 4)).code, 'MPI_ERR_IO')
  assert.is(short.kept, 2)
})

test('a reply that cannot be handed over gives its memory back, so that the next reads have it', async () => {
  await using cluster = await startCluster({ iods: 1, inProcess: true })
  await using files = await FileSystem.connect(cluster.url)
  await using file = await files.open('/f', 'w+', { direct: 'off' })
  await file.write(new Uint8Array(4096), 0, 4096, 0)
  using taken = countReads()
  const into = new Uint8Array(512)
  {
    using refused = refuseReads()
    for (let times = 0; times <= CHUNKS_KEPT; times++)
      await rejects(file.read(into, 0, 512, 0), 'MPI_ERR_OTHER')
    assert.is(refused.count, CHUNKS_KEPT + 1)
  }
  assert.is(taken.count, CHUNKS_KEPT + 1)
  assert.is((await file.read(into, 0, 512, 0)).bytesRead, 512)
  assert.is(taken.count, CHUNKS_KEPT + 2)
})

test('reads up to the longest short one and beyond come back whole, with holes and the end of the file', async () => {
  await using cluster = await startCluster({ iods: 1, inProcess: true })
  await using files = await FileSystem.connect(cluster.url)
  await using file = await files.open('/f', 'w+', { direct: 'off' })
  const bytes = Uint8Array.from({ length: SHORT_BYTES_MAX + 100 }, (_, at) => (at * 7) % 251)
  await file.write(bytes, 0, bytes.length, SHORT_BYTES_MAX)
  const all = new Uint8Array(SHORT_BYTES_MAX + bytes.length)
  all.set(bytes, SHORT_BYTES_MAX)
  for (const length of [1, 4096, SHORT_BYTES_MAX - 1, SHORT_BYTES_MAX, SHORT_BYTES_MAX + 1])
    for (const start of [
      0,
      1,
      SHORT_BYTES_MAX - 1,
      SHORT_BYTES_MAX,
      all.length - length,
      all.length - 1,
      all.length,
    ]) {
      const into = new Uint8Array(length).fill(255)
      const { bytesRead } = await file.read(into, 0, length, start)
      assert.is(bytesRead, Math.min(length, all.length - start), `${length} at ${start}`)
      assert.equal(into.subarray(0, bytesRead), all.subarray(start, start + bytesRead))
      assert.ok(into.subarray(bytesRead).every((byte) => byte === 255))
    }
})

type Read = (this: ShortReads, ...args: Parameters<ShortReads['read']>) => BodySource

// Those that are answered with memory that is used again.
function countReads(): { readonly count: number } & Disposable {
  const prototype: { read: Read } = ShortReads.prototype
  const { read } = prototype
  let count = 0
  prototype.read = function counted(handle, start, length) {
    count++
    return read.call(this, handle, start, length)
  }
  return {
    get count() {
      return count
    },
    [Symbol.dispose]() {
      prototype.read = read
    },
  }
}

type Answering = (this: Peer, ...args: Parameters<Peer['answer']>) => void

// No read is answered, as if its answer could not be written down.
function refuseReads(): { readonly count: number } & Disposable {
  const prototype: { answer: Answering } = Peer.prototype
  const { answer } = prototype
  let count = 0
  prototype.answer = function refusing(header, ...rest) {
    if (header.op !== DATA.read) return answer.call(this, header, ...rest)
    count++
    throw new IoError('MPI_ERR_OTHER', 'no answer')
  }
  return {
    get count() {
      return count
    },
    [Symbol.dispose]() {
      prototype.answer = answer
    },
  }
}

function drained(body: BodySource): Uint8Array {
  const part = body.next() ?? new Uint8Array(0)
  const copy = part.slice()
  body.release(part)
  return copy
}

async function formatted(): Promise<{ datafiles: Datafiles; disk: SimDisk }> {
  const disk = new SimDisk({ clock: new VirtualClock() })
  disk.makeDirectory('/data')
  await Datafiles.format(disk, '/data')
  return { datafiles: new Datafiles(disk, '/data'), disk }
}

test.run()
