import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import type { ErrorCode, IoError } from '../../lib/base/errors.js'
import { HANDLE_BLOCK } from '../../servers/manager/handles.js'
import { hasPart, joinParts } from '../../lib/protocol/records.js'
import type { FileInode, Inode } from '../../servers/manager/inodes.js'
import { type CreateOptions, Namespace } from '../../servers/manager/namespace.js'
import type { Batch } from '../../servers/manager/name-batches.js'
import { MemoryDisk } from '../../servers/manager/store/memory.js'
import type { Store } from '../../servers/manager/store/store.js'
import { ROOT } from '../../servers/manager/tree.js'
import { rejects } from '../support/assertions.js'
import { property, type Random } from '../support/random.js'
import { checkTree } from './tree-check.js'
import { TreeModel } from './tree-model.js'

const test = suite('namespace')

const OWNER = { mode: 0o640, uid: 7, gid: 8 }

test('a fresh namespace is an empty root', async () => {
  await using scene = await openScene()
  const root = await scene.names.lookup('/')
  assert.is(root.kind, 'directory')
  assert.is(root.handle, ROOT)
  assert.equal(await scene.list('/'), [])
})

test('a prepared file is not visible, a committed one is, with all that was said of it', async () => {
  await using scene = await openScene()
  const creation = await scene.names.prepareCreate('/f', options())
  assert.is(creation.kind, 'prepared')
  if (creation.kind !== 'prepared') return
  await fails(scene.names.lookup('/f'), 'ENOENT', 'MPI_ERR_NO_SUCH_FILE')
  assert.is(await scene.names.get(creation.prepared.inode.handle), undefined)
  assert.is(await scene.names.commitCreate(creation.prepared), true)
  const inode = await scene.names.lookup('/f')
  assert.equal(inode, creation.prepared.inode)
  assert.equal(inode, {
    kind: 'file',
    handle: inode.handle,
    ...OWNER,
    mtimeMs: 1000,
    ctimeMs: 1000,
    atimeMs: 1000,
    layout: { stripSize: 65536, iodCount: 12, firstIod: inode.handle % 12, iodTotal: 12 },
    size: 0,
    hasData: new Uint8Array(2),
    linked: true,
  })
})

test('to create a file that exists finds it, or is EEXIST when exclusive, or EISDIR for a directory', async () => {
  await using scene = await openScene()
  const file = await scene.create('/f')
  await scene.mkdir('/d')
  assert.equal(await scene.names.prepareCreate('/f', options()), { kind: 'existing', inode: file })
  const exclusive = options({ exclusive: true })
  await fails(scene.names.prepareCreate('/f', exclusive), 'EEXIST', 'MPI_ERR_FILE_EXISTS')
  await fails(scene.names.prepareCreate('/d', exclusive), 'EEXIST', 'MPI_ERR_FILE_EXISTS')
  await fails(scene.names.prepareCreate('/', exclusive), 'EEXIST', 'MPI_ERR_FILE_EXISTS')
  await fails(scene.names.prepareCreate('/d', options()), 'EISDIR', 'MPI_ERR_BAD_FILE')
  await fails(scene.names.prepareCreate('/', options()), 'EISDIR', 'MPI_ERR_BAD_FILE')
  await fails(scene.names.prepareCreate('/new/', options()), 'EISDIR', 'MPI_ERR_BAD_FILE')
  await fails(scene.names.prepareCreate('/no/f', options()), 'ENOENT', 'MPI_ERR_NO_SUCH_FILE')
  await fails(scene.names.prepareCreate('/f/f', options()), 'ENOTDIR', 'MPI_ERR_BAD_FILE')
})

test('of creations that race for a name one wins; the others look again, or get EEXIST when exclusive', async () => {
  await using scene = await openScene()
  const first = await scene.prepare('/f')
  const second = await scene.prepare('/f')
  const third = await scene.prepare('/f', { exclusive: true })
  const results = await Promise.all([
    scene.names.commitCreate(first),
    scene.names.commitCreate(second),
    fails(scene.names.commitCreate(third), 'EEXIST', 'MPI_ERR_FILE_EXISTS').then(() => 'EEXIST'),
  ])
  assert.equal(results, [true, false, 'EEXIST'])
  assert.equal(await scene.names.lookup('/f'), first.inode)
})

test('a creation that is committed again, because its answer was lost, is the same one', async () => {
  await using scene = await openScene()
  const prepared = await scene.prepare('/f', { exclusive: true })
  assert.is(await scene.names.commitCreate(prepared, () => record('reply', '1')), true)
  assert.is(await scene.names.commitCreate(prepared, () => record('reply', '2')), true)
  assert.is(await scene.read('reply'), '1')
})

test('a creation loses against the removal of its directory, and leaves nothing', async () => {
  await using scene = await openScene()
  await scene.mkdir('/d')
  const prepared = await scene.prepare('/d/f')
  await scene.names.rmdir('/d')
  const commit = scene.names.commitCreate(prepared, () => record('extra', '1'))
  await fails(commit, 'ENOENT', 'MPI_ERR_NO_SUCH_FILE')
  assert.is(await scene.names.get(prepared.inode.handle), undefined)
  assert.is(await scene.read('extra'), undefined)
  await checkTree(scene.store)
})

test('a creation follows its directory to a new name', async () => {
  await using scene = await openScene()
  await scene.mkdir('/d')
  await scene.mkdir('/e')
  const prepared = await scene.prepare('/d/f')
  await scene.names.rename('/d', '/e/d')
  assert.is(await scene.names.commitCreate(prepared), true)
  assert.equal(await scene.list('/e/d'), ['f'])
})

test('what a caller adds is in the same transaction, and sees the result', async () => {
  await using scene = await openScene()
  const prepared = await scene.prepare('/f')
  await scene.names.commitCreate(prepared, ({ handle }) => record('create', handle))
  await scene.names.mkdir('/d', OWNER, ({ handle }) => record('mkdir', handle))
  await scene.names.rename('/f', '/d/g', ({ moved }) => record('rename', moved.handle))
  await scene.names.setAttributes(prepared.inode.handle, { size: 5 }, (inode) =>
    record('size', inode.kind === 'file' ? inode.size : -1),
  )
  await scene.names.unlink('/d/g', {}, ({ handle }) => record('unlink', handle))
  await scene.names.rmdir('/d', ({ handle }) => record('rmdir', handle))
  const { handle } = prepared.inode
  assert.is(await scene.read('create'), String(handle))
  assert.is(await scene.read('rename'), String(handle))
  assert.is(await scene.read('unlink'), String(handle))
  assert.is(await scene.read('size'), '5')
  assert.is(await scene.read('mkdir'), await scene.read('rmdir'))
})

test('a condition that a caller adds is part of it: the operation waits for it, or ends BUSY', async () => {
  await using scene = await openScene()
  let tries = 0
  const extra = (): Batch => {
    tries++
    const value = tries < 3 ? bytes('never') : undefined
    return { compare: [{ key: bytes('x'), value }] }
  }
  await scene.names.mkdir('/d', OWNER, extra)
  assert.is(tries, 3)
  const never = (): Batch => ({ compare: [{ key: bytes('x'), value: bytes('never') }] })
  const error = await rejects(scene.names.mkdir('/e', OWNER, never), 'MPI_ERR_IO')
  assert.is(error.context.reason, 'BUSY')
  assert.equal(await scene.list('/'), ['d'])
})

test('a throw of what a caller adds ends the operation, and nothing has changed', async () => {
  await using scene = await openScene()
  await scene.create('/f')
  const stop = (): never => {
    throw new RangeError('stop')
  }
  let thrown: unknown
  try {
    await scene.names.unlink('/f', {}, stop)
  } catch (error) {
    thrown = error
  }
  assert.instance(thrown, RangeError)
  assert.equal(await scene.list('/'), ['f'])
})

test('mkdir makes one level, and knows what is in its way', async () => {
  await using scene = await openScene()
  await scene.mkdir('/d')
  await scene.mkdir('/d/e/')
  await scene.create('/f')
  const inode = await scene.names.lookup('/d/e')
  assert.equal([inode.mode, inode.uid, inode.gid], [0o640, 7, 8])
  await fails(scene.mkdir('/d'), 'EEXIST', 'MPI_ERR_FILE_EXISTS')
  await fails(scene.mkdir('/f'), 'EEXIST', 'MPI_ERR_FILE_EXISTS')
  await fails(scene.mkdir('/'), 'EEXIST', 'MPI_ERR_FILE_EXISTS')
  await fails(scene.mkdir('/a/b'), 'ENOENT', 'MPI_ERR_NO_SUCH_FILE')
  await fails(scene.mkdir('/f/b'), 'ENOTDIR', 'MPI_ERR_BAD_FILE')
  await fails(scene.mkdir('/d/../x'), 'EINVAL', 'MPI_ERR_BAD_FILE')
})

test('rmdir removes an empty directory only', async () => {
  await using scene = await openScene()
  await scene.mkdir('/d')
  await scene.create('/d/f')
  await fails(scene.names.rmdir('/d'), 'ENOTEMPTY', 'MPI_ERR_IO')
  await fails(scene.names.rmdir('/d/f'), 'ENOTDIR', 'MPI_ERR_BAD_FILE')
  await fails(scene.names.rmdir('/x'), 'ENOENT', 'MPI_ERR_NO_SUCH_FILE')
  await fails(scene.names.rmdir('/'), 'EINVAL', 'MPI_ERR_BAD_FILE')
  await scene.names.unlink('/d/f')
  const { handle } = await scene.names.rmdir('/d/')
  assert.is(await scene.names.get(handle), undefined)
  assert.equal(await scene.list('/'), [])
})

test('a removal of a directory and a creation in it never both happen', async () => {
  for (const order of ['create first', 'remove first']) {
    await using scene = await openScene()
    await scene.mkdir('/d')
    const prepared = await scene.prepare('/d/f')
    const create = (): Promise<boolean> => scene.names.commitCreate(prepared)
    const remove = (): Promise<Inode> => scene.names.rmdir('/d')
    const steps = order === 'create first' ? [create, remove] : [remove, create]
    const results = await Promise.allSettled(steps.map((step) => step()))
    assert.equal(results.filter(({ status }) => status === 'fulfilled').length, 1, order)
    await checkTree(scene.store)
  }
})

test('unlink gives the inode of the file, and spares directories', async () => {
  await using scene = await openScene()
  const file = await scene.create('/f')
  await scene.mkdir('/d')
  await fails(scene.names.unlink('/d'), 'EISDIR', 'MPI_ERR_BAD_FILE')
  await fails(scene.names.unlink('/f/'), 'ENOTDIR', 'MPI_ERR_BAD_FILE')
  await fails(scene.names.unlink('/'), 'EINVAL', 'MPI_ERR_BAD_FILE')
  assert.equal(await scene.names.unlink('/f'), file)
  assert.is(await scene.names.get(file.handle), undefined)
  await fails(scene.names.unlink('/f'), 'ENOENT', 'MPI_ERR_NO_SUCH_FILE')
})

test('unlink of a handle spares a new file that took the name', async () => {
  await using scene = await openScene()
  const old = await scene.create('/f')
  await scene.names.unlink('/f')
  const young = await scene.create('/f')
  const removal = scene.names.unlink('/f', { handle: old.handle })
  await fails(removal, 'ENOENT', 'MPI_ERR_NO_SUCH_FILE')
  assert.equal(await scene.names.unlink('/f', { handle: young.handle }), young)
})

test('a file that is open when it loses its name keeps its inode until it is forgotten', async () => {
  await using scene = await openScene()
  const file = await scene.create('/f')
  await scene.names.unlink('/f', {}, () => ({ keepInode: true }))
  const kept = await scene.names.get(file.handle)
  assert.equal(kept, { ...file, linked: false })
  assert.equal(
    (await scene.names.inodes(ROOT, 10)).map(({ handle }) => handle),
    [file.handle],
  )
  await scene.names.setAttributes(file.handle, { size: 9 })
  const operations = [scene.names.removal(file.handle)]
  await scene.store.transact({ compare: [], operations, durability: 'flushed' })
  assert.is(await scene.names.get(file.handle), undefined)
  const again = await scene.create('/f')
  assert.not.equal(again.handle, file.handle)
})

test('readdir gives names in the order of their bytes, page by page', async () => {
  await using scene = await openScene()
  const names = ['b', 'a', 'ä', '~', 'Z', '\uffee', '🦆', 'aa', ' ', 'a b', '-']
  await scene.mkdir('/d')
  for (const name of names) await scene.create(`/d/${name}`)
  const sorted = [...names].sort((one, other) =>
    Buffer.compare(Buffer.from(one), Buffer.from(other)),
  )
  const found: string[] = []
  for (let more = true; more; ) {
    const page = await scene.names.readdir('/d', found.at(-1) ?? '', 4)
    found.push(...page.entries.map(({ name }) => name))
    more = page.more
  }
  assert.equal(found, sorted)
  assert.equal(await scene.names.readdir('/d/', '~', 1), {
    entries: [{ name: 'ä', kind: 'file', handle: (await scene.names.lookup('/d/ä')).handle }],
    more: true,
  })
})

test('readdir refuses files, missing directories, and pages that are too large', async () => {
  await using scene = await openScene()
  await scene.create('/f')
  await fails(scene.names.readdir('/f', '', 10), 'ENOTDIR', 'MPI_ERR_BAD_FILE')
  await fails(scene.names.readdir('/x', '', 10), 'ENOENT', 'MPI_ERR_NO_SUCH_FILE')
  await fails(scene.names.readdir('/', 'n'.repeat(256), 10), 'ENAMETOOLONG', 'MPI_ERR_BAD_FILE')
  for (const limit of [0, 513, 1.5])
    await rejects(scene.names.readdir('/', '', limit), 'MPI_ERR_ARG')
})

test('rename moves a file, and replaces one, which it gives back', async () => {
  await using scene = await openScene()
  const first = await scene.create('/f')
  const second = await scene.create('/g')
  await scene.mkdir('/d')
  const moved = { kind: 'file', handle: first.handle }
  assert.equal(await scene.names.rename('/f', '/d/f'), { moved, replaced: undefined })
  assert.equal(await scene.names.rename('/d/f', '/g'), { moved, replaced: second })
  assert.is(await scene.names.get(second.handle), undefined)
  assert.equal(await scene.names.lookup('/g'), first)
  assert.equal(await scene.list('/d'), [])
})

test('of two files that take one name at once the later one has it, and the other is given back', async () => {
  await using scene = await openScene()
  const first = await scene.create('/f')
  const second = await scene.create('/g')
  const results = await Promise.all([
    scene.names.rename('/f', '/new'),
    scene.names.rename('/g', '/new'),
  ])
  assert.equal(
    results.map(({ replaced }) => replaced),
    [undefined, first],
  )
  assert.equal(await scene.names.lookup('/new'), second)
  await checkTree(scene.store)
})

test('an unlink at the same time as a change of attributes loses neither', async () => {
  await using scene = await openScene()
  const { handle } = await scene.create('/f')
  const [, removed] = await Promise.all([
    scene.names.setAttributes(handle, { size: 9 }),
    scene.names.unlink('/f', {}, () => ({ keepInode: true })),
  ])
  const kept = await scene.names.get(handle)
  assert.is(kept?.kind === 'file' && kept.size, 9)
  assert.is(kept?.kind === 'file' && kept.linked, false)
  assert.is(removed.size, 9)
})

test('a directory that is moved and changed at once keeps both', async () => {
  await using scene = await openScene()
  await scene.mkdir('/d')
  await scene.mkdir('/e')
  const handle = await scene.handle('/d')
  const uid = (await scene.names.lookup('/d')).uid
  const steps = Array.from({ length: 30 }, async () => {
    const move = scene.names.rename('/d', '/e/d').then(() => scene.names.rename('/e/d', '/d'))
    await scene.names.setAttributes(handle, (inode) => ({ uid: inode.uid + 1 }))
    await Promise.allSettled([move])
  })
  await Promise.all(steps)
  assert.is((await scene.names.get(handle))?.uid, uid + 30)
  await checkTree(scene.store)
})

test('rename over a file that is open keeps its inode', async () => {
  await using scene = await openScene()
  await scene.create('/f')
  const open = await scene.create('/g')
  await scene.names.rename('/f', '/g', () => ({ keepInode: true }))
  assert.equal(await scene.names.get(open.handle), { ...open, linked: false })
})

test('rename onto itself changes nothing, and what the caller adds is kept', async () => {
  await using scene = await openScene()
  const file = await scene.create('/f')
  await scene.mkdir('/d')
  const result = await scene.names.rename('/f', '//f', () => record('reply', 'done'))
  assert.equal(result, { moved: { kind: 'file', handle: file.handle }, replaced: undefined })
  assert.is(await scene.read('reply'), 'done')
  await scene.names.rename('/d/', '/d')
  assert.equal(await scene.list('/'), ['d', 'f'])
})

test('a directory moves with all that is in it, also onto an empty directory', async () => {
  await using scene = await openScene()
  await scene.mkdir('/d')
  const file = await scene.create('/d/f')
  await scene.mkdir('/e')
  await scene.mkdir('/e/empty')
  const { replaced } = await scene.names.rename('/d', '/e/empty')
  assert.is(replaced, undefined)
  assert.equal(await scene.names.lookup('/e/empty/f'), file)
  await fails(scene.names.rmdir('/e'), 'ENOTEMPTY', 'MPI_ERR_IO')
  await checkTree(scene.store)
})

test('rename knows what does not go together', async () => {
  await using scene = await openScene()
  for (const path of ['/d', '/d/e', '/d/e/g', '/full', '/full/x']) await scene.mkdir(path)
  await scene.create('/f')
  const table: readonly (readonly [from: string, to: string, errno: string, code: ErrorCode])[] = [
    ['/x', '/y', 'ENOENT', 'MPI_ERR_NO_SUCH_FILE'],
    ['/x', '/x', 'ENOENT', 'MPI_ERR_NO_SUCH_FILE'],
    ['/f', '/no/f', 'ENOENT', 'MPI_ERR_NO_SUCH_FILE'],
    ['/f', '/f/g', 'ENOTDIR', 'MPI_ERR_BAD_FILE'],
    ['/f/', '/g', 'ENOTDIR', 'MPI_ERR_BAD_FILE'],
    ['/f', '/g/', 'ENOTDIR', 'MPI_ERR_BAD_FILE'],
    ['/f', '/d', 'EISDIR', 'MPI_ERR_BAD_FILE'],
    ['/d', '/f', 'ENOTDIR', 'MPI_ERR_BAD_FILE'],
    ['/d', '/full', 'ENOTEMPTY', 'MPI_ERR_IO'],
    ['/full/x', '/full', 'ENOTEMPTY', 'MPI_ERR_IO'],
    ['/d', '/d/x', 'EINVAL', 'MPI_ERR_BAD_FILE'],
    ['/d', '/d/e/g/x', 'EINVAL', 'MPI_ERR_BAD_FILE'],
    ['/d', '/d/e', 'EINVAL', 'MPI_ERR_BAD_FILE'],
    ['/', '/r', 'EINVAL', 'MPI_ERR_BAD_FILE'],
    ['/d', '/', 'EINVAL', 'MPI_ERR_BAD_FILE'],
    ['/d', '/../d', 'EINVAL', 'MPI_ERR_BAD_FILE'],
  ]
  for (const [from, to, errno, code] of table) {
    await fails(scene.names.rename(from, to), errno, code, `${from} to ${to}`)
  }
})

test('two directories that move into each other make no circle', async () => {
  await using scene = await openScene()
  await scene.mkdir('/a')
  await scene.mkdir('/b')
  await scene.mkdir('/b/c')
  await scene.mkdir('/a/x')
  const results = await Promise.allSettled([
    scene.names.rename('/a', '/b/c/a'),
    scene.names.rename('/b', '/a/x/b'),
  ])
  assert.is(results.filter(({ status }) => status === 'fulfilled').length, 1)
  await checkTree(scene.store)
})

test('attributes are set for a handle, from values or from what is there', async () => {
  await using scene = await openScene()
  const { handle } = await scene.create('/f')
  scene.nowMs = 5000
  const once = await scene.names.setAttributes(handle, { mode: 0o600, size: 10, mtimeMs: 4000 })
  assert.equal([once.mode, once.mtimeMs, once.ctimeMs, once.atimeMs], [0o600, 4000, 5000, 1000])
  const parts = Array.from({ length: 12 }, (_, part) => bitmap(part))
  await Promise.all(
    parts.map((more) =>
      scene.names.setAttributes(handle, (inode) =>
        inode.kind === 'file'
          ? { size: inode.size + 1, hasData: joinParts(inode.hasData, more) }
          : {},
      ),
    ),
  )
  const file = await scene.names.lookup('/f')
  assert.is(file.kind === 'file' && file.size, 22)
  assert.ok(file.kind === 'file' && parts.every((_, part) => hasPart(file.hasData, part)))
  assert.not.ok(file.kind === 'file' && hasPart(file.hasData, 12))
  await fails(scene.names.setAttributes(999_999, {}), 'ENOENT', 'MPI_ERR_NO_SUCH_FILE')
  await fails(scene.names.setAttributes(ROOT, { size: 0 }), 'EISDIR', 'MPI_ERR_BAD_FILE')
})

test('the time of a directory is when its entries last changed, or what was set since', async () => {
  await using scene = await openScene()
  await scene.mkdir('/d')
  const times: number[] = []
  const step = async (nowMs: number, change: () => Promise<unknown>): Promise<void> => {
    scene.nowMs = nowMs
    await change()
    times.push((await scene.names.lookup('/d')).mtimeMs)
  }
  await step(2000, () => scene.create('/d/f'))
  await step(3000, () => scene.mkdir('/d/e'))
  await step(4000, () => scene.names.rename('/d/f', '/f'))
  await step(5000, () => scene.names.rename('/f', '/d/g'))
  await step(6000, () => scene.names.unlink('/d/g'))
  await step(7000, async () => scene.names.setAttributes(await scene.handle('/d'), { mode: 0o755 }))
  await step(8000, async () =>
    scene.names.setAttributes(await scene.handle('/d'), { mtimeMs: 1234 }),
  )
  await step(9000, () => scene.names.rmdir('/d/e'))
  assert.equal(times, [2000, 3000, 4000, 5000, 6000, 6000, 1234, 9000])
})

test('a thousand files made at once in one directory all get there, in a few commits', async () => {
  let commits = 0
  await using scene = await openScene(new MemoryDisk(), () => {
    commits++
  })
  await Promise.all(Array.from({ length: 1000 }, (_, index) => scene.create(`/f${index}`)))
  const files = await scene.names.inodes(ROOT, 2000)
  assert.is(files.length, 1000)
  assert.is(new Set(files.map(({ handle }) => handle)).size, 1000)
  assert.ok(commits < 20, `${commits} commits and flushes`)
})

test('no handle is used twice, whatever was lost in a crash', async () => {
  const disk = new MemoryDisk()
  const seen = new Set<number>()
  for (let round = 0; round < 4; round++) {
    const scene = await openScene(disk)
    for (let index = 0; index < HANDLE_BLOCK / 2 + 100; index++) {
      const { inode } = await scene.prepare(`/round-${round}-${index}`)
      assert.not.ok(seen.has(inode.handle), `handle ${inode.handle}`)
      assert.ok(inode.handle < scene.names.handleEnd)
      seen.add(inode.handle)
    }
    disk.crash()
  }
})

test('a crash at each step of each operation leaves a whole tree, with or without the change', async () => {
  const operations: readonly ((scene: Scene) => Promise<unknown>)[] = [
    (scene) => scene.create('/d/new'),
    (scene) => scene.mkdir('/d/new'),
    (scene) => scene.names.rmdir('/empty'),
    (scene) => scene.names.unlink('/d/f'),
    (scene) => scene.names.rename('/d/f', '/empty/f'),
    (scene) => scene.names.rename('/d/f', '/d/g'),
    (scene) => scene.names.rename('/d', '/empty'),
    async (scene) => scene.names.setAttributes(await scene.handle('/d/f'), { size: 1 }),
  ]
  for (const [index, operation] of operations.entries()) {
    for (const step of ['commit', 'flush'] as const) {
      const disk = new MemoryDisk()
      const before = await openScene(disk)
      await before.mkdir('/d')
      await before.mkdir('/empty')
      await before.create('/d/f')
      await before.create('/d/g')
      await before.store.close()
      let isArmed = false
      const dying = await openScene(disk, (now) => {
        if (isArmed && now === step) disk.crash()
      })
      isArmed = true
      await rejects(operation(dying), 'MPI_ERR_IO')
      await using after = await openScene(disk)
      await checkTree(after.store)
      await operation(after)
      await checkTree(after.store)
      assert.ok(await after.names.lookup('/'), `operation ${index}, ${step}`)
    }
  }
})

property(test, 'random operations do what a naive tree says', 60, async (random) => {
  await using scene = await openScene()
  const model = new TreeModel()
  for (let step = 0; step < 80; step++) {
    await compareStep(scene, model, random)
  }
  assert.equal(await contentOf(scene, '/'), model.content('/'))
  await checkTree(scene.store)
})

property(test, 'random operations at once leave a whole tree', 40, async (random) => {
  await using scene = await openScene()
  for (let round = 0; round < 12; round++) {
    await Promise.allSettled(Array.from({ length: 20 }, () => randomOperation(scene, random)))
    await checkTree(scene.store)
  }
})

interface Scene extends AsyncDisposable {
  nowMs: number
  readonly store: Store
  readonly names: Namespace
  create(path: string): Promise<FileInode>
  mkdir(path: string): Promise<Inode>
  prepare(path: string, more?: Partial<CreateOptions>): ReturnType<typeof prepare>
  list(path: string): Promise<string[]>
  handle(path: string): Promise<number>
  read(key: string): Promise<string | undefined>
}

async function openScene(
  disk = new MemoryDisk(),
  fault: (step: 'commit' | 'flush') => void = () => {},
): Promise<Scene> {
  const store = disk.open({ fault })
  const clock = { wallTime: (): number => scene.nowMs + 0.5 }
  const scene: Scene = {
    nowMs: 1000,
    store,
    get names() {
      return names
    },
    create: async (path) => {
      const prepared = await prepare(names, path)
      assert.is(await names.commitCreate(prepared), true)
      return prepared.inode
    },
    mkdir: (path) => names.mkdir(path, OWNER),
    prepare: (path, more) => prepare(names, path, more),
    list: async (path) => (await names.readdir(path, '', 100)).entries.map(({ name }) => name),
    handle: async (path) => (await names.lookup(path)).handle,
    read: async (key) => {
      const value = await store.get(bytes(key))
      return value === undefined ? undefined : new TextDecoder().decode(value)
    },
    [Symbol.asyncDispose]: () => store.close(),
  }
  const names = await Namespace.open(store, clock)
  return scene
}

async function prepare(names: Namespace, path: string, more: Partial<CreateOptions> = {}) {
  const creation = await names.prepareCreate(path, options(more))
  if (creation.kind === 'prepared') return creation.prepared
  // The same error as for an exclusive creation: the tests make each file once.
  return await Promise.reject(
    await fails(names.prepareCreate(path, options({ exclusive: true })), 'EEXIST'),
  )
}

function options(more: Partial<CreateOptions> = {}): CreateOptions {
  const layout = (handle: number) => {
    return { stripSize: 65536, iodCount: 12, firstIod: handle % 12, iodTotal: 12 }
  }
  return { exclusive: false, ...OWNER, layout, ...more }
}

async function fails(
  promise: Promise<unknown>,
  errno: string,
  code?: ErrorCode,
  message = '',
): Promise<IoError> {
  const error = await rejects(promise, code)
  assert.is(error.context.errno, errno, message)
  return error
}

function record(key: string, value: string | number): Batch {
  return { operations: [{ key: bytes(key), value: bytes(String(value)) }] }
}

function bytes(text: string): Uint8Array {
  return new TextEncoder().encode(text)
}

function bitmap(part: number): Uint8Array {
  const bits = new Uint8Array(2)
  bits[part >> 3] = 1 << (part & 7)
  return bits
}

async function contentOf(scene: Scene, path: string): Promise<string[]> {
  const { entries } = await scene.names.readdir(path, '', 512)
  const found: string[] = []
  for (const { name, kind } of entries) {
    const inner = path === '/' ? `/${name}` : `${path}/${name}`
    found.push(kind === 'file' ? inner : `${inner}/`)
    if (kind === 'directory') found.push(...(await contentOf(scene, inner)))
  }
  return found
}

/** One random operation on both; they must give the same, down to the errno. */
async function compareStep(scene: Scene, model: TreeModel, random: Random): Promise<void> {
  const from = randomPath(random)
  const to = randomPath(random)
  const kind = random.pick([
    'mkdir',
    'create',
    'create',
    'rename',
    'rename',
    'unlink',
    'rmdir',
    'list',
  ])
  const [real, expected] = {
    mkdir: [() => scene.mkdir(from), () => model.mkdir(from)],
    create: [() => scene.create(from), () => model.create(from)],
    rename: [() => scene.names.rename(from, to), () => model.rename(from, to)],
    unlink: [() => scene.names.unlink(from), () => model.unlink(from)],
    rmdir: [() => scene.names.rmdir(from), () => model.rmdir(from)],
    list: [() => scene.list(from), () => model.list(from)],
  }[kind] as [() => Promise<unknown>, () => string | readonly string[]]
  const result = await outcome(real)
  const wanted = expected()
  const what = `${kind} ${from} ${kind === 'rename' ? to : ''}`
  if (kind === 'list' && Array.isArray(wanted)) assert.equal(result, wanted, what)
  else assert.is(typeof result === 'string' ? result : 'ok', wanted, what)
}

async function outcome(run: () => Promise<unknown>): Promise<unknown> {
  try {
    return await run()
  } catch (error) {
    const { errno } = (await rejects(Promise.reject(error))).context
    return errno ?? 'no errno'
  }
}

async function randomOperation(scene: Scene, random: Random): Promise<unknown> {
  const from = randomPath(random)
  const to = randomPath(random)
  switch (random.int(0, 5)) {
    case 0:
      return scene.mkdir(from)
    case 1:
      return scene.create(from)
    case 2:
      return scene.names.unlink(from)
    case 3:
      return scene.names.rmdir(from)
    case 4:
      return scene.names.setAttributes(await scene.handle(from), { mode: random.int(0, 511) })
    default:
      return scene.names.rename(from, to)
  }
}

function randomPath(random: Random): string {
  const names = Array.from({ length: random.int(1, 3) }, () => random.pick(['a', 'b', 'c']))
  return `/${names.join('/')}${random.chance(0.1) ? '/' : ''}`
}

test.run()
