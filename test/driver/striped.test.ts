import { closeSync, existsSync, openSync, readSync, statSync } from 'node:fs'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { contiguous, RunList, sourceOf } from '../../lib/base/regions.js'
import { TIMING } from '../../lib/base/timing.js'
import { Client } from '../../lib/driver/client.js'
import type { Access } from '../../lib/driver/driver.js'
import { closeFile, openFile, type OpenResult } from '../../lib/driver/namespace.js'
import { StripedFile } from '../../lib/driver/striped.js'
import type { Layout } from '../../lib/layout/striping.js'
import { nodeRuntime } from '../../lib/transport/runtime.js'
import { type Cluster, startCluster } from '../../servers/cluster.js'
import {
  driverContract,
  type DriverFile,
  type DriverLayout,
  type DriverPlace,
  pattern,
  plainAccess,
} from '../contract/driver.js'
import { rejects } from '../support/assertions.js'

const test = suite('StripedFile')

const MIB = 2 ** 20

driverContract(test, {
  layouts: [4096, 65_536].flatMap((stripSize) =>
    [1, 3, 4].map((iodCount) => ({ stripSize, iodCount })),
  ),
  sparse: true,
  place: async () => await StripedPlace.start(),
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

/** A cluster of four iods, and a client of it. */
class StripedPlace implements DriverPlace {
  readonly #cluster: Cluster
  readonly #client: Client
  #files = 0

  private constructor(cluster: Cluster) {
    this.#cluster = cluster
    this.#client = new Client({ runtime: nodeRuntime(), timing: TIMING, url: cluster.url })
  }

  static async start({ inProcess = true } = {}): Promise<StripedPlace> {
    return new StripedPlace(await startCluster({ iods: 4, inProcess }))
  }

  async file(layout: DriverLayout): Promise<StripedDriverFile> {
    const opened = await openFile(this.#client, `/file-${this.#files++}`, { ...FLAGS, ...layout })
    assert.is(opened.layout.stripSize, layout.stripSize)
    assert.is(opened.layout.iodCount, layout.iodCount)
    return new StripedDriverFile(this.#cluster, this.#client, opened)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#client.close({ leave: true })
    await this.#cluster.close()
  }
}

/** A file seen through drivers, and in its datafiles. */
class StripedDriverFile implements DriverFile {
  readonly #cluster: Cluster
  readonly #client: Client
  readonly #opened: OpenResult
  #driver: StripedFile | undefined

  constructor(cluster: Cluster, client: Client, opened: OpenResult) {
    this.#cluster = cluster
    this.#client = client
    this.#opened = opened
  }

  /** As ranks of one collective open have it: a driver each, one capability. */
  async open(): Promise<StripedFile> {
    const driver = new StripedFile(this.#client, this.#opened)
    this.#driver ??= driver
    return driver
  }

  async close(): Promise<void> {
    const driver = this.#driver ?? (await this.open())
    await closeFile(this.#client, driver.capability, driver.traces())
  }

  stored(offset: number, length: number): Uint8Array {
    const size = this.#storedSize()
    const bytes = new Uint8Array(Math.max(0, Math.min(length, size - offset)))
    for (let at = 0; at < bytes.length; ) {
      const place = placeOf(this.#opened.layout, offset + at)
      const step = Math.min(bytes.length - at, place.left)
      this.#readDatafile(place.part, place.local, bytes.subarray(at, at + step))
      at += step
    }
    return bytes
  }

  /** Bytes of each part's datafile; undefined where there is none. */
  datafileSizes(): (number | undefined)[] {
    const parts = Array.from({ length: this.#opened.layout.iodCount }, (_, part) => part)
    return parts.map((part) => {
      const path = this.#path(part)
      return existsSync(path) ? statSync(path).size : undefined
    })
  }

  #path(part: number): string {
    const { firstIod, iodTotal } = this.#opened.layout
    return this.#cluster.datafile((firstIod + part) % iodTotal, this.#opened.handle)
  }

  // The largest file offset that any datafile proves, by the definition of striping.
  #storedSize(): number {
    const { stripSize, iodCount } = this.#opened.layout
    return this.datafileSizes().reduce<number>((size, local, part) => {
      if (local === undefined || local === 0) return size
      const stripe = Math.floor((local - 1) / stripSize)
      const end = (stripe * iodCount + part) * stripSize + ((local - 1) % stripSize) + 1
      return Math.max(size, end)
    }, 0)
  }

  #readDatafile(part: number, local: number, into: Uint8Array): void {
    const path = this.#path(part)
    if (!existsSync(path)) return
    const file = openSync(path, 'r')
    try {
      readSync(file, into, 0, into.length, local)
    } finally {
      closeSync(file)
    }
  }
}

const FLAGS = {
  read: true,
  write: true,
  create: true,
  exclusive: false,
  truncate: false,
  advisory: false,
  mode: 0o644,
} as const

/** Where a byte of the file is, by the definition of striping, and how many follow it there. */
function placeOf(
  { stripSize, iodCount }: Layout,
  offset: number,
): { readonly part: number; readonly local: number; readonly left: number } {
  const strip = Math.floor(offset / stripSize)
  const inStrip = offset - strip * stripSize
  return {
    part: strip % iodCount,
    local: Math.floor(strip / iodCount) * stripSize + inStrip,
    left: stripSize - inStrip,
  }
}
