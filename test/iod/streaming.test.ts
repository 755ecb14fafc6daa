// Replies that are read from the datafile while they are sent: only between processes of one host, on
// real sockets.
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import type { Disk, DiskFile } from '../../lib/base/runtime.js'
import { FileSystem } from '../../lib/index.js'
import { nodeRuntime } from '../../lib/transport/runtime.js'
import { reservePorts } from '../../servers/cluster/ports.js'
import { silentLog } from '../../servers/common/log.js'
import { startIod, startManager } from '../../servers/start.js'
import { deadline, rejects } from '../support/assertions.js'

const test = suite('streaming')

const MIB = 2 ** 20

test('a disk that fails in the middle of a reply breaks that reply, and the repeat tells the error', async () => {
  await using place = await Place.start()
  const bytes = Uint8Array.from({ length: 4 * MIB }, (_, index) => (index >> 8) & 0xff)
  await place.files.writeFile('/f', bytes)
  await using file = await place.files.open('/f', 'r', { direct: 'off' })
  const read = async (length: number): Promise<Uint8Array> => {
    const buffer = new Uint8Array(length)
    await file.read(buffer, 0, length, 0)
    return buffer
  }
  place.badFrom = MIB
  const error = await deadline('read', 20_000, rejects(read(4 * MIB), 'MPI_ERR_IO'))
  assert.is(error.context.errno, 'EIO')
  assert.is(error.context.iod, 0)
  // What lies before the damage can be read, and all of it when the disk is well again.
  assert.equal(await read(MIB), bytes.subarray(0, MIB))
  place.badFrom = Number.POSITIVE_INFINITY
  assert.equal(await read(4 * MIB), bytes)
})

/** A file system of one iod whose disk cannot read from a position on. */
class Place implements AsyncDisposable {
  badFrom = Number.POSITIVE_INFINITY
  readonly files: FileSystem
  readonly #undo: (() => unknown)[]

  private constructor(files: FileSystem, undo: (() => unknown)[]) {
    this.files = files
    this.#undo = undo
  }

  static async start(): Promise<Place> {
    const undo: (() => unknown)[] = []
    const path = await mkdtemp(join(tmpdir(), 'streaming-'))
    undo.unshift(async () => await rm(path, { recursive: true, force: true }))
    const ports = await reservePorts('127.0.0.1', 2)
    undo.unshift(() => ports.release())
    const [port, iodPort] = [ports.first, ports.first + 1]
    const iodtab = join(path, 'iodtab')
    await writeFile(iodtab, `127.0.0.1:${iodPort}\n`)
    const url = `rankio://127.0.0.1:${port}`
    const log = silentLog
    const manager = await startManager({ directory: join(path, 'manager'), iodtab, port, log })
    undo.unshift(async () => await manager.close())
    let place: Place | undefined
    const badFrom = (): number => place?.badFrom ?? Number.POSITIVE_INFINITY
    const runtime = { ...nodeRuntime(), disk: failing(nodeRuntime().disk, badFrom) }
    const directory = join(path, 'iod-0')
    const iod = await startIod({ directory, index: 0, manager: url, port: iodPort, log, runtime })
    undo.unshift(async () => await iod.close())
    const files = await FileSystem.connect(url)
    undo.unshift(async () => await files.close())
    place = new Place(files, undo)
    return place
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const step of this.#undo) await step()
  }
}

function failing(disk: Disk, badFrom: () => number): Disk {
  const wrapped = (file: DiskFile): DiskFile => ({
    readInto: (into, at, length, position) => {
      if (position + length > badFrom()) throw Object.assign(new Error('EIO'), { code: 'EIO' })
      return file.readInto(into, at, length, position)
    },
    readParts: (into, position) => file.readParts(into, position),
    write: (from, position) => file.write(from, position),
    read: (into, position) => file.read(into, position),
    writeFrom: (from, at, length, position) => file.writeFrom(from, at, length, position),
    warm: async (position, length) => await file.warm(position, length),
    size: () => file.size(),
    identity: () => file.identity(),
    sync: async () => await file.sync(),
    truncate: async (size) => await file.truncate(size),
    close: () => file.close(),
  })
  return { ...disk, open: (path, mode) => wrapped(disk.open(path, mode)) }
}

test.run()
