// A real disk that is full on one iod of a real cluster: a small tmpfs, which takes root to mount.
import { execFileSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { File, FileSystem, Mode } from '../../lib/index.js'
import { type Cluster, startCluster } from '../../servers/index.js'
import { rejects } from '../support/assertions.js'
import { unlessMissing } from '../support/optional.js'
import { onRanks } from '../support/ranks.js'

const test = suite('disk full')

const MIB = 2 ** 20

/** The iod whose disk is small. */
const SMALL = 1

const ifMounts = unlessMissing(test, whyNot())

ifMounts(
  'a disk that is full on one iod is told to every rank, old data are intact, and it goes on when there is space',
  async () => {
    await using place = await Place.start()
    const { cluster } = place
    await using files = await FileSystem.connect(cluster.url)
    const old = Uint8Array.from({ length: 3 * MIB }, (_, index) => (index >> 8) & 0xff)
    await files.writeFile('/old', old, { stripSize: MIB, iodCount: 3, firstIod: 0 })
    const errors = await onRanks(3, cluster, async (comm) => {
      const info = { striping_unit: MIB, striping_factor: 3, start_iodevice: 0 }
      await using file = await File.open(comm, '/big', Mode.CREATE | Mode.RDWR, info)
      // Each rank has one iod for itself; what rank 1 writes does not fit.
      let error: Error | undefined
      for (let round = 0; error === undefined && round < 8; round++) {
        const offset = (3 * round + comm.rank) * MIB
        error = await file.writeAtAll(offset, new Uint8Array(MIB).fill(round)).then(
          () => undefined,
          (reason: Error) => reason,
        )
      }
      const { code, message, context } = await rejects(Promise.reject(error))
      return { code, message, context }
    })
    assert.equal(
      errors.map(({ code }) => code),
      ['MPI_ERR_IO', 'MPI_ERR_NO_SPACE', 'MPI_ERR_IO'],
    )
    const [first, cause, last] = errors
    assert.equal([cause?.context.iod, cause?.context.errno], [SMALL, 'ENOSPC'])
    for (const told of [first, last]) {
      assert.is(told?.context.reason, 'REMOTE')
      assert.is(told?.context.rank, 1)
    }
    assert.is(Buffer.compare(await files.readFile('/old'), old), 0)
    const error = await rejects(
      files.writeFile('/more', new Uint8Array(12 * MIB)),
      'MPI_ERR_NO_SPACE',
    )
    assert.is(error.context.iod, SMALL)
    await files.unlink('/big')
    await files.unlink('/more')
    const again = old.toReversed()
    await files.writeFile('/again', again, { stripSize: MIB, iodCount: 3, firstIod: 0 })
    assert.is(Buffer.compare(await files.readFile('/again'), again), 0)
  },
)

/** A cluster of three iods, one of which has a disk of 4 MiB. */
class Place implements AsyncDisposable {
  readonly cluster: Cluster
  readonly #directory: string

  private constructor(cluster: Cluster, directory: string) {
    this.cluster = cluster
    this.#directory = directory
  }

  static async start(): Promise<Place> {
    const directory = mkdtempSync(join(tmpdir(), 'full-'))
    mount(join(directory, `iod-${SMALL}`), '4m')
    try {
      return new Place(await startCluster({ iods: 3, directory }), directory)
    } catch (error) {
      unmount(directory)
      throw error
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.cluster.close()
    unmount(this.#directory)
  }
}

function mount(path: string, size: string): void {
  mkdirSync(path)
  execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${size}`, 'tmpfs', path], { stdio: 'pipe' })
}

function unmount(directory: string): void {
  execFileSync('umount', [join(directory, `iod-${SMALL}`)])
  rmSync(directory, { recursive: true })
}

function whyNot(): string | undefined {
  const directory = mkdtempSync(join(tmpdir(), 'full-'))
  try {
    mount(join(directory, `iod-${SMALL}`), '64k')
    unmount(directory)
    return undefined
  } catch {
    rmSync(directory, { recursive: true })
    return 'a small disk can be mounted by root only'
  }
}

test.run()
