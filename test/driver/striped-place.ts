// Files on a real cluster, for tests of the driver: seen through drivers, and in their datafiles.
import * as assert from 'uvu/assert'
import { closeSync, existsSync, openSync, readSync, statSync } from 'node:fs'
import { TIMING } from '../../lib/base/timing.js'
import { Client } from '../../lib/driver/client.js'
import type { DirectChoice, DirectCounts } from '../../lib/driver/direct.js'
import { closeFile, openFile, type OpenResult } from '../../lib/driver/namespace.js'
import { StripedFile } from '../../lib/driver/striped.js'
import type { Layout } from '../../lib/layout/striping.js'
import { nodeRuntime } from '../../lib/transport/runtime.js'
import { type Cluster, startCluster } from '../../servers/cluster.js'
import type { DriverFile, DriverLayout, DriverPlace } from '../contract/driver.js'

/** A cluster of four iods, and a client of it. */
export class StripedPlace implements DriverPlace {
  readonly #cluster: Cluster
  readonly #client: Client
  readonly #direct: DirectChoice
  #files = 0

  private constructor(cluster: Cluster, direct: DirectChoice) {
    this.#cluster = cluster
    this.#direct = direct
    this.#client = new Client({ runtime: nodeRuntime(), timing: TIMING, url: cluster.url })
    // Most cases make one access or two.
    this.#client.direct.accessesBefore = 0
  }

  static async start({
    inProcess = true,
    direct = 'off',
  }: {
    readonly inProcess?: boolean
    readonly direct?: DirectChoice
  } = {}): Promise<StripedPlace> {
    return new StripedPlace(await startCluster({ iods: 4, inProcess }), direct)
  }

  /** The client of all drivers. */
  get client(): Client {
    return this.#client
  }

  async file(layout: DriverLayout): Promise<StripedDriverFile> {
    const opened = await openFile(this.#client, `/file-${this.#files++}`, { ...FLAGS, ...layout })
    assert.is(opened.layout.stripSize, layout.stripSize)
    assert.is(opened.layout.iodCount, layout.iodCount)
    return new StripedDriverFile(this.#cluster, this.#client, opened, this.#direct)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#client.close({ leave: true })
    await this.#cluster.close()
  }
}

/** One cluster for all tests of a contract. */
export class SharedPlace {
  readonly #direct: DirectChoice
  #place: Promise<StripedPlace> | undefined

  constructor(direct: DirectChoice) {
    this.#direct = direct
  }

  /** As a test gets it: it does not end with the test. */
  async place(): Promise<DriverPlace> {
    const place = await (this.#place ??= StripedPlace.start({ direct: this.#direct }))
    return { file: (layout) => place.file(layout), [Symbol.asyncDispose]: async () => {} }
  }

  /** Ends it; what has gone past the iods. */
  async close(): Promise<DirectCounts> {
    const place = await this.#place
    assert.ok(place !== undefined)
    await place[Symbol.asyncDispose]()
    return place.client.direct.counts
  }
}

/** A file seen through drivers, and in its datafiles. */
export class StripedDriverFile implements DriverFile {
  readonly #cluster: Cluster
  readonly #client: Client
  readonly #opened: OpenResult
  readonly #direct: DirectChoice
  readonly #drivers: StripedFile[] = []

  constructor(cluster: Cluster, client: Client, opened: OpenResult, direct: DirectChoice) {
    this.#direct = direct
    this.#cluster = cluster
    this.#client = client
    this.#opened = opened
  }

  /** As ranks of one collective open have it: a driver each, one capability. */
  async open(): Promise<StripedFile> {
    const driver = new StripedFile(this.#client, this.#opened)
    driver.direct = this.#direct
    this.#drivers.push(driver)
    return driver
  }

  async close(): Promise<void> {
    const driver = this.#drivers[0] ?? (await this.open())
    for (const each of this.#drivers) each.release()
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
