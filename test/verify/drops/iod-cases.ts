// How each operation of an iod is played: what the manager tells it, and what clients read and write.
import * as assert from 'uvu/assert'
import { stat, truncate, unlink } from '../../../lib/driver/namespace.js'
import { randomId } from '../../../lib/base/runtime.js'
import { COMMON, NO_ID } from '../../../lib/protocol/hello.js'
import { type DATA, IOD } from '../../../lib/protocol/iod.js'
import { MANAGER } from '../../../lib/protocol/manager.js'
import type { RequestOf } from '../../../lib/protocol/operation.js'
import { Link } from '../../../lib/transport/link.js'
import { plainAccess } from '../../contract/driver.js'
import { isIodDown, pattern, portOf, readAt, writeAt } from '../../sim/world.js'
import { type Case, FILE_BYTES, type Scene, unlessRefused } from './scene.js'

const restarting: Case = {
  from: /^manager/,
  run: async (scene) => {
    const open = await scene.opened()
    await scene.written(open, 1)
    scene.world.killIod(0)
    await scene.act(() => scene.world.startIod(0))
    await scene.opens(1)
    await scene.written(open, 2)
    const other = await scene.opened('/g')
    await scene.written(other, 3)
    await scene.late()
    await scene.opens(2)
    await scene.reads(open, 2)
    await scene.reads(other, 3)
  },
}

/** One for each operation of the table: the compiler names the one that is missing. */
export const IOD_CASES: Readonly<Record<keyof typeof IOD, Case>> = {
  hello: restarting,
  ping: {
    from: /^client/,
    run: async (scene) => {
      const open = await scene.opened()
      await scene.written(open, 1)
      const ping = { op: COMMON.ping.op, length: 0 }
      await scene.act(() => open.client.iod(0).call(() => ping))
      await scene.late()
      await scene.reads(open, 1)
    },
  },
  reconcile: restarting,
  reconcileChunk: {
    run: async (scene) => {
      const open = await scene.opened('/f')
      const kept = await scene.opened('/g')
      // The iod misses a close, so that it wants the whole table.
      scene.also = ({ from, to, request }, op) =>
        from === 'manager' && to.startsWith('iod-0:') && request && op === IOD.close.op
          ? { kind: 'cut', delivered: false }
          : undefined
      await scene.act(() => scene.world.close(open))
      scene.also = () => undefined
      await scene.opens(1)
      await scene.late()
      await scene.opens(1)
      await scene.written(kept, 1)
    },
  },
  open: {
    run: async (scene) => {
      const client = scene.world.client()
      await scene.run(client.manager.connect())
      const open = await scene.act(() => scene.world.open(client, '/f', { firstIod: 0 }))
      await scene.opens(1)
      await scene.written(open, 1)
      await scene.run(scene.world.close(open))
      await scene.late()
      await scene.opens(0)
    },
  },
  close: {
    run: async (scene) => {
      const open = await scene.opened()
      await scene.written(open, 1)
      await scene.act(() => scene.world.close(open))
      const again = await scene.opened()
      await scene.opens(1)
      await scene.late()
      await scene.opens(1)
      await scene.reads(again, 1)
    },
  },
  hold: cutting(),
  release: {
    run: async (scene) => {
      const open = await scene.opened()
      await scene.written(open, 1)
      scene.world.killIod(1)
      const error = await scene.act(async () => {
        try {
          await truncate(open.client, '/f', 5)
        } catch (refusal) {
          return refusal
        }
        return undefined
      })
      assert.ok(isIodDown(error), 'a cut with an iod that is down')
      await scene.run(scene.world.startIod(1))
      await scene.written(open, 2)
      await scene.late()
      await scene.written(open, 3)
    },
  },
  truncate: cutting(),
  remove: {
    run: async (scene) => {
      const open = await scene.opened()
      await scene.written(open, 1)
      await scene.run(scene.world.close(open))
      await scene.act(() => unlink(open.client, '/f'))
      await scene.agreed()
      const gone = [scene.world.datafiles(0), scene.world.datafiles(1)]
      assert.equal(gone, [[], []])
      const newer = await scene.opened()
      await scene.written(newer, 2)
      await scene.late()
      await scene.reads(newer, 2)
      assert.is((await scene.run(scene.world.status())).intents, 0)
    },
  },
  localSize: {
    run: async (scene) => {
      const open = await scene.opened()
      await scene.written(open, 1)
      const { size } = await scene.act(() => stat(open.client, '/f'))
      assert.is(size, FILE_BYTES)
      await scene.late()
      await scene.reads(open, 1)
    },
  },
  space: {
    run: async (scene) => {
      const client = scene.world.client()
      const { iodCount } = await scene.act(() => client.manager.control(MANAGER.statfs, {}))
      assert.is(iodCount, 2)
      await scene.late()
    },
  },
  datafiles: told(async (link, handle) => {
    const { handles } = await link.control(IOD.datafiles, { folder: 0, after: 0 })
    assert.equal(handles, [handle])
  }),
  pieces: told(async (link, handle) => {
    const { sizes } = await link.control(IOD.pieces, { handles: [handle, handle + 1] })
    assert.equal(
      sizes.map((size) => size !== undefined),
      [true, false],
    )
  }),
  // Of a file that is open nothing goes away.
  quarantine: told(async (link, handle) => {
    const { moved } = await link.control(IOD.quarantine, { handles: [handle] })
    assert.equal(moved, [])
  }),
  fence: {
    run: async (scene) => {
      const open = await scene.opened()
      const { file } = open
      const range = { from: 0, to: FILE_BYTES, exclusive: true }
      const { capability } = open.opened
      const ask = async (lock: number): Promise<number> => {
        const request = { capability, lock, ...range }
        return (await open.client.manager.control(MANAGER.lock, request)).token
      }
      const lost = await scene.run(ask(1))
      // Nobody renews it: the next one gets it when every iod refuses what the first may still send.
      const next = await scene.act(() => ask(2))
      assert.ok(next > lost)
      const access = plainAccess(0, pattern(FILE_BYTES, 1))
      const late = await scene.world.refused(file.write({ ...access, fence: file.fenceOf(lost) }))
      assert.is(late.context.reason, 'LOCK_LOST')
      await scene.run(file.write({ ...access, fence: file.fenceOf(next) }))
      await scene.late()
      await scene.opens(1)
      await scene.reads(open, 1)
    },
  },
  survey: told(async (link, handle) => {
    assert.is((await link.control(IOD.survey, {})).handle, handle)
  }),
  openTable: told(async (link) => {
    assert.is((await link.control(IOD.openTable, {})).opens, 1)
  }),
  direct: onDirect(async (link, use) => {
    assert.is((await link.control(IOD.direct, { ...use, number: 1 })).answer, 'granted')
  }),
  watchDirect: onDirect(async (link, use) => {
    await link.control(IOD.direct, { ...use, number: 1 })
    // Where the network was at fault for longer than a lease it is over.
    const { renewed } = await link.control(IOD.watchDirect, {})
    assert.ok(renewed.length <= 1)
  }),
  endDirect: onDirect(async (link, use) => {
    await link.control(IOD.direct, { ...use, number: 1 })
    await link.control(IOD.endDirect, { numbers: [1] })
  }),
}

/** Others that say the same words. */
export const MORE_IOD_CASES: readonly (readonly [name: keyof typeof IOD, Case])[] = [
  [
    'hello',
    {
      from: /^client/,
      run: async (scene) => {
        const open = await scene.opened()
        await scene.act(() => unlessRefused(() => writeAt(open, 0, pattern(FILE_BYTES, 1))))
        await scene.reads(open, 1)
        await scene.late()
        await scene.reads(open, 1)
      },
    },
  ],
]

/** One for each operation on data. */
export const DATA_CASES: Readonly<Record<keyof typeof DATA, Case>> = {
  write: {
    run: async (scene) => {
      const open = await scene.opened()
      await scene.written(open, 1)
      await scene.act(() => writeAt(open, 0, pattern(FILE_BYTES, 2)))
      await scene.reads(open, 2)
      await scene.written(open, 3)
      await scene.late()
      await scene.reads(open, 3)
    },
  },
  read: onData(async (scene, open) => {
    const bytes = await readAt(open, 0, FILE_BYTES)
    assert.equal(Buffer.from(bytes), Buffer.from(pattern(FILE_BYTES, 1)))
    return scene
  }),
  flush: onData(async (scene, open) => {
    await open.file.flush()
    return scene
  }),
  size: onData(async (scene, open) => {
    assert.is(await open.file.size(), FILE_BYTES)
    return scene
  }),
  allocate: {
    run: async (scene) => {
      const open = await scene.opened()
      await scene.written(open, 1)
      await scene.act(() => open.file.preallocate(3 * FILE_BYTES))
      assert.is(await scene.run(open.file.size()), 3 * FILE_BYTES)
      // What is late makes no file longer that was cut meanwhile.
      await scene.run(open.file.resize(FILE_BYTES))
      await scene.late()
      await scene.reads(open, 1)
      assert.is(await scene.run(open.file.size()), FILE_BYTES)
    },
  },
}

function onData(
  work: (scene: Scene, open: Awaited<ReturnType<Scene['opened']>>) => Promise<Scene>,
): Case {
  return {
    run: async (scene) => {
      const open = await scene.opened()
      await scene.written(open, 1)
      await scene.act(() => work(scene, open))
      await scene.late()
      await scene.reads(open, 1)
    },
  }
}

// Whatever has become of a grant, it keeps nobody from cutting the file for longer than its lease.
function onDirect(
  ask: (link: Link, use: Omit<RequestOf<typeof IOD.direct>, 'number'>) => Promise<void>,
): Case {
  return {
    run: async (scene) => {
      const { world } = scene
      // Only who is on the host of the iod may.
      const client = world.client(undefined, 0)
      const open = await scene.run(world.open(client, '/f', { firstIod: 0 }))
      await scene.written(open, 1)
      const { handle, capability } = open.opened
      const link = open.client.iod(0)
      await scene.act(() => ask(link, { handle, capability, writes: true }))
      const before = scene.world.sim.clock.now()
      await scene.run(truncate(scene.world.client(), '/f', 5))
      // Moments have a fraction, which their difference does not keep to the last bit.
      const ms = Math.round(scene.world.sim.clock.now() - before)
      assert.ok(ms <= scene.world.timing.directLeaseMs, `it was cut after ${ms} ms`)
      await scene.written(open, 2)
      await scene.late()
      await scene.reads(open, 2)
    },
  }
}

// What only a check asks: said by a manager of our own, which takes the place of the real one for a moment.
function told(ask: (link: Link, handle: number) => Promise<void>): Case {
  return {
    run: async (scene) => {
      const { world } = scene
      const open = await scene.opened()
      await scene.written(open, 1)
      const { fsid, iods } = await scene.run(world.status())
      const { epoch } = world
      const version = iods[0]?.version ?? 0
      const { network, ...runtime } = world.sim.host('manager')
      const link = new Link({
        runtime: { ...runtime, network },
        timing: world.timing,
        name: 'iod 0',
        addresses: () => [{ kind: 'tcp', host: 'iod-0', port: portOf(0) }],
        role: 'manager',
        clientId: randomId(runtime.random),
        sessionId: () => NO_ID,
        fsid: () => fsid,
        server: 'iod',
        retries: Number.POSITIVE_INFINITY,
        onConnect: async (rpc) => {
          const state = { ...epoch, version, intents: [], held: [] }
          const { answer } = await rpc.control(1, IOD.reconcile, state)
          assert.is(answer, 'same')
        },
      })
      await scene.act(() => ask(link, open.opened.handle))
      link.close()
      await scene.late()
      await scene.opens(1)
      await scene.reads(open, 1)
    },
  }
}

// The file is cut, and what is written then is cut by nothing that is late; nor is the file held for ever.
function cutting(): Case {
  return {
    run: async (scene) => {
      const open = await scene.opened()
      await scene.written(open, 1)
      await scene.act(() => truncate(open.client, '/f', 5))
      assert.is((await scene.run(readAt(open, 0, FILE_BYTES))).length, 5)
      await scene.written(open, 2)
      await scene.late()
      await scene.reads(open, 2)
      const before = scene.world.sim.clock.now()
      await scene.written(open, 3)
      assert.ok(scene.world.sim.clock.now() - before < 1000, 'the file is held')
    },
  }
}
