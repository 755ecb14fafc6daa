// How each operation of the manager is played. What follows an `act` is newer than it: nothing that is
// late may undo it.
import * as assert from 'uvu/assert'
import { isIoError } from '../../../lib/base/errors.js'
import {
  mkdir,
  rename,
  rmdir,
  setAttributes,
  stat,
  truncate,
  unlink,
} from '../../../lib/driver/namespace.js'
import { datafilePath } from '../../../lib/protocol/data-directory.js'
import { FSCK_START } from '../../../lib/protocol/findings.js'
import { COMMON } from '../../../lib/protocol/hello.js'
import { LIMITS } from '../../../lib/protocol/limits.js'
import { MANAGER } from '../../../lib/protocol/manager.js'
import { DIRECTORY, readAt, type SimOpen } from '../../sim/world.js'
import { type Case, FILE_BYTES, type Scene, unlessRefused } from './scene.js'

/** One for each operation of the table: the compiler names the one that is missing. */
export const MANAGER_CASES: Readonly<Record<keyof typeof MANAGER, Case>> = {
  hello: {
    from: /^client/,
    run: async (scene) => {
      const client = scene.world.client()
      await scene.act(() => unlessRefused(() => mkdir(client, '/d', 0o755)))
      await scene.late()
      assert.equal(await scene.names(), ['d'])
    },
  },
  ping: {
    from: /^client/,
    run: async (scene) => {
      const client = scene.world.client()
      await scene.run(client.manager.connect())
      const ping = { op: COMMON.ping.op, length: 0 }
      await scene.act(() => client.manager.call(() => ping))
      await scene.late()
      await scene.run(mkdir(client, '/d', 0o755))
    },
  },
  join: {
    run: async (scene) => {
      const clients = [scene.world.client(), scene.world.client()]
      const replies = await scene.act(() =>
        Promise.all(
          clients.map(({ manager }, rank) =>
            manager.control(MANAGER.join, {
              job: 'j',
              rank,
              size: clients.length,
              url: `rankio://rank-${rank}:20000`,
              hostId: '',
            }),
          ),
        ),
      )
      const [first] = replies
      assert.equal(
        first?.ranks.map(({ url }) => url),
        ['rankio://rank-0:20000', 'rankio://rank-1:20000'],
      )
      for (const reply of replies) assert.equal(reply, first)
      await scene.late()
    },
  },
  leave: {
    run: async (scene) => {
      const { client } = await scene.opened()
      await scene.act(() => client.close({ leave: true }))
      await scene.late()
      // Where the manager could not be told the lease of the session does it, once the connection has ended.
      await scene.world.sim.clock.advance(scene.world.timing.sessionLeaseMs)
      await scene.opens(0)
      assert.equal(await scene.names(), ['f'])
    },
  },
  stat: asking(async ({ client }) => {
    assert.is((await stat(client, '/f')).size, FILE_BYTES)
  }),
  open: {
    run: async (scene) => {
      const client = scene.world.client()
      await scene.run(client.manager.connect())
      const open = await scene.act(() =>
        scene.world.open(client, '/f', { exclusive: true, firstIod: 0 }),
      )
      await scene.opens(1)
      await scene.written(open, 1)
      await scene.run(scene.world.close(open))
      await scene.run(unlink(client, '/f'))
      await scene.late()
      await scene.opens(0)
      assert.equal(await scene.names(), [])
      assert.equal([scene.world.datafiles(0), scene.world.datafiles(1)], [[], []])
    },
  },
  close: {
    run: async (scene) => {
      const open = await scene.opened()
      await scene.written(open, 1)
      await scene.act(() => scene.world.close(open))
      await scene.opens(0)
      const again = await scene.run(scene.world.open(open.client, '/f'))
      await scene.late()
      await scene.opens(1)
      await scene.reads(again, 1)
    },
  },
  reopen: {
    run: async (scene) => {
      const { client, opened } = await scene.opened()
      const { capability } = opened
      const ask = async (): Promise<string> =>
        (await client.manager.control(MANAGER.reopen, { capability })).capability
      const renewed = await scene.act(ask)
      assert.not.equal(renewed, capability)
      await scene.world.sim.clock.advance(scene.lateMs)
      assert.is(await scene.run(ask()), renewed)
      await scene.world.quiet()
      await scene.world.expectAgreement()
      const records = await scene.run(scene.world.records())
      assert.equal(
        records.map((record) => record.capability),
        [renewed],
      )
      assert.is((await scene.run(scene.world.status())).reopens, 1)
    },
  },
  mkdir: changing(
    (client) => mkdir(client, '/d', 0o755),
    ['d', 'f'],
    (client) => rmdir(client, '/d'),
    ['f'],
  ),
  rmdir: changing(
    (client) => rmdir(client, '/e'),
    ['f'],
    (client) => mkdir(client, '/e', 0o755),
    ['e', 'f'],
    (client) => mkdir(client, '/e', 0o755),
  ),
  readdir: asking(async (_, scene) => {
    assert.equal(await scene.world.names(), ['f'])
  }),
  rename: changing(
    (client) => rename(client, '/f', '/g'),
    ['g'],
    (client) => mkdir(client, '/f', 0o755),
    ['f', 'g'],
  ),
  unlink: {
    run: async (scene) => {
      const { client } = await scene.opened()
      await scene.act(() => unlink(client, '/f'))
      assert.equal(await scene.names(), [])
      const newer = await scene.opened()
      await scene.written(newer, 2)
      await scene.late()
      assert.equal(await scene.names(), ['f'])
      await scene.reads(newer, 2)
    },
  },
  truncate: {
    run: async (scene) => {
      const open = await scene.opened()
      await scene.written(open, 1)
      await scene.act(() => truncate(open.client, '/f', 5))
      assert.is((await scene.run(readAt(open, 0, FILE_BYTES))).length, 5)
      await scene.written(open, 2)
      await scene.late()
      await scene.reads(open, 2)
    },
  },
  setAttributes: {
    run: async (scene) => {
      const { client } = await scene.opened()
      const modeOf = async (): Promise<number> => (await scene.run(stat(client, '/f'))).mode
      await scene.act(() => setAttributes(client, '/f', { mode: 0o600 }))
      assert.is(await modeOf(), 0o600)
      await scene.run(setAttributes(client, '/f', { mode: 0o640 }))
      await scene.late()
      assert.is(await modeOf(), 0o640)
    },
  },
  statfs: asking(async ({ client }) => {
    const { iodCount, total } = await client.manager.control(MANAGER.statfs, {})
    assert.is(iodCount, 2)
    assert.ok(total > 0)
  }),
  iods: asking(async ({ client }) => {
    const { iods } = await client.manager.control(MANAGER.iods, {})
    assert.equal(
      iods.map(({ index, state }) => [index, state]),
      [
        [0, 'up'],
        [1, 'up'],
      ],
    )
  }),
  noteData: asking(async ({ client, opened: { capability } }) => {
    await client.manager.control(MANAGER.noteData, { capability, parts: Uint8Array.of(3) })
  }),
  status: asking(async ({ client }) => {
    assert.is((await client.manager.control(MANAGER.status, {})).opens, 1)
  }),
  sharedPointer: {
    run: async (scene) => {
      const { client, opened } = await scene.opened()
      const move = async (): Promise<number> => {
        const request = { view: 0, start: 5, change: 'add', value: 10 } as const
        const { capability } = opened
        return (await client.manager.control(MANAGER.sharedPointer, { capability, ...request }))
          .position
      }
      assert.is(await scene.act(move), 5)
      assert.is(await scene.run(move()), 15)
      await scene.late()
      assert.is(await scene.run(move()), 25)
    },
  },
  lock: locking(async (scene, open) => {
    const token = await scene.act(() => locked(open, 1))
    await unlocked(scene, open, 1)
    // Nobody is in the way, and tokens go up.
    assert.ok((await scene.run(locked(open, 2))) > token)
    await unlocked(scene, open, 2)
  }),
  renewLock: locking(async (scene, { client, opened: { capability } }) => {
    const range = { lock: 1, ...WHOLE }
    const take = () => scene.run(client.manager.control(MANAGER.lock, { capability, ...range }))
    const { token } = await take()
    const asked = { capability, token, claim: range }
    const renewed = await scene.act(() =>
      client.manager.control(MANAGER.renewLock, asked).catch((error: unknown) => {
        // Its lease is shorter than the silence after which a connection is given up.
        if (isIoError(error) && error.context.reason === 'LOCK_LOST') return undefined
        throw error
      }),
    )
    if (renewed !== undefined) assert.is(renewed.token, token)
    else assert.ok((await take()).token > token)
    await scene.run(
      client.manager.control(MANAGER.unlock, { capability, lock: 1, access: 'clean' }),
    )
  }),
  unlock: locking(async (scene, open) => {
    await scene.run(locked(open, 1))
    await scene.act(() => open.client.manager.control(MANAGER.unlock, unlockOf(open, 1)))
    const before = scene.world.sim.clock.now()
    await scene.run(locked(open, 2))
    assert.is(scene.world.sim.clock.now(), before)
    await unlocked(scene, open, 2)
  }),
  fsck: {
    run: async (scene) => {
      const { world } = scene
      const open = await scene.opened()
      await scene.written(open, 1)
      // A datafile of nobody: its handle was never given out.
      world.hostOf(0).disk.open(`${DIRECTORY}/data/${datafilePath(900)}`, 'create')
      const { client } = open
      const request = { place: { ...FSCK_START, stage: 'datafiles' }, repair: true } as const
      const { findings } = await scene.act(() => client.manager.control(MANAGER.fsck, request))
      assert.equal(
        findings.map(({ kind, repaired }) => [kind, repaired]),
        [['ORPHAN_DATAFILE', 'quarantined']],
      )
      await scene.late()
      assert.equal(world.datafiles(0), [open.opened.handle])
      await scene.reads(open, 1)
    },
  },
  replace: {
    run: async (scene) => {
      const { world } = scene
      const open = await scene.opened()
      await scene.written(open, 1)
      world.killIod(0)
      const { disk } = world.hostOf(0)
      for (const name of disk.list(DIRECTORY))
        if (disk.sizeOf(`${DIRECTORY}/${name}`) !== undefined)
          await scene.run(disk.remove(`${DIRECTORY}/${name}`))
      await scene.act(() =>
        unlessRefused(async () => {
          await world.startIod(0, { acceptDataLoss: true })
        }),
      )
      await scene.late()
      assert.equal(world.datafiles(0), [])
      const newer = await scene.opened('/newer')
      await scene.written(newer, 2)
    },
  },
  sync: starting(),
  snapshotChunk: starting(LIMITS.recordsPerChunk + 1),
  commit: starting(),
  ready: starting(),
  heartbeat: {
    run: async (scene) => {
      const open = await scene.opened()
      await scene.act(() => scene.world.run(Promise.resolve()))
      await scene.world.quiet()
      await scene.written(open, 1)
      await scene.late()
      await scene.written(open, 2)
    },
  },
  audit: {
    run: async (scene) => {
      const { world } = scene
      const dead = await scene.opened('/dead')
      await scene.written(dead, 1)
      await scene.run(world.close(dead))
      await scene.run(unlink(dead.client, '/dead'))
      const open = await scene.opened()
      await scene.written(open, 2)
      // As if its removal had been forgotten.
      world.hostOf(0).disk.open(`${DIRECTORY}/data/${datafilePath(dead.opened.handle)}`, 'create')
      world.killIod(0)
      await scene.act(() => world.startIod(0))
      await scene.late()
      assert.equal(world.datafiles(0), [open.opened.handle])
      await scene.reads(open, 2)
    },
  },
}

/** Others that say the same words. */
export const MORE_MANAGER_CASES: readonly (readonly [name: keyof typeof MANAGER, Case])[] = [
  ['hello', { ...starting(), from: /^iod/ }],
]

// An iod starts while a file is open on it: the open goes on, and nobody notices.
function starting(opens = 1): Case {
  return {
    run: async (scene) => {
      const open = await scene.opened()
      const more = Array.from({ length: opens - 1 }, () => scene.world.open(open.client, '/f'))
      await scene.run(Promise.all(more))
      await scene.written(open, 1)
      await scene.act(() =>
        unlessRefused(async () => {
          scene.world.killIod(0)
          await scene.world.startIod(0)
        }),
      )
      await scene.reads(open, 1)
      await scene.opens(opens)
      await scene.written(open, 2)
      await scene.late()
      await scene.opens(opens)
      await scene.written(open, 3)
    },
  }
}

// What only asks: the answer is right, and nothing has changed.
function asking(ask: (open: SimOpen, scene: Scene) => Promise<void>): Case {
  return {
    run: async (scene) => {
      const open = await scene.opened()
      await scene.written(open, 1)
      await scene.act(() => ask(open, scene))
      await scene.late()
      await scene.opens(1)
      await scene.reads(open, 1)
    },
  }
}

type Change = (client: SimOpen['client']) => Promise<void>

// What changes names: once, and not again when something newer has happened to them.
function changing(
  change: Change,
  names: readonly string[],
  newer: Change,
  namesThen: readonly string[],
  first: Change = async () => {},
): Case {
  return {
    run: async (scene) => {
      const { client } = await scene.opened()
      await scene.run(first(client))
      await scene.act(() => change(client))
      assert.equal(await scene.names(), names)
      await scene.run(newer(client))
      await scene.late()
      assert.equal(await scene.names(), namesThen)
    },
  }
}

/** All bytes that a file can have, for one alone. */
const WHOLE = { from: 0, to: Number.MAX_SAFE_INTEGER, exclusive: true }

// Ends with a write that no fence is in the way of.
function locking(run: (scene: Scene, open: SimOpen) => Promise<void>): Case {
  return {
    run: async (scene) => {
      const open = await scene.opened()
      await run(scene, open)
      await scene.late()
      await scene.written(open, 1)
      await scene.opens(1)
    },
  }
}

async function locked({ client, opened }: SimOpen, lock: number): Promise<number> {
  const request = { capability: opened.capability, lock, ...WHOLE }
  return (await client.manager.control(MANAGER.lock, request)).token
}

function unlockOf({ opened: { capability } }: SimOpen, lock: number) {
  return { capability, lock, access: 'clean' } as const
}

async function unlocked(scene: Scene, open: SimOpen, lock: number): Promise<void> {
  await scene.run(open.client.manager.control(MANAGER.unlock, unlockOf(open, lock)))
}
