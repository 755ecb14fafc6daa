// A cluster of processes with one file open, for tests of servers that die.
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import * as assert from 'uvu/assert'
import type { Timing } from '../../lib/base/timing.js'
import { type FileHandle, FileSystem } from '../../lib/index.js'
import { type Cluster, startCluster } from '../../servers/index.js'

/** Strips of 64 KiB over three iods, the first one first. */
export const LAYOUT = { stripSize: 65_536, iodCount: 3, firstIod: 0 }

/** A cluster with a client that has one file open. */
export class Place implements AsyncDisposable {
  readonly cluster: Cluster
  readonly files: FileSystem
  readonly file: FileHandle

  private constructor(cluster: Cluster, files: FileSystem, file: FileHandle) {
    this.cluster = cluster
    this.files = files
    this.file = file
  }

  static async start(timing: Partial<Timing> = {}): Promise<Place> {
    const cluster = await startCluster({ iods: 3, timing })
    const files = await FileSystem.connect(cluster.url)
    return new Place(cluster, files, await files.open('/f', 'w+', LAYOUT))
  }

  /** Datafiles on all iods. */
  datafiles(): number {
    let count = 0
    for (let iod = 0; iod < this.cluster.iodCount; iod++) {
      const root = join(this.cluster.iodDirectory(iod), 'data')
      for (const folder of readdirSync(root)) count += readdirSync(join(root, folder)).length
    }
    return count
  }

  /** No open had to be made again, and none is left but those that are open. */
  async expectUnnoticed(): Promise<void> {
    const { reopens, opens } = await this.files.status()
    assert.equal({ reopens, opens }, { reopens: 0, opens: 0 })
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.files.close()
    await this.cluster.close()
  }
}

/** Writes all of `bytes`. */
export async function put(file: FileHandle, bytes: Uint8Array, at: number): Promise<void> {
  await file.write(bytes, 0, bytes.length, at)
}

/** Reads at most `length` bytes. */
export async function get(file: FileHandle, length: number, at: number): Promise<Uint8Array> {
  const { bytesRead, buffer } = await file.read(new Uint8Array(length), 0, length, at)
  return buffer.subarray(0, bytesRead)
}
