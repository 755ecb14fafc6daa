import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { mkdir, rename, stat, unlink } from '../../lib/driver/namespace.js'
import { encode } from '../../lib/protocol/codec.js'
import {
  type Finding,
  type FindingKind,
  FINDINGS,
  FSCK_START,
  type FsckPlace,
} from '../../lib/protocol/findings.js'
import { LIMITS } from '../../lib/protocol/limits.js'
import { MANAGER } from '../../lib/protocol/manager.js'
import { type OpenRecord, openRecordCodec } from '../../lib/protocol/records.js'
import { silentLog } from '../../servers/common/log.js'
import { fsckPage } from '../../servers/manager/fsck/fsck.js'
import type { Scene } from '../../servers/manager/fsck/scene.js'
import {
  decodeInode,
  encodeInode,
  encodeName,
  entryKey,
  type Inode,
  inodeKey,
} from '../../servers/manager/inodes.js'
import { openKey } from '../../servers/manager/keys.js'
import type { Operation, Store } from '../../servers/manager/store/store.js'
import { ROOT } from '../../servers/manager/tree.js'
import { DIRECTORY, pattern, readAt, World, writeAt } from '../sim/world.js'

const test = suite('fsck')

/** Below the end of the handles that were taken from the store, and never given out. */
const UNUSED_HANDLE = 500

/** What was seen to be found by the tests of this file. */
const seen = new Set<FindingKind>()

test('a file system in use is clean: files open, without a name, with holes, cut, moved', async () => {
  await using world = await World.start()
  const client = world.client()
  await world.run(mkdir(client, '/d', 0o755))
  for (const path of ['/a', '/d/b', '/d/c', '/e']) {
    const opened = await world.run(world.open(client, path))
    await world.run(writeAt(opened, path === '/e' ? 100_000 : 0, pattern(10_000)))
    if (path !== '/d/c') await world.run(world.close(opened))
  }
  await world.run(unlink(client, '/d/c'))
  await world.run(rename(client, '/d', '/moved'))
  assert.equal(await fsck(world), [])
  await world.restartManager()
  for (const index of [0, 1, 2]) await world.restartIod(index)
  await world.quiet()
  assert.equal(await fsck(world), [])
})

test('names that stand for nothing go, those of another kind say what is there', async () => {
  await using world = await World.start()
  const handle = await fileAt(world, '/a')
  await damage(world, async () => [
    { key: entryKey(ROOT, 'gone'), value: encodeName({ kind: 'file', handle: 9 }) },
    { key: entryKey(ROOT, 'a'), value: encodeName({ kind: 'directory', handle }) },
  ])
  const expected: Expected[] = [
    ['WRONG_KIND', handle, '/a'],
    ['DANGLING_NAME', 9, '/gone'],
  ]
  await repairs(world, expected)
  assert.equal(await world.run(world.names()), ['a'])
  assert.is((await world.run(stat(world.client(), '/a'))).size, 100)
})

test('a directory that names another parent names the one that holds it', async () => {
  await using world = await World.start()
  const client = world.client()
  await world.run(mkdir(client, '/d', 0o755))
  await world.run(mkdir(client, '/d/e', 0o755))
  const { handle } = await world.run(stat(client, '/d/e'))
  await damage(world, async (store) => [
    await changedInode(store, handle, (inode) => ({ ...inode, parent: 77 }) as Inode),
  ])
  await repairs(world, [['WRONG_PARENT', handle, '/d/e']])
})

test('what has lost its name gets one, a directory with all that is in it', async () => {
  await using world = await World.start()
  const client = world.client()
  await world.run(mkdir(client, '/d', 0o755))
  const inner = await fileAt(world, '/d/inner')
  const lost = await fileAt(world, '/lost')
  const directory = (await world.run(stat(client, '/d'))).handle
  await damage(world, async () => [
    { key: entryKey(ROOT, 'lost'), value: undefined },
    { key: entryKey(ROOT, 'd'), value: undefined },
  ])
  await repairs(world, [
    ['NAMELESS', directory, ''],
    ['NAMELESS', lost, ''],
  ])
  const hex = (handle: number): string => handle.toString(16).padStart(16, '0')
  const back = await world.run(stat(world.client(), `/lost+found/file-${hex(lost)}`))
  assert.is(back.size, 100)
  const inside = `/lost+found/directory-${hex(directory)}/inner`
  assert.is((await world.run(stat(world.client(), inside))).handle, inner)
})

test('of several names one stays, of a directory that in its parent', async () => {
  await using world = await World.start()
  const client = world.client()
  const file = await fileAt(world, '/a')
  for (const path of ['/d', '/x']) await world.run(mkdir(client, path, 0o755))
  await world.run(mkdir(client, '/x/e', 0o755))
  const [d, e] = await Promise.all(
    ['/d', '/x/e'].map(async (path) => (await world.run(stat(client, path))).handle),
  )
  await damage(world, async () => [
    { key: entryKey(ROOT, 'b'), value: encodeName({ kind: 'file', handle: file }) },
    { key: entryKey(d ?? 0, 'e'), value: encodeName({ kind: 'directory', handle: e ?? 0 }) },
  ])
  // The second name of a directory is in another one than the directory says.
  const found = await fsck(world)
  assert.equal(
    found.map(({ kind }) => kind),
    ['WRONG_PARENT', 'TOO_MANY_NAMES', 'TOO_MANY_NAMES'],
  )
  await fsck(world, true)
  await fsck(world, true)
  assert.equal(await fsck(world), [])
  assert.is((await world.run(stat(world.client(), '/a'))).handle, file)
  assert.equal(await world.run(world.names()), ['a', 'd', 'x'])
})

test('datafiles of nobody go into quarantine, those of files and opens stay', async () => {
  await using world = await World.start()
  const client = world.client()
  const opened = await world.run(world.open(client, '/open'))
  await world.run(writeAt(opened, 0, pattern(20_000)))
  await world.run(unlink(client, '/open'))
  const handle = await fileAt(world, '/one', { iodCount: 1, firstIod: 0 })
  plant(world, 1, UNUSED_HANDLE)
  plant(world, 2, handle)
  plant(world, 0, 2 ** 40)
  world.hostOf(0).disk.open(`${DIRECTORY}/data/07/notes`, 'create').close()
  const found = await fsck(world)
  assert.equal(summary(found), [
    ['STRANGER', 0, 'data/07/notes'],
    ['UNKNOWN_HANDLE', 2 ** 40, ''],
    ['ORPHAN_DATAFILE', UNUSED_HANDLE, ''],
    ['MISPLACED_DATAFILE', handle, ''],
  ])
  const repaired = await fsck(world, true)
  assert.equal(
    repaired.map((finding) => finding.repaired),
    ['no', 'no', 'quarantined', 'quarantined'],
  )
  assert.equal(
    (await fsck(world)).map(({ kind }) => kind),
    ['STRANGER', 'UNKNOWN_HANDLE'],
  )
  for (const index of [1, 2])
    assert.is(world.hostOf(index).disk.list(`${DIRECTORY}/lost+found`).length, 1)
  assert.equal(await world.run(readAt(opened, 0, 20_000)), pattern(20_000))
})

test('a piece that is lost is told; a file whose datafile has lost its end, or has a longer one, gets the size that is there', async () => {
  await using world = await World.start()
  const lost = await fileAt(world, '/lost', { iodCount: 2, firstIod: 0 }, 10_000)
  const short = await fileAt(world, '/short', { iodCount: 1, firstIod: 2 }, 10_000)
  const long = await fileAt(world, '/long', { iodCount: 1, firstIod: 2 }, 10_000)
  world.killIod(1)
  await world.run(world.hostOf(1).disk.remove(pathOf(lost)))
  await world.run(world.startIod(1))
  world.killIod(2)
  await world.run(world.hostOf(2).disk.open(pathOf(short), 'write').truncate(500))
  await world.run(world.hostOf(2).disk.open(pathOf(long), 'write').truncate(12_000))
  await world.run(world.startIod(2))
  await world.quiet()
  const found = await fsck(world, true)
  assert.equal(summary(found), [
    ['LOST_PIECE', lost, ''],
    ['WRONG_SIZE', short, ''],
    ['WRONG_SIZE', long, ''],
  ])
  assert.is(found[0]?.iod, 1)
  assert.is(found[0]?.detail, 'part 1 on iod 1')
  assert.is(found[1]?.detail, '10000 bytes, its datafiles say 500')
  assert.equal(
    found.map(({ repaired }) => repaired),
    ['no', 'mended', 'mended'],
  )
  // A piece that is gone can only be brought back from elsewhere.
  assert.equal(summary(await fsck(world, true)), [['LOST_PIECE', lost, '']])
  const client = world.client()
  for (const [path, size] of [
    ['/short', 500],
    ['/long', 12_000],
  ] as const) {
    assert.is((await world.run(stat(client, path))).size, size)
    const open = await world.run(world.open(client, path))
    assert.is((await world.run(readAt(open, 0, 20_000))).length, size)
  }
})

test('opens without a file and without a job are closed', async () => {
  await using world = await World.start()
  const client = world.client()
  const opened = await world.run(world.open(client, '/a', { iodCount: 1, firstIod: 0 }))
  const record = (await world.run(world.records()))[0]
  assert.ok(record !== undefined)
  const planted = { ...record, handle: 9, capability: 'c'.repeat(32) }
  const other = {
    ...record,
    capability: 'd'.repeat(32),
    layout: { ...record.layout, stripSize: 8192 },
  }
  await damage(world, async () =>
    [planted, other].map((one) => ({
      key: openKey(one.capability),
      value: encode(openRecordCodec, one),
    })),
  )
  await world.quiet()
  const found = await fsck(world, true)
  assert.equal(summary(found), [
    ['OPEN_OF_OTHER_LAYOUT', opened.opened.handle, ''],
    ['OPEN_WITHOUT_FILE', 9, ''],
  ])
  await world.quiet()
  assert.equal(
    (await fsck(world)).map(({ kind }) => kind),
    ['OPEN_OF_OTHER_LAYOUT'],
  )
})

test('a file that nobody keeps is removed, an open of a job that has ended is closed', async () => {
  const layout = { stripSize: 4096, iodCount: 1, firstIod: 0, iodTotal: 1 }
  const file = {
    kind: 'file',
    handle: 5,
    linked: false,
    layout,
    size: 0,
    hasData: Uint8Array.of(0),
  }
  const opens: OpenRecord[] = []
  const calls: string[] = []
  // The manager itself leaves neither; so it is asked in parts.
  const scene = {
    log: silentLog,
    hasSession: () => false,
    opens: { ofHandle: () => opens, handlesAfter: (after: number) => (after === 0 ? [5] : []) },
    namespace: {
      get: async () => file,
      inodes: async (after: number) => (after === 0 ? [file] : []),
    },
    iods: { callIfUp: async () => ({ sizes: [undefined] }) },
    sizes: { isSettled: () => true },
    files: {
      alone: async (_: number, act: () => Promise<void>) => await act(),
      removeUnused: async () => calls.push('removed') > 0,
      closeUnseen: async () => void calls.push('closed'),
    },
  } as unknown as Scene
  for (const stage of ['files', 'opens'] as const) {
    const place = { ...FSCK_START, stage }
    for (const repair of [false, true]) {
      const { findings } = await fsckPage(scene, place, repair)
      const kind = stage === 'files' ? 'UNUSED' : 'OPEN_WITHOUT_SESSION'
      assert.equal(summary(findings), [[kind, 5, '']])
      assert.is(findings[0]?.repaired, repair ? 'mended' : 'no')
      seen.add(kind)
    }
    opens.push({
      handle: 5,
      capability: 'c'.repeat(32),
      rights: 1,
      sessionId: 'd'.repeat(32),
      layout,
      state: 'open',
      unlinked: true,
      tokenFloor: 0,
      hasData: Uint8Array.of(0),
    })
  }
  assert.equal(calls, ['removed', 'closed'])
})

test('an iod that knows other opens than the manager is given the whole table', async () => {
  await using world = await World.start({ iods: 2 })
  const opened = await world.run(world.open(world.client(), '/a'))
  const { handle, capability } = (await world.run(world.records()))[0] ?? {
    handle: 0,
    capability: '',
  }
  world.iod(1).iod.opens.remove(handle, capability)
  const found = await fsck(world, true)
  assert.equal(summary(found), [['OTHER_OPENS', 0, '']])
  assert.is(found[0]?.iod, 1)
  await world.quiet()
  await world.expectAgreement()
  assert.equal(await fsck(world), [])
  await world.run(writeAt(opened, 0, pattern(10_000)))
})

test('an iod that is away is a finding, and the others are looked at all the same', async () => {
  await using world = await World.start()
  await fileAt(world, '/a')
  plant(world, 2, UNUSED_HANDLE)
  world.killIod(0)
  await world.quiet()
  assert.equal(summary(await fsck(world)), [
    ['IOD_AWAY', 0, ''],
    ['ORPHAN_DATAFILE', UNUSED_HANDLE, ''],
  ])
})

test('a check while names come, move and go finds nothing, and repairs nothing', async () => {
  await using world = await World.start()
  const client = world.client()
  const churn = async (id: number): Promise<void> => {
    for (let round = 0; round < 60; round++) {
      const path = `/${id}-${round % 3}`
      const opened = await world.open(client, path, { stripSize: 4096 })
      await writeAt(opened, 0, pattern(5000, id))
      await world.close(opened)
      await rename(client, path, `/${id}-moved`)
      if (round % 2 === 1) await unlink(client, `/${id}-moved`)
    }
  }
  const churning = Promise.all([1, 2, 3, 4].map(churn))
  for (let round = 0; round < 10; round++) {
    assert.equal(await fsck(world, true), [])
    await world.sim.clock.advance(7)
  }
  await world.run(churning)
  await world.quiet()
  assert.equal(await fsck(world), [])
})

test('more findings than one page holds come in several, each once', async () => {
  await using world = await World.start({ iods: 1 })
  const count = LIMITS.findingsPerPage * 2 + 3
  await damage(world, async () =>
    Array.from({ length: count }, (_, index) => ({
      key: entryKey(ROOT, `name ${index}`),
      value: encodeName({ kind: 'file', handle: 5 }),
    })),
  )
  for (let index = 0; index < count; index++) plant(world, 0, UNUSED_HANDLE + index)
  const found = await fsck(world)
  const dangling = found.filter(({ kind }) => kind === 'DANGLING_NAME')
  assert.is(dangling.length, count)
  assert.is(new Set(dangling.map(({ path }) => path)).size, count)
  const orphans = found.filter(({ kind }) => kind === 'ORPHAN_DATAFILE')
  assert.is(orphans.length, count)
  await fsck(world, true)
  assert.equal(await fsck(world), [])
})

test('every kind of finding was found by a test', () => {
  assert.equal([...seen].sort(), Object.keys(FINDINGS).sort())
})

test.run()

type Expected = readonly [kind: FindingKind, handle: number, path: string]

async function fsck(world: World, repair = false): Promise<Finding[]> {
  const client = world.client()
  const findings: Finding[] = []
  for (let place: FsckPlace | undefined = FSCK_START; place !== undefined; ) {
    const page: { findings: readonly Finding[]; next: FsckPlace | undefined } = await world.run(
      client.manager.control(MANAGER.fsck, { place, repair }),
    )
    findings.push(...page.findings)
    place = page.next
  }
  await world.run(client.close({ leave: true }))
  for (const { kind } of findings) seen.add(kind)
  return findings
}

// Found without a repair, mended by one, and gone then.
async function repairs(world: World, expected: readonly Expected[]): Promise<void> {
  const found = await fsck(world)
  assert.equal(summary(found), expected)
  assert.ok(found.every(({ repaired }) => repaired === 'no'))
  const mended = await fsck(world, true)
  assert.equal(summary(mended), expected)
  assert.ok(mended.every(({ repaired }) => repaired !== 'no'))
  assert.equal(await fsck(world), [])
}

function summary(findings: readonly Finding[]): Expected[] {
  return findings.map(({ kind, handle, path }) => [kind, handle, path])
}

async function fileAt(
  world: World,
  path: string,
  options: Parameters<World['open']>[2] = {},
  length = 100,
): Promise<number> {
  const opened = await world.run(world.open(world.client(), path, options))
  await world.run(writeAt(opened, 0, pattern(length)))
  await world.run(opened.file.flush())
  await world.run(world.close(opened))
  return opened.opened.handle
}

// What a bug, or a bad disk, might have done to the metadata.
async function damage(
  world: World,
  make: (store: Store) => Promise<readonly Operation[]>,
): Promise<void> {
  world.killManager()
  const store = world.metadata.open()
  const operations = await make(store)
  await world.run(store.transact({ compare: [], operations, durability: 'flushed' }))
  await world.run(store.close())
  world.metadata.kill()
  await world.run(world.startManager())
  await world.quiet()
}

async function changedInode(
  store: Store,
  handle: number,
  change: (inode: Inode) => Inode,
): Promise<Operation> {
  const key = inodeKey(handle)
  const stored = await store.get(key)
  assert.ok(stored !== undefined)
  return { key, value: encodeInode(change(decodeInode(stored))) }
}

function pathOf(handle: number): string {
  const name = handle.toString(16).padStart(16, '0')
  return `${DIRECTORY}/data/${name.slice(-2)}/${name}`
}

function plant(world: World, index: number, handle: number): void {
  world.hostOf(index).disk.open(pathOf(handle), 'create').close()
}
