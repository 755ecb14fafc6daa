// Files as streams: every byte once, in order, and no more in memory than was asked for.
import { Readable, Writable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { type FileHandle, FileSystem } from '../../lib/file/file-system.js'
import { startCluster } from '../../servers/cluster.js'
import { rejects, throws, until } from '../support/assertions.js'

const test = suite('streams')

/** Some strips on each iod, and a part of one. */
const BYTES = 300_001

const CONTENT = Uint8Array.from({ length: BYTES }, (_, i) => (i * 7 + (i >> 9)) & 0xff)

async function withFileSystem(body: (fs: FileSystem) => Promise<void>): Promise<void> {
  await using cluster = await startCluster({ iods: 3, inProcess: true })
  await using fs = await FileSystem.connect(cluster.url)
  await body(fs)
}

async function openOf(fs: FileSystem, flags: string): Promise<FileHandle> {
  return await fs.open('/f', flags, { stripSize: 4096 })
}

async function bytesOf(stream: Readable): Promise<Uint8Array> {
  const chunks: Uint8Array[] = []
  for await (const chunk of stream) chunks.push(chunk as Uint8Array)
  return new Uint8Array(Buffer.concat(chunks))
}

test('what is piped into a file is piped out of it, whatever the sizes of the chunks', async () => {
  await withFileSystem(async (fs) => {
    for (const [chunk, mark] of [
      [1000, 4096],
      [70_000, 10_000],
      [BYTES, undefined],
    ] as const) {
      const chunks = Array.from({ length: Math.ceil(BYTES / chunk) }, (_, i) =>
        CONTENT.subarray(i * chunk, (i + 1) * chunk),
      )
      const into = (await openOf(fs, 'w')).createWriteStream({ highWaterMark: mark })
      await pipeline(Readable.from(chunks), into)
      assert.is((await fs.stat('/f')).size, BYTES)
      const from = (await openOf(fs, 'r')).createReadStream({ highWaterMark: mark })
      assert.equal(await bytesOf(from), CONTENT)
    }
  })
})

test('a stream reads from its start to its end, both included', async () => {
  await withFileSystem(async (fs) => {
    await fs.writeFile('/f', CONTENT)
    for (const [start, end] of [
      [0, 0],
      [100, 5000],
      [BYTES - 1, BYTES - 1],
      [BYTES - 10, BYTES + 1000],
      [BYTES, undefined],
    ] as const) {
      const from = (await openOf(fs, 'r')).createReadStream({ start, end, highWaterMark: 1000 })
      const expected = CONTENT.subarray(start, end === undefined ? undefined : end + 1)
      assert.equal(await bytesOf(from), expected)
    }
  })
})

test('a stream writes from its start on, and leaves what is before it', async () => {
  await withFileSystem(async (fs) => {
    await fs.writeFile('/f', CONTENT)
    const into = (await openOf(fs, 'r+')).createWriteStream({ start: 10 })
    await pipeline(Readable.from([Uint8Array.of(1, 2), 'text']), into)
    const there = await fs.readFile('/f')
    assert.equal([...there.subarray(10, 16)], [1, 2, ...Buffer.from('text')])
    assert.equal(there.subarray(0, 10), CONTENT.subarray(0, 10))
    assert.is(there.length, BYTES)
  })
})

test('no more is read than was asked for ahead of who takes it', async () => {
  await withFileSystem(async (fs) => {
    await fs.writeFile('/f', CONTENT)
    const handle = await openOf(fs, 'r')
    let asked = 0
    const read = handle.read.bind(handle)
    handle.read = async (buffer, offset, length, position) => {
      asked += length
      return await read(buffer, offset, length, position)
    }
    const from = handle.createReadStream({ highWaterMark: 8192 })
    from.read(0)
    await until(() => from.readableLength >= 8192)
    // What lies ready, and as much again on its way.
    assert.ok(asked <= 3 * 8192, `${asked} bytes`)
    assert.equal(await bytesOf(from), CONTENT)
  })
})

test('who writes faster than the iods is asked to wait', async () => {
  await withFileSystem(async (fs) => {
    const into = (await openOf(fs, 'w')).createWriteStream({ highWaterMark: 1000 })
    assert.is(into.write(new Uint8Array(10)), true)
    assert.is(into.write(new Uint8Array(2000)), false)
    await new Promise((resolve) => into.once('drain', resolve))
    await new Promise((resolve) => into.end(resolve))
    await until(() => into.closed)
    assert.is((await fs.stat('/f')).size, 2010)
  })
})

test('the handle is closed with the stream, unless it is to stay open', async () => {
  await withFileSystem(async (fs) => {
    await fs.writeFile('/f', CONTENT)
    for (const autoClose of [true, false]) {
      const handle = await openOf(fs, 'r+')
      const into = handle.createWriteStream({ autoClose })
      await pipeline(Readable.from([Uint8Array.of(1)]), into)
      await until(() => into.closed)
      const from = (): Readable => handle.createReadStream({ autoClose, end: 9 })
      if (autoClose) throws(from, 'MPI_ERR_FILE')
      else {
        assert.is((await bytesOf(from())).length, 10)
        assert.is(await handle.size(), BYTES)
      }
      await handle.close()
    }
  })
})

test('a stream that is given up in the middle waits for what is under way, and closes its handle', async () => {
  await withFileSystem(async (fs) => {
    await fs.writeFile('/f', CONTENT)
    const handle = await openOf(fs, 'r')
    const from = handle.createReadStream({ highWaterMark: 4096 })
    for await (const _ of from) break
    await until(() => from.closed)
    await rejects(handle.size(), 'MPI_ERR_FILE')
  })
})

test('an error of the file is one of the stream', async () => {
  await withFileSystem(async (fs) => {
    await fs.writeFile('/f', CONTENT)
    const into = (await openOf(fs, 'r')).createWriteStream()
    await rejects(pipeline(Readable.from([Uint8Array.of(1)]), into), 'MPI_ERR_READ_ONLY')
    const from = (await openOf(fs, 'w')).createReadStream()
    await rejects(bytesOf(from), 'MPI_ERR_ACCESS')
    const sink = new Writable({ write: (_chunk, _encoding, done) => done(new Error('full')) })
    await fs.writeFile('/f', CONTENT)
    const handle = await openOf(fs, 'r')
    await pipeline(handle.createReadStream(), sink).catch(() => {})
    await rejects(handle.size(), 'MPI_ERR_FILE')
  })
})

test('options that make no sense are refused', async () => {
  await withFileSystem(async (fs) => {
    await using handle = await openOf(fs, 'w+')
    throws(() => handle.createReadStream({ start: 5, end: 4 }), 'MPI_ERR_ARG')
    throws(() => handle.createReadStream({ start: -1 }), 'MPI_ERR_ARG')
    throws(() => handle.createWriteStream({ start: 0.5 }), 'MPI_ERR_ARG')
    for (const highWaterMark of [0, -1, 1.5, Number.NaN]) {
      throws(() => handle.createReadStream({ highWaterMark }), 'MPI_ERR_ARG')
      throws(() => handle.createWriteStream({ highWaterMark }), 'MPI_ERR_ARG')
    }
  })
})

test.run()
