import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { type Deferred, deferred } from '../../lib/base/deferred.js'
import { IoError } from '../../lib/base/errors.js'
import type { Client } from '../../lib/driver/client.js'
import { mkdir, rename, rmdir, stat, truncate, unlink } from '../../lib/driver/namespace.js'
import { NO_ID } from '../../lib/protocol/hello.js'
import { MANAGER } from '../../lib/protocol/manager.js'
import { type Asker, KeptReplies, REPLIES_KEPT } from '../../servers/manager/kept-replies.js'
import { KINDS, keyOf } from '../../servers/manager/keys.js'
import { MemoryDisk } from '../../servers/manager/store/memory.js'
import { entriesOf, type Store } from '../../servers/manager/store/store.js'
import { pattern, readAt, type SimOpen, World, writeAt } from '../sim/world.js'
import { rejects } from '../support/assertions.js'

const test = suite('kept-replies')

const OUTCOME = Uint8Array.of(1, 2, 3)

interface Once {
  readonly op: number
  readonly work: (client: Client, file: SimOpen, world: World) => Promise<unknown>
  readonly names: readonly string[]
}

const [CREATE, OPEN] = [MANAGER.open.op, MANAGER.open.op]
const POINTER = { view: 0, start: 5, change: 'add', value: 10 } as const

const OPERATIONS: Readonly<Record<string, Once>> = {
  mkdir: {
    op: MANAGER.mkdir.op,
    work: (client) => mkdir(client, '/e', 0o755),
    names: ['d', 'e', 'f', 'g'],
  },
  rmdir: { op: MANAGER.rmdir.op, work: (client) => rmdir(client, '/d'), names: ['f', 'g'] },
  rename: {
    op: MANAGER.rename.op,
    work: (client) => rename(client, '/f', '/h'),
    names: ['d', 'g', 'h'],
  },
  'rename over a file': {
    op: MANAGER.rename.op,
    work: (client) => rename(client, '/g', '/f'),
    names: ['d', 'f'],
  },
  unlink: { op: MANAGER.unlink.op, work: (client) => unlink(client, '/g'), names: ['d', 'f'] },
  'exclusive creation': {
    op: CREATE,
    work: async (client, _, world) => {
      const { opened } = await world.open(client, '/n', { exclusive: true })
      assert.ok(opened.handle > 0)
    },
    names: ['d', 'f', 'g', 'n'],
  },
  'open of a file': {
    op: OPEN,
    work: async (client, file, world) => {
      const open = await world.open(client, '/f', { create: false })
      assert.is(open.opened.handle, file.opened.handle)
      await writeAt(open, 0, pattern(100))
    },
    names: ['d', 'f', 'g'],
  },
  truncate: {
    op: MANAGER.truncate.op,
    work: async (client, file) => {
      await truncate(client, '/f', 5)
      assert.is((await readAt(file, 0, 100)).length, 5)
    },
    names: ['d', 'f', 'g'],
  },
  'shared pointer': {
    op: MANAGER.sharedPointer.op,
    work: async (_, { file }) => {
      assert.is(await file.sharedPointer(POINTER), 5)
      assert.is(await file.sharedPointer({ ...POINTER, change: 'get' }), 15)
    },
    names: ['d', 'f', 'g'],
  },
}

for (const [name, { op, work, names }] of Object.entries(OPERATIONS)) {
  test(`${name} is done once although the manager dies between doing and saying it`, async () => {
    await using world = await World.start({ iods: 2 })
    const client = world.client()
    const file = await world.run(world.open(client, '/f'))
    await world.run(writeAt(file, 0, pattern(40_000)))
    await world.run(world.close(await world.run(world.open(client, '/g'))))
    await world.run(mkdir(client, '/d', 0o755))
    await world.quiet()

    let restarted: Promise<void> | undefined
    world.frames(({ to, request }, seen) => {
      if (restarted !== undefined || request || to !== 'manager:7300' || seen !== op)
        return undefined
      world.killManager()
      restarted = world.startManager()
      return { kind: 'cut', delivered: false }
    })
    await world.run(work(client, file, world))
    assert.ok(restarted !== undefined, 'the manager did not die')
    await restarted
    await world.quiet()
    assert.equal(await world.run(world.names()), names)
    const opens = op === MANAGER.open.op ? 2 : 1
    assert.is((await world.run(world.status())).opens, opens)
    await world.expectAgreement()
  })
}

test('these are all the operations that may not be done twice, but for a check that says what it repairs', () => {
  const once = Object.values(MANAGER).flatMap(({ op, idempotent }) => (idempotent ? [] : [op]))
  const known = Object.values(OPERATIONS).map(({ op }) => op)
  assert.equal(new Set([...known, MANAGER.fsck.op]), new Set(once))
})

test('what failed is tried anew by the next manager', async () => {
  await using world = await World.start({ iods: 1 })
  const client = world.client()
  await world.refused(rmdir(client, '/d'))
  await world.restartManager()
  await world.run(mkdir(client, '/d', 0o755))
  await world.run(rmdir(client, '/d'))
})

test('the end of a session forgets what was kept of its clients, also after a restart', async () => {
  await using world = await World.start({ iods: 1 })
  const client = world.client()
  await world.run(mkdir(client, '/d', 0o755))
  assert.is((await kept(world.store)).length, 1)
  await world.run(client.close({ leave: true }))
  await world.quiet()
  assert.equal(await kept(world.store), [])

  const other = world.client()
  await world.run(mkdir(other, '/e', 0o755))
  await other.close({ leave: false })
  await world.restartManager()
  assert.is((await kept(world.store)).length, 1)
  await world.sim.clock.advance(world.timing.sessionLeaseMs + world.timing.heartbeatMs)
  assert.equal(await kept(world.store), [])
  assert.is((await world.run(stat(world.client(), '/e'))).kind, 'directory')
})

test('what is still being done for a session when it ends is kept for nobody', async () => {
  const commits = new Commits()
  await using world = await World.start({ iods: 1, metadata: { fault: commits.fault } })
  const client = world.client()
  await world.run(mkdir(client, '/d', 0o755))
  commits.hold()
  const doing = mkdir(client, '/e', 0o755).catch(() => {})
  await world.sim.clock.advance(10)
  await world.run(client.close({ leave: true }))
  commits.release()
  await world.run(doing)
  await world.quiet()
  assert.equal(await kept(world.store), [])
  assert.is((await world.run(stat(world.client(), '/e'))).kind, 'directory')
  await world.restartManager()
  assert.equal([...(await KeptReplies.load(world.store)).sessions()], [])
})

test('what is still being done when the manager stops in order is kept for the next one', async () => {
  const commits = new Commits()
  await using world = await World.start({ iods: 1, metadata: { fault: commits.fault } })
  const client = world.client()
  await world.run(mkdir(client, '/d', 0o755))
  commits.hold()
  const doing = mkdir(client, '/e', 0o755)
  await world.sim.clock.advance(10)
  const stopping = world.manager.close()
  commits.release()
  await world.run(stopping)
  await world.restartManager()
  // Asked for again, it is told what was done: that a directory is there already is no error of its own.
  await world.run(doing)
})

test('as many outcomes are kept of a client as it may have requests without an answer', async () => {
  const store = new MemoryDisk().open()
  const replies = await KeptReplies.load(store)
  const ask = (requestId: number): Asker => askerOf('a', requestId)
  for (let requestId = 1; requestId <= REPLIES_KEPT; requestId++)
    await commit(store, replies, ask(requestId))
  assert.equal(await replies.find(ask(1)), OUTCOME)
  await commit(store, replies, ask(REPLIES_KEPT + 1))
  assert.is(await replies.find(ask(1)), undefined)
  assert.equal(await replies.find(ask(2)), OUTCOME)
  assert.is((await kept(store)).length, REPLIES_KEPT)
  // And the next manager counts on.
  const next = await KeptReplies.load(store)
  await commit(store, next, ask(REPLIES_KEPT + 2))
  assert.is(await next.find(ask(2)), undefined)
  await store.close()
})

test('what a client has received is forgotten, some at a time, while its session goes on', async () => {
  await using world = await World.start({ iods: 1 })
  const client = world.client()
  for (let index = 0; index < 300; index++) await world.run(mkdir(client, `/${index}`, 0o755))
  await world.quiet()
  let kept = 0
  for await (const _ of entriesOf(world.store, keyOf(KINDS.reply))) kept++
  assert.ok(kept < 100, `${kept} of 300 outcomes are kept`)
})

test('what could not be stored counts for nothing, and what could not be removed is removed later', async () => {
  let fails = false
  const fault = (): void => {
    if (fails) throw new IoError('MPI_ERR_NO_SPACE', 'full')
  }
  const store = new MemoryDisk().open({ fault })
  const replies = await KeptReplies.load(store)
  const ask = (requestId: number): Asker => askerOf('a', requestId)
  for (let requestId = 1; requestId < REPLIES_KEPT; requestId++)
    await commit(store, replies, ask(requestId))
  fails = true
  for (let requestId = REPLIES_KEPT; requestId < 2 * REPLIES_KEPT; requestId++)
    await rejects(commit(store, replies, ask(requestId)), 'MPI_ERR_NO_SPACE')
  replies.acknowledge('a'.repeat(32), 100)
  await rejects(replies.forget('6'.repeat(32)), 'MPI_ERR_NO_SPACE')
  fails = false
  await commit(store, replies, ask(9999))
  assert.is((await kept(store)).length, REPLIES_KEPT, 'nothing was pushed out')
  await replies.forget('6'.repeat(32))
  assert.is((await kept(store)).length, REPLIES_KEPT - 99)
  fails = true
  await rejects(replies.forget('5'.repeat(32)), 'MPI_ERR_NO_SPACE')
  fails = false
  // With the next batch, of whomever.
  for (let requestId = 1; requestId < 100; requestId++)
    await commit(store, replies, { ...askerOf('b', requestId), sessionId: '7'.repeat(32) })
  replies.acknowledge('b'.repeat(32), 100)
  await store.flush()
  assert.equal(await kept(store), [])
})

test('a try that did not hold keeps nothing, and clients are told apart', async () => {
  const store = new MemoryDisk().open()
  const replies = await KeptReplies.load(store)
  replies.keep(askerOf('a', 1), OUTCOME)
  assert.is(await replies.find(askerOf('a', 1)), undefined)
  await commit(store, replies, askerOf('a', 1))
  assert.is(await replies.find(askerOf('b', 1)), undefined)
  assert.equal([...replies.sessions()], ['5'.repeat(32)])
  assert.equal(replies.keep({ ...askerOf('c', 1), sessionId: NO_ID }, OUTCOME), [])
  await replies.forget('5'.repeat(32))
  assert.equal(await kept(store), [])
  await store.close()
})

/** Commits of a store that wait while they are held. */
class Commits {
  #gate: Deferred<void> | undefined

  readonly fault = async (step: 'commit' | 'flush'): Promise<void> => {
    if (step === 'commit') await this.#gate?.promise
  }

  hold(): void {
    this.#gate = deferred()
  }

  release(): void {
    this.#gate?.resolve()
    this.#gate = undefined
  }
}

function askerOf(letter: string, requestId: number): Asker {
  return { clientId: letter.repeat(32), sessionId: '5'.repeat(32), requestId }
}

async function commit(store: Store, replies: KeptReplies, asker: Asker): Promise<void> {
  const operations = replies.keep(asker, OUTCOME)
  await store.transact({ compare: [], operations, durability: 'committed' })
}

async function kept(store: Store): Promise<Uint8Array[]> {
  const keys: Uint8Array[] = []
  for await (const { key } of entriesOf(store, keyOf(KINDS.reply))) keys.push(key)
  return keys
}

test.run()
