// The store of the manager is full for a while: what could not be committed was not done, in memory either. Whatever is
// asked answers as before, and what was refused is done once when it is asked for again.
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { IoError, isIoError } from '../../lib/base/errors.js'
import type { Client } from '../../lib/driver/client.js'
import {
  mkdir,
  rename,
  rmdir,
  setAttributes,
  stat,
  truncate,
  unlink,
} from '../../lib/driver/namespace.js'
import { MANAGER } from '../../lib/protocol/manager.js'
import { pattern, readAt, type SimOpen, World, writeAt } from '../sim/world.js'

const test = suite('full store')

const BYTES = pattern(20_000)

/** When the store is full, in commits since it was asked for something: this one only, or from it on. */
interface Full {
  readonly from: number
  readonly lasts: boolean
}

/** A world with a file /f that is open, /g and /h that are not, and an empty directory /d. */
class Scene implements AsyncDisposable {
  readonly world: World
  readonly client: Client
  readonly file: SimOpen
  readonly #store: { full: Full | undefined; commits: number }

  static async start(): Promise<Scene> {
    const store = { full: undefined as Full | undefined, commits: 0 }
    const fault = (step: 'commit' | 'flush'): void => {
      if (step === 'flush' || store.full === undefined) return
      const { from, lasts } = store.full
      const number = store.commits++
      if (number === from || (lasts && number > from))
        throw new IoError('MPI_ERR_NO_SPACE', 'store: full', { errno: 'ENOSPC' })
    }
    const world = await World.start({ iods: 2, metadata: { fault } })
    const client = world.client()
    for (const path of ['/g', '/h']) {
      const made = await world.run(world.open(client, path))
      await world.run(writeAt(made, 0, BYTES))
      await world.run(world.close(made))
    }
    await world.run(mkdir(client, '/d', 0o755))
    const file = await world.run(world.open(client, '/f'))
    await world.run(writeAt(file, 0, BYTES))
    await world.run(file.file.sharedPointer({ view: 0, start: 0, change: 'add', value: 7 }))
    await world.quiet()
    return new Scene(world, client, file, store)
  }

  private constructor(
    world: World,
    client: Client,
    file: SimOpen,
    store: { full: Full | undefined; commits: number },
  ) {
    this.world = world
    this.client = client
    this.file = file
    this.#store = store
  }

  /** Commits that were tried since the store was full. */
  get commits(): number {
    return this.#store.commits
  }

  /** Runs `work` while the store is full; whether anything was refused for it. */
  async whileFull(full: Full, work: () => Promise<unknown>): Promise<boolean> {
    this.#store.commits = 0
    this.#store.full = full
    try {
      await this.world.run(work())
      return false
    } catch (error) {
      assert.ok(isIoError(error, 'MPI_ERR_NO_SPACE'), String(error))
      return true
    } finally {
      this.#store.full = undefined
    }
  }

  /** What anybody may ask, without the names of capabilities. */
  async answers(): Promise<unknown> {
    const { world, client, file } = this
    const names = await world.run(world.names())
    const files = names.filter((name) => name !== 'd' && name !== 'e')
    const attributes = files.map(async (name) => {
      const { size, mode, handle } = await stat(client, `/${name}`)
      // A file that is made in a second try has another handle.
      return name === 'n' ? { size, mode } : { size, mode, handle }
    })
    const status = await world.run(world.status())
    const look = { view: 0, start: 0, change: 'get', value: 0 } as const
    return {
      names,
      attributes: await world.run(Promise.all(attributes)),
      opens: status.opens,
      reopens: status.reopens,
      pointer: await world.run(
        file.file.sharedPointer(look).catch((error: Error) => error.message),
      ),
      intents: status.intents,
    }
  }

  /** What is durable. */
  async durable(): Promise<unknown> {
    const { world } = this
    const all = await world.run(world.records())
    const ordered = all.sort((one, other) => one.handle - other.handle)
    const records = ordered.map((record) => {
      const { rights, state, unlinked, hasData } = record
      return { rights, state, unlinked, hasData: [...hasData] }
    })
    return { records, datafiles: [0, 1].map((iod) => world.datafiles(iod)) }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.world[Symbol.asyncDispose]()
  }
}

const CLOSE = 'a file is closed'

const ADD = { view: 0, start: 0, change: 'add', value: 5 } as const

const WORKS: Readonly<Record<string, (scene: Scene) => Promise<unknown>>> = {
  'a directory is made': ({ client }) => mkdir(client, '/e', 0o755),
  'a directory is removed': ({ client }) => rmdir(client, '/d'),
  'a file is renamed': ({ client }) => rename(client, '/g', '/n'),
  'a file is renamed over another': ({ client }) => rename(client, '/g', '/h'),
  'a file is renamed over one that is open': ({ client }) => rename(client, '/g', '/f'),
  'a file is removed': ({ client }) => unlink(client, '/g'),
  'a file that is open is removed': ({ client }) => unlink(client, '/f'),
  'a file is made': ({ world, client }) => world.open(client, '/n'),
  'a file is opened': ({ world, client }) => world.open(client, '/g', { create: false }),
  'a file is opened and cut': ({ world, client }) => world.open(client, '/g', { truncate: true }),
  'a file is cut': ({ client }) => truncate(client, '/g', 5000),
  'a file that is open is cut': ({ file }) => file.file.resize(5000),
  [CLOSE]: ({ world, file }) => world.close(file),
  'a file is flushed': ({ file }) => file.file.flush(),
  'a shared pointer is moved': ({ file }) => file.file.sharedPointer(ADD),
  'attributes are set': ({ client }) => setAttributes(client, '/g', { mode: 0o600 }),
  'an open is replaced': ({ client, file }) =>
    client.manager.control(MANAGER.reopen, { capability: file.file.capability }),
  'a range is locked': async ({ file }) => {
    const lock = await file.file.lock({ from: 0, to: 10, exclusive: true })
    await lock.release('clean')
  },
}

for (const [what, work] of Object.entries(WORKS)) {
  test(`${what}: refused as long as the store is full, and done once when it is not`, async () => {
    await using reference = await Scene.start()
    const before = await reference.answers()
    await reference.world.run(work(reference))
    await reference.world.quiet()
    const [answers, durable] = [await reference.answers(), await reference.durable()]
    let refused = 0
    for (const lasts of [false, true]) {
      for (let from = 0; ; from++) {
        await using scene = await Scene.start()
        const where = `full from commit ${from} on${lasts ? '' : ', once'}`
        if (await scene.whileFull({ from, lasts }, () => work(scene))) {
          refused++
          // That a file is closed is recorded first: then it is, and only what comes of it is missing.
          if (what !== CLOSE || from === 0) {
            assert.equal(await scene.answers(), before, where)
            const all = await scene.world.run(readAt(scene.file, 0, BYTES.length))
            assert.equal(all, BYTES, where)
          }
          await scene.world.run(work(scene))
        } else if (from > 8) break
        await scene.world.quiet()
        assert.equal(await scene.answers(), answers, where)
        assert.equal(await scene.durable(), durable, where)
        await scene.world.expectAgreement()
      }
    }
    assert.ok(refused > 0, 'nothing was refused')
  })
}

test('a session that ends while the store is full is closed when there is room again', async () => {
  for (const from of [0, 1]) {
    await using scene = await Scene.start()
    const { world, client } = scene
    await scene.whileFull({ from, lasts: true }, async () => {
      await client.close({ leave: true })
      await world.sim.clock.advance(3 * world.timing.heartbeatMs)
    })
    assert.is((await world.run(world.status())).opens, 1, 'nobody else will close it')
    await world.quiet()
    assert.is((await world.run(world.status())).opens, 0)
    await world.expectAgreement()
  }
})

test('however many opens wait for room, and however long, it is two lines in the log and few tries', async () => {
  await using scene = await Scene.start()
  const { world, client } = scene
  for (let index = 0; index < 40; index++) await world.run(world.open(client, `/many-${index}`))
  const told = (): string[] =>
    world.events.map(({ event }) => event).filter((event) => /^opens .* closed/.test(event))
  const minute = 60_000
  await scene.whileFull({ from: 0, lasts: true }, async () => {
    await client.close({ leave: true })
    await world.sim.clock.advance(minute)
    const before = scene.commits
    await world.sim.clock.advance(minute)
    assert.ok(scene.commits - before <= 5 * 45, `${scene.commits - before} commits in a minute`)
    assert.equal(told(), ['opens cannot be closed yet'])
    assert.is((await world.run(world.status())).opens, 41)
  })
  await world.quiet()
  assert.is((await world.run(world.status())).opens, 0)
  assert.equal(told(), ['opens cannot be closed yet', 'opens are closed at last'])
  await world.expectAgreement()
})

test('a manager that stops tries no close again, and the next one does', async () => {
  await using scene = await Scene.start()
  const { world, client } = scene
  await scene.whileFull({ from: 0, lasts: true }, async () => {
    await client.close({ leave: true })
    await world.sim.clock.advance(world.timing.heartbeatMs)
    assert.ok(scene.commits > 2)
    await world.manager.close()
    const before = scene.commits
    await world.sim.clock.advance(20 * world.timing.heartbeatMs)
    assert.is(scene.commits, before)
  })
  await world.restartManager()
  await world.sim.clock.advance(world.timing.sessionLeaseMs)
  await world.quiet()
  assert.is((await world.run(world.status())).opens, 0)
  await world.expectAgreement()
})

test('an iod that was away and has something to do is served from again although the store is full', async () => {
  await using scene = await Scene.start()
  const { world, client, file } = scene
  world.frames(({ from, to }) => (isBetween(from, to) ? { kind: 'silence' } : undefined))
  await world.run(unlink(client, '/g'))
  await world.sim.clock.advance(world.timing.iodLeaseMs + world.timing.silenceMs)
  await scene.whileFull({ from: 0, lasts: true }, async () => {
    world.heal()
    await world.quiet()
    assert.equal(await readAt(file, 0, BYTES.length), BYTES)
  })
  assert.is((await world.run(world.status())).intents, 0)
  await world.quiet()
  await world.restartManager()
  await world.quiet()
  await world.expectAgreement()
  assert.equal(world.datafiles(0), world.datafiles(1))
})

/** Whether a frame is between the manager and iod 0. */
function isBetween(from: string, to: string): boolean {
  const ends = [from, to]
  const meets = (host: string): boolean => ends.some((end) => end.startsWith(host))
  return meets('manager') && meets('iod-0')
}

test('an iod that starts while the store is full is heard when there is room again', async () => {
  await using scene = await Scene.start()
  const { world, file } = scene
  const before = await scene.answers()
  world.killIod(0)
  let starting: Promise<unknown> | undefined
  await scene.whileFull({ from: 0, lasts: true }, async () => {
    starting = world.startIod(0)
    await world.sim.clock.advance(world.timing.heartbeatMs)
  })
  await world.run(starting ?? Promise.resolve())
  await world.quiet()
  assert.equal(await scene.answers(), before)
  assert.equal(await world.run(readAt(file, 0, BYTES.length)), BYTES)
  await world.restartManager()
  await world.quiet()
  await world.expectAgreement()
})

test('moves of a shared pointer that come together with one that is refused leave no gap', async () => {
  for (let from = 0; from < 4; from++) {
    await using scene = await Scene.start()
    const { world, file } = scene
    const places: number[] = []
    const move = async (): Promise<void> => void places.push(await file.file.sharedPointer(ADD))
    let refused = 0
    await scene.whileFull({ from, lasts: false }, async () => {
      // Some come while the first ones are being committed.
      const moves = Array.from({ length: 8 }, async (_, index) => {
        for (let turn = 0; turn < index % 4; turn++) await Promise.resolve()
        await move().catch(() => refused++)
      })
      await Promise.all(moves)
    })
    for (let again = 0; again < refused; again++) await world.run(move())
    assert.equal(
      places.sort((one, other) => one - other),
      Array.from({ length: 8 }, (_, index) => 7 + 5 * index),
      `commit ${from} fails`,
    )
  }
})

test.run()
