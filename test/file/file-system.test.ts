import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import type { ErrorCode } from '../../lib/base/errors.js'
import { scaled, TIMING } from '../../lib/base/timing.js'
import { type FileHandle, FileSystem, type LayoutOptions } from '../../lib/file/file-system.js'
import { LIMITS } from '../../lib/protocol/limits.js'
import { startCluster } from '../../servers/cluster.js'
import { reservePorts } from '../../servers/cluster/ports.js'
import { rejects } from '../support/assertions.js'
import { listings } from '../support/listings.js'

const test = suite('FileSystem')

const text = new TextEncoder()

/** A file system of its own, for the time of `body`. */
async function withFileSystem(body: (fs: FileSystem) => Promise<void>, iods = 3): Promise<void> {
  await using cluster = await startCluster({ iods, inProcess: true })
  await using fs = await FileSystem.connect(cluster.url)
  await body(fs)
}

/** The call rejects with this errno, and the class that belongs to it. */
async function fails(call: Promise<unknown>, errno: string, code: ErrorCode): Promise<void> {
  const error = await rejects(call)
  assert.equal([error.context.errno, error.code], [errno, code], error.message)
}

test('connect needs the url of a manager that answers', async () => {
  await rejects(FileSystem.connect(''), 'MPI_ERR_ARG')
  for (const url of ['nowhere', 'http://127.0.0.1:7300', 'rankio://', 'rankio://host:port'])
    await rejects(FileSystem.connect(url), 'MPI_ERR_ARG')
  for (const url of [5, null, {}] as unknown as string[])
    await rejects(FileSystem.connect(url), 'MPI_ERR_ARG')
})

test('a manager that nobody has started is named once, with the time that was waited', async () => {
  const ports = await reservePorts('127.0.0.1', 1)
  const url = `rankio://127.0.0.1:${ports.first}`
  const error = await rejects(FileSystem.connect(url, { timing: scaled(TIMING, 0.01) }))
  ports.release()
  assert.is(error.context.reason, 'MANAGER_DOWN')
  assert.match(
    error.message,
    /^manager: not reachable for \d+(\.\d)? s; 127\.0\.0\.1:\d+: connection refused$/,
  )
})

test('an iod in the place of the manager is called one', async () => {
  await using cluster = await startCluster({ iods: 1, inProcess: true })
  await using fs = await FileSystem.connect(cluster.url)
  const port = (await fs.status()).iods[0]?.port
  const error = await rejects(FileSystem.connect(`rankio://127.0.0.1:${port}`), 'MPI_ERR_ARG')
  assert.is(error.message, `127.0.0.1:${port} is an iod, not the manager`)
})

test('what is no path is refused by every operation, and never taken for one', async () => {
  await withFileSystem(async (fs) => {
    for (const path of [5, null, undefined, {}, ['/f']] as unknown as string[]) {
      for (const call of [
        fs.open(path, 'w'),
        fs.stat(path),
        fs.readdir(path),
        fs.mkdir(path),
        fs.mkdir(path, { recursive: true }),
        fs.rename(path, '/g'),
        fs.rename('/f', path),
        fs.unlink(path),
        fs.rmdir(path),
        fs.truncate(path),
        fs.chmod(path, 0o600),
        fs.utimes(path, 1, 1),
        fs.readFile(path),
        fs.writeFile(path, 'x'),
      ])
        await fails(call, 'EINVAL', 'MPI_ERR_BAD_FILE')
    }
    assert.equal(await fs.readdir('/'), [])
  })
})

test('who wants some of the names of a directory says behind which, and how many, and no more are asked for', async () => {
  await withFileSystem(async (fs) => {
    const all = Array.from(
      { length: LIMITS.namesPerPage + 2 },
      (_, index) => `/d/${String(index).padStart(4, '0')}`,
    )
    await fs.mkdir('/d')
    await Promise.all(all.map((path) => fs.mkdir(path)))
    const names = all.map((path) => path.slice('/d/'.length))
    const page = async (options: Parameters<FileSystem['readdir']>[1]): Promise<string[]> =>
      (await fs.readdir('/d', options)).map(({ name }) => name)
    assert.equal(await page({}), names)
    assert.equal(await page({ after: '0002' }), names.slice(3))
    assert.equal(await page({ after: '00025', limit: 1 }), ['0003'])
    assert.equal(await page({ limit: names.length }), names)
    assert.equal(await page({ after: '9' }), [])
    const { asked } = await listings(() => page({ limit: LIMITS.namesPerPage }))
    assert.is(asked, 1)
    for (const limit of [0, -1, 0.5]) await rejects(page({ limit }), 'MPI_ERR_ARG')
  }, 1)
})

test('wrong data, modes and options are refused before anything is changed', async () => {
  await withFileSystem(async (fs) => {
    await fs.writeFile('/f', 'kept')
    const { mode } = await fs.stat('/f')
    for (const data of [undefined, null, 7, {}, new ArrayBuffer(3), new Float64Array(3)])
      await rejects(fs.writeFile('/f', data as unknown as string), 'MPI_ERR_BUFFER')
    for (const bits of [-1, 1.5, Number.NaN, 'rw', 1e9] as number[]) {
      await rejects(fs.chmod('/f', bits), 'MPI_ERR_ARG')
      await rejects(fs.mkdir('/d', { mode: bits }), 'MPI_ERR_ARG')
      await rejects(fs.open('/f', 'w', { mode: bits }), 'MPI_ERR_ARG')
    }
    for (const options of [null, 5, 'x'] as unknown as LayoutOptions[]) {
      await rejects(fs.open('/f', 'w', options), 'MPI_ERR_ARG')
      await rejects(fs.mkdir('/d', options as object), 'MPI_ERR_ARG')
      await rejects(fs.writeFile('/f', 'x', options), 'MPI_ERR_ARG')
    }
    assert.equal(await fs.readFile('/f'), text.encode('kept'))
    assert.is((await fs.stat('/f')).mode, mode)
    await fs.chmod('/f', 0o100_600)
    assert.is((await fs.stat('/f')).mode, 0o600)
  })
})

test('what was written is read, from any place on', async () => {
  await withFileSystem(async (fs) => {
    await using file = await fs.open('/f', 'w+', { stripSize: 4096 })
    const bytes = Uint8Array.from({ length: 30_000 }, (_, i) => i % 251)
    assert.equal(await file.write(bytes, 0, 30_000, 100), { bytesWritten: 30_000, buffer: bytes })
    assert.is(await file.size(), 30_100)
    const buffer = new Uint8Array(50)
    assert.equal(await file.read(buffer, 10, 20, 1100), { bytesRead: 20, buffer })
    assert.equal(buffer.subarray(10, 30), bytes.subarray(1000, 1020))
    assert.ok(buffer.subarray(0, 10).every((byte) => byte === 0))
    assert.is((await file.read(buffer, 0, 50, 30_090)).bytesRead, 10)
    assert.is((await file.read(buffer, 0, 50, 40_000)).bytesRead, 0)
    assert.is((await file.read(buffer, 0, 0, 0)).bytesRead, 0)
    assert.is((await file.read(buffer, 0, 5, 100n)).bytesRead, 5)
    await file.sync()
    await file.truncate(200)
    assert.is(await file.size(), 200)
    await file.truncate()
    assert.is(await file.size(), 0)
  })
})

test('the flags are those of fs: what must be there, what is made, what is cut', async () => {
  await withFileSystem(async (fs) => {
    await fails(fs.open('/f', 'r'), 'ENOENT', 'MPI_ERR_NO_SUCH_FILE')
    await fails(fs.open('/f', 'r+'), 'ENOENT', 'MPI_ERR_NO_SUCH_FILE')
    await (await fs.open('/f', 'wx')).close()
    await fails(fs.open('/f', 'wx'), 'EEXIST', 'MPI_ERR_FILE_EXISTS')
    await fails(fs.open('/f', 'wx+'), 'EEXIST', 'MPI_ERR_FILE_EXISTS')
    await fs.writeFile('/f', 'hello')
    const kept = await fs.open('/f', 'r+')
    assert.is(await kept.size(), 5)
    await kept.close()
    const cut = await fs.open('/f', 'w+')
    assert.is(await cut.size(), 0)
    await cut.close()
    for (const flags of ['a', 'x', '', 'rw', 'constructor', 'toString'])
      await rejects(fs.open('/f', flags), 'MPI_ERR_ARG')
  })
})

test('a handle does what it was opened for only', async () => {
  await withFileSystem(async (fs) => {
    await fs.writeFile('/f', 'hello')
    const buffer = new Uint8Array(5)
    const reader = await fs.open('/f')
    await rejects(reader.write(buffer, 0, 5, 0), 'MPI_ERR_READ_ONLY')
    await rejects(reader.truncate(1), 'MPI_ERR_READ_ONLY')
    await reader.close()
    const writer = await fs.open('/f', 'w')
    await rejects(writer.read(buffer, 0, 5, 0), 'MPI_ERR_ACCESS')
    await writer.close()
  })
})

test('wrong arguments of a handle are refused before anything is sent', async () => {
  await withFileSystem(async (fs) => {
    await using file = await fs.open('/f', 'w+')
    const buffer = new Uint8Array(10)
    for (const access of ['read', 'write'] as const) {
      for (const number of [-1, 0.5, Number.NaN, 2 ** 53]) {
        await rejects(file[access](buffer, number, 1, 0), 'MPI_ERR_ARG')
        await rejects(file[access](buffer, 0, number, 0), 'MPI_ERR_ARG')
        await rejects(file[access](buffer, 0, 1, number), 'MPI_ERR_ARG')
      }
      await rejects(file[access](buffer, 5, 6, 0), 'MPI_ERR_BUFFER')
      await rejects(file[access]('text' as never, 0, 1, 0), 'MPI_ERR_BUFFER')
      await rejects(file[access](buffer, 0, 10, Number.MAX_SAFE_INTEGER), 'MPI_ERR_ARG')
    }
    await rejects(file.truncate(-1), 'MPI_ERR_ARG')
    assert.is(await file.size(), 0)
  })
})

test('every method of a closed handle is EBADF, and close may be called again', async () => {
  await withFileSystem(async (fs) => {
    const file = await fs.open('/f', 'w+')
    const closing = file.close()
    assert.is(file.close(), closing)
    const methods: readonly ((handle: FileHandle) => Promise<unknown>)[] = [
      (handle) => handle.read(new Uint8Array(1), 0, 1, 0),
      (handle) => handle.write(new Uint8Array(1), 0, 1, 0),
      (handle) => handle.size(),
      (handle) => handle.truncate(0),
      (handle) => handle.sync(),
    ]
    for (const method of methods) await fails(method(file), 'EBADF', 'MPI_ERR_FILE')
    await closing
    await file.close()
    for (const method of methods) await fails(method(file), 'EBADF', 'MPI_ERR_FILE')
  })
})

test('close waits for what was called before', async () => {
  await withFileSystem(async (fs) => {
    const file = await fs.open('/f', 'w+')
    const bytes = new Uint8Array(100_000).fill(7)
    const writes = [0, 1, 2, 3].map((i) => file.write(bytes, 0, bytes.length, i * bytes.length))
    await file.close()
    await Promise.all(writes)
    assert.is((await fs.stat('/f')).size, 400_000)
  })
})

test('a layout that is given is the layout; one that is not possible is an error', async () => {
  await withFileSystem(async (fs) => {
    await using file = await fs.open('/f', 'w', { stripSize: 8192, iodCount: 2, firstIod: 1 })
    const layout = { stripSize: 8192, iodCount: 2, firstIod: 1, iodTotal: 3 }
    assert.equal(file.layout, layout)
    assert.equal((await fs.stat('/f')).layout, layout)
    await using usual = await fs.open('/g', 'w')
    assert.equal([usual.layout.stripSize, usual.layout.iodCount], [65_536, 3])
    for (const bad of [
      { stripSize: 4095 },
      { stripSize: 2048 },
      { stripSize: 2 ** 27 },
      { stripSize: 5000 },
      { stripSize: Number.NaN },
      { iodCount: 0 },
      { iodCount: -1 },
      { iodCount: 1.5 },
      { iodCount: 4 },
      { iodCount: 70_000 },
      { firstIod: -1 },
      { firstIod: 3 },
      { firstIod: 0.5 },
    ] as readonly LayoutOptions[]) {
      await rejects(fs.open('/h', 'w', bad), 'MPI_ERR_ARG')
      await rejects(fs.writeFile('/h', '', bad), 'MPI_ERR_ARG')
    }
    await fails(fs.stat('/h'), 'ENOENT', 'MPI_ERR_NO_SUCH_FILE')
  })
})

test('readFile and writeFile move whole files', async () => {
  await withFileSystem(async (fs) => {
    await fs.writeFile('/f', 'hello, wörld', { mode: 0o600 })
    assert.equal(await fs.readFile('/f'), text.encode('hello, wörld'))
    assert.is((await fs.stat('/f')).mode & 0o7777, 0o600)
    await fs.writeFile('/f', Uint8Array.of(1, 2))
    assert.equal(await fs.readFile('/f'), Uint8Array.of(1, 2))
    await fs.writeFile('/f', '')
    assert.equal(await fs.readFile('/f'), new Uint8Array(0))
    await fails(fs.readFile('/missing'), 'ENOENT', 'MPI_ERR_NO_SUCH_FILE')
    await fails(fs.readFile('/'), 'EISDIR', 'MPI_ERR_BAD_FILE')
    const readFile = Reflect.get(fs, 'readFile')
    assert.equal(await Reflect.apply(readFile, fs, ['/f', null]), new Uint8Array(0))
    for (const encoding of ['utf8', 'wrong', { encoding: 'utf8' }]) {
      const bytes = Reflect.apply(readFile, fs, ['/f', encoding]) as Promise<unknown>
      const { message } = await rejects(bytes, 'MPI_ERR_ARG')
      assert.match(message, 'readFile: it takes a path alone, and gives bytes')
    }
  })
})

test('directories are made, listed in the order of their bytes, and removed when empty', async () => {
  await withFileSystem(async (fs) => {
    await fs.mkdir('/d')
    await fails(fs.mkdir('/d'), 'EEXIST', 'MPI_ERR_FILE_EXISTS')
    await fails(fs.mkdir('/x/y'), 'ENOENT', 'MPI_ERR_NO_SUCH_FILE')
    await fs.mkdir('/x/y/z', { recursive: true, mode: 0o700 })
    await fs.mkdir('/x/y/z', { recursive: true })
    await fs.mkdir('/', { recursive: true })
    for (const name of ['b', 'a', 'ä', 'B', 'aa']) await fs.writeFile(`/d/${name}`, '')
    await fs.mkdir('/d/sub')
    const names = await fs.readdir('/d')
    assert.equal(
      names.map(({ name }) => name),
      ['B', 'a', 'aa', 'b', 'sub', 'ä'],
    )
    assert.equal(
      names.filter((each) => each.isDirectory()).map(({ name }) => name),
      ['sub'],
    )
    assert.is(names.filter((each) => each.isFile()).length, 5)
    await fails(fs.rmdir('/d'), 'ENOTEMPTY', 'MPI_ERR_IO')
    await fs.rmdir('/d/sub')
    await fails(fs.rmdir('/d/a'), 'ENOTDIR', 'MPI_ERR_BAD_FILE')
    await fails(fs.rmdir('/missing'), 'ENOENT', 'MPI_ERR_NO_SUCH_FILE')
    await fails(fs.readdir('/d/a'), 'ENOTDIR', 'MPI_ERR_BAD_FILE')
    await fails(fs.readdir('/missing'), 'ENOENT', 'MPI_ERR_NO_SUCH_FILE')
    await fails(fs.mkdir('/d/a', { recursive: true }), 'EEXIST', 'MPI_ERR_FILE_EXISTS')
    await fails(fs.mkdir('/d/a/b', { recursive: true }), 'ENOTDIR', 'MPI_ERR_BAD_FILE')
  })
})

test('a directory of more names than one page is listed whole', async () => {
  await withFileSystem(async (fs) => {
    const names = Array.from({ length: 1100 }, (_, i) => `f${String(i).padStart(4, '0')}`)
    for (let i = 0; i < names.length; i += 50)
      await Promise.all(names.slice(i, i + 50).map((name) => fs.mkdir(`/${name}`)))
    assert.equal(
      (await fs.readdir('/')).map(({ name }) => name),
      names,
    )
  }, 1)
})

test('stat tells what is known of files and directories', async () => {
  await withFileSystem(async (fs) => {
    const before = Date.now()
    await fs.writeFile('/f', 'hello', { mode: 0o640 })
    const file = await fs.stat('/f')
    assert.is(file.kind, 'file')
    assert.ok(file.isFile() && !file.isDirectory())
    assert.is(file.size, 5)
    assert.is(file.mode & 0o7777, 0o640)
    assert.is(file.uid, process.getuid?.() ?? 0)
    assert.ok(file.handle > 0)
    assert.ok(file.mtimeMs >= before - 1000 && file.mtimeMs <= Date.now() + 1000)
    const root = await fs.stat('/')
    assert.ok(root.isDirectory() && !root.isFile())
    assert.is(root.layout, undefined)
    await fails(fs.stat('/missing'), 'ENOENT', 'MPI_ERR_NO_SUCH_FILE')
    await fails(fs.stat('/f/x'), 'ENOTDIR', 'MPI_ERR_BAD_FILE')
    await fails(fs.stat(`/${'x'.repeat(256)}`), 'ENAMETOOLONG', 'MPI_ERR_BAD_FILE')
    await fails(fs.stat(`/${'xy/'.repeat(1400)}`), 'ENAMETOOLONG', 'MPI_ERR_BAD_FILE')
  })
})

test('the size of a file that somebody writes is the present one', async () => {
  await withFileSystem(async (fs) => {
    await using file = await fs.open('/f', 'w', { stripSize: 4096 })
    await file.write(new Uint8Array(10_000), 0, 10_000, 5000)
    assert.is((await fs.stat('/f')).size, 15_000)
    await fs.truncate('/f', 7)
    assert.is((await fs.stat('/f')).size, 7)
  })
})

test('a truncate by somebody else is not undone by the close of a writer', async () => {
  await withFileSystem(async (fs) => {
    const writer = await fs.open('/f', 'w')
    await writer.write(new Uint8Array(1000), 0, 1000, 0)
    await fs.truncate('/f', 10)
    await writer.close()
    assert.is((await fs.stat('/f')).size, 10)
    assert.is((await fs.readFile('/f')).length, 10)
  })
})

test('rename moves files and directories, over what may be replaced', async () => {
  await withFileSystem(async (fs) => {
    await fs.mkdir('/d')
    await fs.writeFile('/a', 'a')
    await fs.writeFile('/b', 'b')
    await fs.rename('/a', '/d/c')
    assert.equal(await fs.readFile('/d/c'), text.encode('a'))
    await fails(fs.stat('/a'), 'ENOENT', 'MPI_ERR_NO_SUCH_FILE')
    await fs.rename('/d/c', '/b')
    assert.equal(await fs.readFile('/b'), text.encode('a'))
    await fs.rename('/d', '/e')
    assert.equal(await fs.readdir('/e'), [])
    await fails(fs.rename('/missing', '/x'), 'ENOENT', 'MPI_ERR_NO_SUCH_FILE')
    await fails(fs.rename('/b', '/e'), 'EISDIR', 'MPI_ERR_BAD_FILE')
    await fails(fs.rename('/e', '/b'), 'ENOTDIR', 'MPI_ERR_BAD_FILE')
    await fails(fs.rename('/e', '/e/inside'), 'EINVAL', 'MPI_ERR_BAD_FILE')
    await fs.mkdir('/full/sub', { recursive: true })
    await fails(fs.rename('/e', '/full'), 'ENOTEMPTY', 'MPI_ERR_IO')
  })
})

test('unlink takes the name; who has the file open keeps its bytes', async () => {
  await withFileSystem(async (fs) => {
    await fs.writeFile('/f', 'hello')
    const open = await fs.open('/f', 'r+')
    await fs.unlink('/f')
    await fails(fs.unlink('/f'), 'ENOENT', 'MPI_ERR_NO_SUCH_FILE')
    await fails(fs.stat('/f'), 'ENOENT', 'MPI_ERR_NO_SUCH_FILE')
    const buffer = new Uint8Array(5)
    assert.is((await open.read(buffer, 0, 5, 0)).bytesRead, 5)
    assert.equal(buffer, text.encode('hello'))
    await open.write(buffer, 0, 5, 100_000)
    assert.is(await open.size(), 100_005)
    await open.close()
    await fs.mkdir('/d')
    await fails(fs.unlink('/d'), 'EISDIR', 'MPI_ERR_BAD_FILE')
  })
})

test('truncate, chmod and utimes change one thing each', async () => {
  await withFileSystem(async (fs) => {
    await fs.writeFile('/f', 'hello')
    await fs.truncate('/f', 3)
    assert.equal(await fs.readFile('/f'), text.encode('hel'))
    await fs.truncate('/f', 5)
    assert.equal(await fs.readFile('/f'), Uint8Array.of(...text.encode('hel'), 0, 0))
    await fs.truncate('/f')
    assert.is((await fs.stat('/f')).size, 0)
    await fs.chmod('/f', 0o4755)
    assert.is((await fs.stat('/f')).mode & 0o7777, 0o4755)
    await fs.utimes('/f', new Date(1000), 2.5)
    const { atimeMs, mtimeMs, mode } = await fs.stat('/f')
    assert.equal([atimeMs, mtimeMs, mode & 0o7777], [1000, 2500, 0o4755])
    await rejects(fs.truncate('/f', -1), 'MPI_ERR_ARG')
    await rejects(fs.utimes('/f', new Date(Number.NaN), 0), 'MPI_ERR_ARG')
    await rejects(fs.utimes('/f', -1, 0), 'MPI_ERR_ARG')
    await fails(fs.truncate('/missing', 0), 'ENOENT', 'MPI_ERR_NO_SUCH_FILE')
    await fails(fs.truncate('/', 0), 'EISDIR', 'MPI_ERR_BAD_FILE')
    await fails(fs.chmod('/missing', 0), 'ENOENT', 'MPI_ERR_NO_SUCH_FILE')
    await fails(fs.utimes('/missing', 0, 0), 'ENOENT', 'MPI_ERR_NO_SUCH_FILE')
  })
})

test('statfs and status tell of all iods', async () => {
  await withFileSystem(async (fs) => {
    const space = await fs.statfs()
    assert.is(space.iodCount, 3)
    assert.ok(space.total > space.free && space.free > 0)
    const none = await fs.status()
    await using _ = await fs.open('/f', 'w')
    const one = await fs.status()
    assert.is(one.opens, none.opens + 1)
    assert.equal(fs.counts, { reconnects: 0, resends: 0, resentBytes: 0 })
    assert.is(one.iods.length, 3)
    assert.equal(
      one.iods.map(({ index }) => index),
      [0, 1, 2],
    )
  })
})

test('after close nothing is possible any more', async () => {
  await using cluster = await startCluster({ iods: 1, inProcess: true })
  const fs = await FileSystem.connect(cluster.url)
  const file = await fs.open('/f', 'w')
  await fs.close()
  await rejects(fs.stat('/'))
  await rejects(file.write(new Uint8Array(1), 0, 1, 0))
  await fs.close()
})

test.run()
