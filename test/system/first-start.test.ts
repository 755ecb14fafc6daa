// The first start of a manager and of an iod, killed at each kind of step: the next start goes on with what is
// there, and the file system is one that works.
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { FAULTS_VARIABLE } from '../../lib/base/faults.js'
import { FileSystem } from '../../lib/index.js'
import { MANAGER } from '../../lib/protocol/manager.js'
import { startCluster } from '../../servers/index.js'
import { until } from '../support/assertions.js'
import { Random } from '../support/random.js'
import { type Crossing, Orders } from '../verify/killpoints/orders.js'

const test = suite('first-start')

const BYTES = new Random(2).bytes(100_000)

const manager = (point: Crossing['point'], crossing: number): Crossing => {
  return { server: 'manager', point, crossing }
}
const iod = (point: Crossing['point'], crossing: number, op?: number): Crossing => {
  return { server: 0, point, crossing, ...(op === undefined ? {} : { op }) }
}

const DEATHS: readonly Crossing[] = [
  // The epoch; the first handles.
  manager('store.committed', 1),
  manager('store.commit', 3),
  // Folders, both slots of the superblock, then the incarnation.
  iod('disk.makeDirectory', 200),
  iod('disk.created', 1),
  iod('disk.written', 2),
  iod('disk.synced', 1),
  iod('disk.synced', 3),
  // Who it is, and what it should know.
  iod('answer.arrived', 1, MANAGER.sync.op),
  iod('answer.arrived', 1, MANAGER.commit.op),
  iod('request.send', 1, MANAGER.ready.op),
]

test('a first start that is cut short at any step is gone on with by the next one', async () => {
  await using place = new Place()
  for (const death of DEATHS) {
    const { server, point, op, crossing } = death
    const where = `${server} at ${point} ${op ?? ''} ${crossing}`
    assert.ok(await place.dies(death), `${where}: it did not die`)
    await place.works(where)
  }
})

class Place implements AsyncDisposable {
  readonly #root = mkdtempSync(join(tmpdir(), 'first-start-'))
  readonly #orders = new Orders(this.#root)
  #clusters = 0

  constructor() {
    process.env[FAULTS_VARIABLE] = this.#orders.folder
  }

  get #directory(): string {
    return join(this.#root, `cluster-${this.#clusters}`)
  }

  /** Starts a cluster of which one server dies; false if it does not. */
  async dies(death: Crossing): Promise<boolean> {
    this.#clusters++
    this.#orders.kill(death)
    try {
      await using cluster = await startCluster({ iods: 1, directory: this.#directory })
      // What comes after it listens.
      return await until(() => {
        try {
          return cluster.pidOf(death.server) < 0
        } catch {
          return true
        }
      })
    } catch {
      return true
    } finally {
      this.#orders.withdraw(death.server)
    }
  }

  /** Starts it again: there is a file system, and nothing is wrong with it. */
  async works(where: string): Promise<void> {
    await using cluster = await startCluster({ directory: this.#directory })
    await using files = await FileSystem.connect(cluster.url)
    await files.writeFile('/f', BYTES)
    assert.ok(Buffer.from(BYTES).equals(await files.readFile('/f')), where)
    for await (const finding of files.fsck()) assert.unreachable(`${where}: ${finding.kind}`)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    Reflect.deleteProperty(process.env, FAULTS_VARIABLE)
    rmSync(this.#root, { recursive: true })
  }
}

test.run()
