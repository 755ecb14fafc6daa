// The classes of operations that servers die in. Each makes what it needs, does one operation, looks at
// its outcome, and takes away what it has made.
import * as assert from 'uvu/assert'
import { contiguous, RunList, sourceOf } from '../../../lib/base/regions.js'
import {
  mkdir,
  rename,
  rmdir,
  setAttributes,
  stat,
  truncate,
  unlink,
} from '../../../lib/driver/namespace.js'
import { File, Mode } from '../../../lib/index.js'
import { MANAGER } from '../../../lib/protocol/manager.js'
import { pattern, readAt, writeAt } from '../../sim/world.js'
import { FILE_BYTES, IODS, type KillPlace } from './place.js'

/** One class of operations. */
export type Play = (place: KillPlace) => Promise<void>

/** All of them, by name. */
export const PLAYS: Readonly<Record<string, Play>> = {
  create: async (place) => {
    const path = place.path()
    const open = await place.act(() => place.open(path, { exclusive: true }))
    assert.ok(open.opened.handle > 0)
    await place.write(open, 1)
    await place.reads(open, 1)
    await place.close(open)
    await unlink(place.client, path)
  },
  open: async (place) => {
    const first = await place.written(1)
    await place.close(first)
    const open = await place.act(() => place.open(first.path, { create: false }))
    await place.reads(open, 1)
    await place.close(open)
    await unlink(place.client, first.path)
  },
  'further open': async (place) => {
    const first = await place.written(1)
    const open = await place.act(() => place.open(first.path, { create: false }))
    await place.reads(open, 1)
    await place.reads(first, 1)
    await place.close(open)
    await place.close(first)
    await unlink(place.client, first.path)
  },
  'open with truncate': async (place) => {
    const first = await place.written(1)
    const open = await place.act(() => place.open(first.path, { create: false, truncate: true }))
    assert.is((await readAt(open, 0, 10)).length, 0)
    await place.write(open, 2)
    await place.reads(first, 2)
    await place.close(open)
    await place.close(first)
    await unlink(place.client, first.path)
  },
  close: async (place) => {
    const open = await place.written(1)
    await place.act(() => place.close(open))
    assert.is((await stat(place.client, open.path)).size, FILE_BYTES)
    const again = await place.open(open.path, { create: false })
    await place.reads(again, 1)
    await place.close(again)
    await unlink(place.client, open.path)
  },
  'close without a name': async (place) => {
    const open = await place.written(1)
    await unlink(place.client, open.path)
    await place.reads(open, 1)
    await place.act(() => place.close(open))
  },
  unlink: async (place) => {
    const open = await place.written(1)
    await place.close(open)
    await place.act(() => unlink(place.client, open.path))
    assert.equal(await place.names(), [])
  },
  'unlink while open': async (place) => {
    const open = await place.written(1)
    await place.act(() => unlink(place.client, open.path))
    assert.equal(await place.names(), [])
    await place.reads(open, 1)
    await place.close(open)
  },
  rename: async (place) => {
    const open = await place.written(1)
    const to = place.path()
    await place.act(() => rename(place.client, open.path, to))
    assert.equal(await place.names(), [to.slice(1)])
    await place.reads(open, 1)
    await place.close(open)
    await unlink(place.client, to)
  },
  'rename over a file': async (place) => {
    const open = await place.written(1)
    const target = await place.written(2)
    await place.close(target)
    await place.act(() => rename(place.client, open.path, target.path))
    assert.equal(await place.names(), [target.path.slice(1)])
    await place.reads(open, 1)
    await place.close(open)
    await unlink(place.client, target.path)
  },
  mkdir: async (place) => {
    const path = place.path()
    await place.act(() => mkdir(place.client, path, 0o755))
    assert.equal(await place.names(), [path.slice(1)])
    await rmdir(place.client, path)
  },
  rmdir: async (place) => {
    const path = place.path()
    await mkdir(place.client, path, 0o755)
    await place.act(() => rmdir(place.client, path))
    assert.equal(await place.names(), [])
  },
  truncate: async (place) => {
    const open = await place.written(1)
    await place.act(() => truncate(place.client, open.path, 5))
    assert.is((await readAt(open, 0, 100)).length, 5)
    await place.write(open, 2)
    await place.reads(open, 2)
    await place.close(open)
    await unlink(place.client, open.path)
  },
  'set size': async (place) => {
    const open = await place.written(1)
    await place.act(() => open.file.resize(FILE_BYTES / 2))
    assert.is(await open.file.size(), FILE_BYTES / 2)
    await place.write(open, 2)
    await place.reads(open, 2)
    await place.close(open)
    await unlink(place.client, open.path)
  },
  'set attributes': async (place) => {
    const open = await place.written(1)
    await place.close(open)
    await place.act(() => setAttributes(place.client, open.path, { mode: 0o600, mtimeMs: 7 }))
    const { mode, mtimeMs } = await stat(place.client, open.path)
    assert.equal([mode, mtimeMs], [0o600, 7])
    await unlink(place.client, open.path)
  },
  'shared pointer': async (place) => {
    const open = await place.written(1)
    const request = { view: 0, start: 5, change: 'add', value: 10 } as const
    assert.is(await place.act(() => open.file.sharedPointer(request)), 5)
    assert.is(await open.file.sharedPointer(request), 15)
    await place.close(open)
    await unlink(place.client, open.path)
  },
  write: async (place) => {
    const open = await place.written(1)
    await place.act(() => place.write(open, 2))
    await place.reads(open, 2)
    await place.close(open)
    await unlink(place.client, open.path)
  },
  'first write': async (place) => {
    const path = place.path()
    const open = await place.open(path)
    await place.act(() => place.write(open, 1))
    await place.reads(open, 1)
    await place.close(open)
    await unlink(place.client, path)
  },
  'write of pieces': async (place) => {
    const open = await place.written(1)
    const piece = 4000
    const count = 50
    const bytes = pattern(piece * count, 3)
    const places = RunList.of(
      Array.from({ length: count }, (_, i) => ({ offset: i * piece * 2, length: piece })),
    )
    const access = {
      file: () => sourceOf(places),
      memory: () => contiguous(0, bytes.length),
      buffer: bytes,
      bytes: bytes.length,
    }
    await place.act(() => open.file.write(access))
    const expected = pattern(FILE_BYTES, 1)
    for (let i = 0; i < count; i++)
      expected.set(bytes.subarray(i * piece, (i + 1) * piece), i * piece * 2)
    assert.ok(Buffer.from(expected).equals(await readAt(open, 0, FILE_BYTES)), 'pieces')
    await place.close(open)
    await unlink(place.client, open.path)
  },
  read: async (place) => {
    const open = await place.written(1)
    await place.act(() => place.reads(open, 1))
    await place.close(open)
    await unlink(place.client, open.path)
  },
  'long read': async (place) => {
    const path = place.path()
    const open = await place.open(path, { iodCount: 1 })
    const bytes = pattern(6_000_000, 4)
    await writeAt(open, 0, bytes)
    const read = await place.act(() => readAt(open, 0, bytes.length))
    assert.ok(Buffer.from(bytes).equals(read), 'bytes')
    await place.close(open)
    await unlink(place.client, path)
  },
  sync: async (place) => {
    const open = await place.written(1)
    await place.act(() => open.file.flush())
    await place.reads(open, 1)
    await place.close(open)
    await unlink(place.client, open.path)
  },
  'collective write': async (place) => {
    const path = place.path()
    const comms = place.ranks(2)
    const half = FILE_BYTES / comms.length
    const bytes = pattern(FILE_BYTES, 5)
    const files = await Promise.all(
      comms.map((comm) => File.open(comm, path, Mode.CREATE | Mode.RDWR)),
    )
    const mine = (rank: number): Uint8Array => bytes.slice(rank * half, (rank + 1) * half)
    await place.act(() =>
      Promise.all(files.map((file, rank) => file.writeAtAll(rank * half, mine(rank)))),
    )
    await Promise.all(files.map((file) => file.close()))
    await Promise.all(comms.map((comm) => comm.free()))
    const open = await place.open(path, { create: false })
    await place.reads(open, 5)
    await place.close(open)
    await unlink(place.client, path)
  },
  'ranks meet': async (place) => {
    const comms = await place.act(() => place.meeting(2))
    await Promise.all(comms.map((comm) => comm.barrier()))
    await Promise.all(comms.map((comm) => comm.free()))
  },
  'write in atomic mode': async (place) => {
    const path = place.path()
    const [comm] = place.ranks(1)
    assert.ok(comm !== undefined)
    const file = await File.open(comm, path, Mode.CREATE | Mode.RDWR)
    await file.setAtomicity(true)
    const bytes = pattern(FILE_BYTES, 6)
    await place.act(() => file.writeAt(0, bytes))
    await file.close()
    await comm.free()
    const open = await place.open(path, { create: false })
    await place.reads(open, 6)
    await place.close(open)
    await unlink(place.client, path)
  },
  'end of a session': async (place) => {
    const client = place.newClient()
    const path = place.path()
    const open = await place.open(path, {}, client)
    await place.write(open, 1)
    await place.act(() => client.close({ leave: true }))
    const again = await place.open(path, { create: false })
    await place.reads(again, 1)
    await place.close(again)
    await unlink(place.client, path)
  },
  'start of an iod': async (place) => {
    const open = await place.written(1)
    const [gone, cut] = [await place.written(2), await place.written(3)]
    await place.close(gone)
    // What it has missed comes with its state.
    await place.cluster.kill(0)
    await unlink(place.client, gone.path)
    await place.act(() => place.bounce(0))
    await place.reads(open, 1)
    await place.reads(cut, 3)
    for (const { path, ...rest } of [open, cut]) {
      await place.close(rest)
      await unlink(place.client, path)
    }
  },
  'start of the manager': async (place) => {
    const open = await place.written(1)
    await place.act(() => place.bounce('manager'))
    await place.reads(open, 1)
    await place.close(open)
    await unlink(place.client, open.path)
  },
  'a close that an iod has missed': async (place) => {
    const open = await place.written(1)
    const kept = await place.written(2)
    place.cluster.stop(IODS - 1)
    const closing = place.close(open)
    await place.heartbeats(2)
    await place.act(async () => {
      place.cluster.continue(IODS - 1)
      await closing
    })
    await place.reads(kept, 2)
    await place.close(kept)
    for (const { path } of [open, kept]) await unlink(place.client, path)
  },
  heartbeats: async (place) => {
    const open = await place.written(1)
    await place.act(() => place.heartbeats(2))
    await place.reads(open, 1)
    await place.close(open)
    await unlink(place.client, open.path)
  },
  'asking for space': async (place) => {
    const { iodCount } = await place.act(() => place.client.manager.control(MANAGER.statfs, {}))
    assert.is(iodCount, IODS)
  },
}
