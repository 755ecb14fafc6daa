// T1 of recovery on real processes: an open that fails because of one iod leaves names, opens, datafiles and
// descriptors on every server as they were, which is counted in the tables of the processes themselves.
import { mkdtempSync, readdirSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import type { FaultPoint } from '../../lib/base/faults.js'
import { FAULTS_VARIABLE } from '../../lib/base/faults.js'
import { type Timing, TIMING } from '../../lib/base/timing.js'
import { type FileHandle, FileSystem } from '../../lib/index.js'
import { IOD } from '../../lib/protocol/iod.js'
import { type Cluster, startCluster } from '../../servers/index.js'
import { rejects, until } from '../support/assertions.js'
import { Random } from '../support/random.js'
import { Orders } from '../verify/killpoints/orders.js'
import { descriptorsOf } from '../verify/load/descriptors.js'

const test = suite('failed-open')

const IODS = 3
const LAYOUT = { stripSize: 65_536, iodCount: IODS, firstIod: 0 }
const BYTES = new Random(11).bytes(300_000)

const HEARTBEAT_MS = 250

/** Short: each case waits until an iod is given up. */
const TIMES: Partial<Timing> = {
  connectMs: 300,
  silenceMs: 700,
  directLeaseMs: 500,
  heartbeatMs: HEARTBEAT_MS,
  iodLeaseMs: 3_000,
  listenMs: 300,
}

/** Opens that fail, by what is there before. */
const OPENS: Readonly<Record<string, (place: Place) => Promise<FileHandle>>> = {
  'a creation': ({ files }) => files.open('/new', 'wx+', LAYOUT),
  'the first open of a file': ({ files }) => files.open('/closed', 'r+'),
  'a further open of a file': ({ files }) => files.open('/open', 'r+'),
  'an open that cuts the file': ({ files }) => files.open('/cut', 'w+'),
}

interface Failure {
  readonly fail: (place: Place, iod: number) => Promise<void>
  /** Whether it befalls all opens that are under way alike: then they are tried at once. */
  readonly isLasting: boolean
}

/** How an iod fails; `mend` makes it well again. */
const FAILURES: Readonly<Record<string, Failure>> = {
  'refuses connections': { fail: (place, iod) => place.cluster.kill(iod), isLasting: true },
  hangs: { fail: async (place, iod) => place.cluster.stop(iod), isLasting: true },
  'is reset when it is told': {
    fail: async (place, iod) => place.dieAt(iod, 'request.arrived'),
    isLasting: true,
  },
  'does it, and its acknowledgement is lost': {
    fail: async (place, iod) => place.dieAt(iod, 'answer.send'),
    isLasting: false,
  },
}

test('an open that fails leaves everything as it was, whichever iod fails and however', async () => {
  await using place = await Place.start()
  for (const [how, { fail, isLasting }] of Object.entries(FAILURES)) {
    const opens = Object.entries(OPENS)
    const groups = isLasting ? [opens] : opens.map((open) => [open])
    for (let iod = 0; iod < IODS; iod++) {
      for (const group of groups) {
        const where = `${group.map(([what]) => what).join(', ')}; iod ${iod} ${how}`
        const before = await place.state()
        await fail(place, iod)
        const errors = await Promise.all(group.map(([, open]) => rejects(open(place))))
        for (const { context } of errors)
          assert.equal([context.reason, context.iod], ['IOD_DOWN', iod], where)
        await place.mend(iod)
        await place.expect(before, iod, where)
      }
    }
  }
  await place.expectUsable()
})

interface State {
  readonly names: readonly string[]
  readonly opens: number
  /** Sizes of datafiles, by path. */
  readonly datafiles: Readonly<Record<string, number>>
  /** By server: paths of files in its table of descriptors, and how many sockets are there. */
  readonly descriptors: readonly { readonly files: readonly string[]; readonly sockets: number }[]
}

class Place implements AsyncDisposable {
  readonly cluster: Cluster
  readonly files: FileSystem
  readonly #orders: Orders
  readonly #kept: FileHandle

  static async start(): Promise<Place> {
    const orders = new Orders(mkdtempSync(join(tmpdir(), 'rankio-orders-')))
    process.env[FAULTS_VARIABLE] = orders.folder
    const cluster = await startCluster({ iods: IODS, timing: TIMES })
    const files = await FileSystem.connect(cluster.url, {
      timing: { ...TIMING, heartbeatMs: HEARTBEAT_MS },
    })
    const sockets = (): number => openOf(cluster.pidOf('manager')).sockets
    const alone = sockets()
    for (const path of ['/closed', '/open', '/cut']) {
      await using file = await files.open(path, 'w+', LAYOUT)
      await file.write(BYTES, 0, BYTES.length, 0)
    }
    const kept = await files.open('/open', 'r+')
    // The thread that keeps the session has a connection of its own, from the first heartbeat of the client on.
    await until(() => sockets() > alone)
    return new Place(cluster, files, orders, kept)
  }

  private constructor(cluster: Cluster, files: FileSystem, orders: Orders, kept: FileHandle) {
    this.cluster = cluster
    this.files = files
    this.#orders = orders
    this.#kept = kept
  }

  /** An iod dies when OPEN comes, or when it is about to answer it. */
  dieAt(iod: number, point: FaultPoint): void {
    this.#orders.kill({ server: iod, point, op: IOD.open.op, crossing: 1 })
  }

  /** The iod is well again, and all servers know of each other. */
  async mend(iod: number): Promise<void> {
    this.#orders.withdraw(iod)
    this.cluster.continue(iod)
    if (!this.#runs(iod)) await this.cluster.restart(iod)
    await until(async () => {
      const { iods, intents } = await this.files.status()
      return intents === 0 && iods.every(({ state }) => state === 'up')
    })
  }

  async state(): Promise<State> {
    const { opens } = await this.files.status()
    const names = (await this.files.readdir('/')).map(({ name }) => name).sort()
    const descriptors = (['manager', ...Array(IODS).keys()] as const).map((server) =>
      openOf(this.cluster.pidOf(server)),
    )
    return { names, opens, datafiles: this.#datafiles(), descriptors }
  }

  /** Expects a state as before; an iod that was started again has no more descriptors than it had. */
  async expect(before: State, iod: number, where: string): Promise<void> {
    let now = await this.state()
    try {
      await until(async () => isSame((now = await this.state()), before, iod))
    } catch {
      assert.equal(now, before, where)
    }
  }

  /** Files are as they were written, and every one can be opened. */
  async expectUsable(): Promise<void> {
    const read = async (file: FileHandle): Promise<void> => {
      const { buffer } = await file.read(new Uint8Array(BYTES.length), 0, BYTES.length, 0)
      assert.ok(Buffer.from(BYTES).equals(buffer))
    }
    await read(this.#kept)
    for (const path of ['/closed', '/cut']) {
      await using closed = await this.files.open(path, 'r+')
      await read(closed)
    }
    await using made = await this.files.open('/new', 'wx+', LAYOUT)
    await made.write(BYTES, 0, BYTES.length, 0)
    await read(made)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#kept.close()
    await this.files.close()
    await this.cluster.close()
    Reflect.deleteProperty(process.env, FAULTS_VARIABLE)
    rmSync(this.#orders.folder, { recursive: true })
  }

  #runs(iod: number): boolean {
    try {
      return this.cluster.pidOf(iod) > 0
    } catch {
      return false
    }
  }

  #datafiles(): Record<string, number> {
    const sizes: Record<string, number> = {}
    for (let iod = 0; iod < IODS; iod++) {
      const root = join(this.cluster.iodDirectory(iod), 'data')
      for (const folder of readdirSync(root))
        for (const name of readdirSync(join(root, folder)))
          sizes[`${iod}/${name}`] = statSync(join(root, folder, name)).size
    }
    return sizes
  }
}

function isSame(now: State, before: State, iod: number): boolean {
  const wanted = JSON.stringify(before)
  if (JSON.stringify(now) === wanted) return true
  // A server that was started again has opened nothing yet.
  const restarted = iod + 1
  const descriptors = now.descriptors.map((own, server) => {
    const old = before.descriptors[server]
    const isLess =
      server === restarted &&
      old !== undefined &&
      own.files.every((path) => old.files.includes(path))
    return isLess && own.sockets <= old.sockets ? old : own
  })
  return JSON.stringify({ ...now, descriptors }) === wanted
}

// Files that were opened by a path, and the number of sockets; what Node has for itself stays the same.
function openOf(pid: number): State['descriptors'][number] {
  const targets = descriptorsOf(pid)
  const files = targets.filter((target) => target.startsWith('/') && !target.startsWith('/dev/'))
  const sockets = targets.filter((target) => target === 'socket').length
  return { files: files.sort(), sockets }
}

test.run()
