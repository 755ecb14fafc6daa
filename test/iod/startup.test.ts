import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { unlink } from '../../lib/driver/namespace.js'
import { datafilePath } from '../../lib/protocol/data-directory.js'
import { NO_ID } from '../../lib/protocol/hello.js'
import { DATA, IOD } from '../../lib/protocol/iod.js'
import { LIMITS } from '../../lib/protocol/limits.js'
import { MANAGER } from '../../lib/protocol/manager.js'
import type { Fate } from '../../lib/transport/loopback.js'
import { silentLog } from '../../servers/common/log.js'
import { RunningIod } from '../../servers/iod/startup.js'
import { type Superblock, SuperblockFile } from '../../servers/iod/superblock.js'
import { reservePorts } from '../../servers/cluster/ports.js'
import { startIod, startManager } from '../../servers/start.js'
import {
  DIRECTORY,
  MANAGER_ADDRESS,
  pattern,
  portOf,
  readAt,
  type SimOpen,
  World,
  writeAt,
} from '../sim/world.js'
import { rejects } from '../support/assertions.js'
import { Raw, refusal, requestOf } from './raw.js'

const test = suite('startup')

test('an iod listens only after GO, however late each answer of the manager comes', async () => {
  await using world = await World.start({ iods: 1, timing: { syncMs: 5000 } })
  const opened = await openWith(world, pattern(5000))
  world.killIod(0)
  const answers: number[] = []
  world.frames(({ to, request }, op) => {
    if (to !== 'manager:7300' || request) return undefined
    answers.push(op)
    return { kind: 'deliver', delayMs: 1500 }
  })
  const starting = world.startIod(0)
  for (let passed = 0; passed < 4000; passed += 500) {
    await world.sim.clock.advance(500)
    // Nobody listens: a client is refused by the operating system, not by an iod without state.
    await refusal(Raw.connect(world, 0), 'DISCONNECTED')
  }
  await world.run(starting)
  assert.equal(answers.slice(0, 3), [1, MANAGER.sync.op, MANAGER.commit.op])
  assert.is(await capabilityAnswer(world, opened), 'OK')
})

for (const [how, silence] of [
  ['is not there', undefined],
  [
    'takes connections and says nothing',
    ({ to }: { to: string }): Fate | undefined =>
      to === 'manager:7300' ? { kind: 'silence' } : undefined,
  ],
] as const) {
  test(`with a manager that ${how} an iod listens without state, is BEHIND, and catches up when it hears it`, async () => {
    await using world = await World.start({ iods: 2 })
    const opened = await openWith(world, pattern(8192))
    world.killIod(0)
    if (silence === undefined) world.killManager()
    else world.frames(silence)
    const before = world.sim.clock.now()
    await world.run(world.startIod(0))
    const tookMs = world.sim.clock.now() - before
    assert.ok(tookMs >= world.timing.syncMs && tookMs < world.timing.syncMs * 2, `${tookMs} ms`)
    assert.is(await capabilityAnswer(world, opened), 'BEHIND')
    await world.sim.clock.advance(10_000)
    assert.is(await capabilityAnswer(world, opened), 'BEHIND')
    const read = readAt(opened, 0, 8192)
    world.heal()
    if (silence === undefined) await world.run(world.startManager())
    assert.equal(await world.run(read), pattern(8192))
    await world.quiet()
    await world.expectAgreement()
    assert.is((await world.run(world.status())).reopens, 0)
  })
}

test('a snapshot without GO is no state: an iod that gives up between the two is BEHIND', async () => {
  await using world = await World.start({ iods: 1 })
  const opened = await openWith(world, pattern(10))
  world.killIod(0)
  world.frames(({ to, request }, op) =>
    to === 'manager:7300' && request && op === MANAGER.commit.op ? { kind: 'silence' } : undefined,
  )
  await world.run(world.startIod(0))
  assert.is(await capabilityAnswer(world, opened), 'BEHIND')
  // Closed meanwhile: from GO on it must be unknown, and never anything else.
  await world.run(world.close(opened))
  world.heal()
  await world.quiet()
  assert.is(await capabilityAnswer(world, opened), 'STALE')
  await world.expectAgreement()
})

test('a GO whose answer was lost is given again', async () => {
  await using world = await World.start({ iods: 1 })
  const opened = await openWith(world, pattern(10))
  world.killIod(0)
  let cuts = 1
  world.frames(({ to, request }, op) =>
    to === 'manager:7300' && !request && op === MANAGER.commit.op && cuts-- > 0
      ? { kind: 'cut', delivered: false }
      : undefined,
  )
  await world.run(world.startIod(0))
  assert.is(await capabilityAnswer(world, opened), 'OK')
  assert.not(world.saw('iod 0', 'manager silent, starting without state'))
})

test('opens and closes while an iod starts are in what it gets with GO', async () => {
  await using world = await World.start({ iods: 1 })
  const client = world.client()
  const kept = await world.run(world.open(client, '/kept'))
  const closed = await world.run(world.open(client, '/closed'))
  world.killIod(0)
  let commits = 0
  world.frames(({ to, request }, op) => {
    if (to !== 'manager:7300' || !request || op !== MANAGER.commit.op) return undefined
    commits++
    return { kind: 'deliver', delayMs: 1000 }
  })
  const starting = world.startIod(0)
  await world.sim.clock.advance(500)
  const closing = world.close(closed)
  const opening = world.open(client, '/new')
  await world.run(starting)
  assert.ok(commits >= 2)
  assert.is(await capabilityAnswer(world, closed), 'STALE')
  assert.is(await capabilityAnswer(world, kept), 'OK')
  await world.run(closing)
  assert.is(await capabilityAnswer(world, await world.run(opening)), 'OK')
  await world.quiet()
  await world.expectAgreement()
})

test('a close between GO and READY reaches the iod with READY', async () => {
  await using world = await World.start({ iods: 1 })
  const opened = await openWith(world, pattern(10))
  world.killIod(0)
  world.frames(({ to, request }, op) =>
    to === 'manager:7300' && request && op === MANAGER.ready.op
      ? { kind: 'deliver', delayMs: 2000 }
      : undefined,
  )
  await world.run(world.startIod(0))
  await world.run(world.close(opened))
  await world.sim.clock.advance(3000)
  assert.is(await capabilityAnswer(world, opened), 'STALE')
  await world.expectAgreement()
})

test('a table and intents of several chunks arrive whole', async () => {
  await using world = await World.start({ iods: 1 })
  const client = world.client()
  const opens: SimOpen[] = []
  const more = LIMITS.recordsPerChunk + 90
  for (let index = 0; index < more; index++) {
    const opened = await world.run(world.open(client, `/f${index}`))
    if (index < 5) await world.run(writeAt(opened, 0, pattern(10)))
    opens.push(opened)
  }
  const doomed: string[] = []
  for (let index = 0; index < more; index++) {
    const opened = await world.run(world.open(client, `/g${index}`))
    if (index % 100 === 0) await world.run(writeAt(opened, 0, pattern(10)))
    await world.run(world.close(opened))
    doomed.push(`/g${index}`)
  }
  world.killIod(0)
  for (const path of doomed) await world.run(unlink(client, path))
  assert.is((await world.run(world.status())).intents, more)
  await world.run(world.startIod(0))
  assert.is(world.iod(0).iod.opens.size, more)
  assert.is(world.datafiles(0).length, 5)
  assert.is((await world.run(world.status())).intents, 0)
  await world.expectAgreement()
  for (const opened of [opens[0], opens.at(-1)]) {
    assert.is(await capabilityAnswer(world, opened as SimOpen), 'OK')
  }
})

test('a chunk that the manager no longer keeps begins the start again at once', async () => {
  await using world = await World.start({ iods: 1 })
  const client = world.client()
  for (let index = 0; index < LIMITS.recordsPerChunk + 1; index++)
    await world.run(world.open(client, `/f${index}`))
  world.killIod(0)
  let restarts = 0
  world.frames(({ to, request }, op) => {
    if (to !== 'manager:7300' || !request || op !== MANAGER.snapshotChunk.op || restarts > 0)
      return undefined
    restarts++
    world.killManager()
    void world.startManager()
    return { kind: 'cut', delivered: false }
  })
  await world.run(world.startIod(0))
  assert.is(restarts, 1)
  assert.is(world.iod(0).iod.opens.size, LIMITS.recordsPerChunk + 1)
  assert.not(world.saw('iod 0', 'manager silent, starting without state'))
})

test('a manager that is started anew between SNAPSHOT and COMMIT starts the iod from the beginning', async () => {
  await using world = await World.start({ iods: 1 })
  const opened = await openWith(world, pattern(10))
  world.killIod(0)
  let restarts = 0
  world.frames(({ to, request }, op) => {
    if (to !== 'manager:7300' || !request || op !== MANAGER.commit.op || restarts > 0)
      return undefined
    restarts++
    world.killManager()
    void world.startManager()
    return { kind: 'cut', delivered: false }
  })
  await world.run(world.startIod(0))
  assert.is(await capabilityAnswer(world, opened), 'OK')
  assert.is(world.iod(0).iod.state.epoch, 2)
  await world.quiet()
  await world.expectAgreement()
})

for (const step of ['hello', 'sync', 'commit', 'ready'] as const) {
  test(`an iod that dies at its ${step} is started again as if nothing had been`, async () => {
    await using world = await World.start({ iods: 2 })
    const opened = await openWith(world, pattern(8192))
    for (let round = 0; round < 3; round++) {
      world.killIod(0)
      let died = false
      world.frames(({ from, to, request }, op) => {
        if (from !== 'iod-0' || to !== 'manager:7300' || !request || op !== MANAGER[step].op)
          return undefined
        died = true
        world.killIod(0)
        return { kind: 'cut', delivered: true }
      })
      world.startIod(0).catch(() => {})
      await world.sim.clock.advance(1000)
      assert.ok(died)
      world.heal()
    }
    await world.run(world.startIod(0))
    assert.equal(await world.run(readAt(opened, 0, 8192)), pattern(8192))
    await world.quiet()
    await world.expectAgreement()
    assert.is((await world.run(world.status())).reopens, 0)
  })
}

test('of two starts that overlap the newer one counts, and what the older one still says is refused', async () => {
  await using world = await World.start({ iods: 1 })
  const { uuid, incarnation } = superblockOf(world, 0)
  const common = {
    fsid: NO_ID,
    index: 0,
    uuid,
    ...world.epoch,
    intentApplied: 0,
    iodtabHash: '',
    iodtabCount: 0,
    host: 'iod-0',
    port: portOf(0),
  }
  const [older, newer] = [
    await Raw.connect(world, 'manager', { role: 'iod', from: 'iod-0' }),
    await Raw.connect(world, 'manager', { role: 'iod', from: 'iod-0' }),
  ]
  await older.control(MANAGER.sync, { ...common, incarnation: incarnation + 1 })
  const { version } = await newer.control(MANAGER.sync, { ...common, incarnation: incarnation + 2 })
  const error = await refusal(
    older.control(MANAGER.sync, { ...common, incarnation: incarnation + 1 }),
  )
  assert.match(
    error.message,
    /is older than \d+: an old copy of its directory\?; .*--accept-data-loss/,
  )
  const commit = { index: 0, uuid, version, intentApplied: 0 }
  const superseded = await refusal(
    older.control(MANAGER.commit, { ...commit, incarnation: incarnation + 1 }),
  )
  assert.match(superseded.message, /was superseded by/)
  const { go } = await newer.control(MANAGER.commit, { ...commit, incarnation: incarnation + 2 })
  assert.ok(go)
})

test('an iod that was superseded does not hammer its manager, and serves nobody after its lease', async () => {
  await using world = await World.start({ iods: 1 })
  const opened = await openWith(world, pattern(10))
  const { uuid, incarnation } = superblockOf(world, 0)
  const other = await Raw.connect(world, 'manager', { role: 'iod', from: 'iod-0' })
  await other.control(MANAGER.sync, {
    fsid: NO_ID,
    index: 0,
    uuid,
    incarnation: incarnation + 1,
    ...world.epoch,
    intentApplied: 0,
    iodtabHash: '',
    iodtabCount: 0,
    host: 'iod-0',
    port: portOf(0),
  })
  let requests = 0
  world.frames(({ to, request }) => {
    if (to === 'manager:7300' && request) requests++
    return undefined
  })
  await world.sim.clock.advance(world.timing.iodLeaseMs + 10_000)
  assert.ok(requests <= 20, `${requests} requests`)
  assert.is(await capabilityAnswer(world, opened), 'BEHIND')
})

test('the snapshot of an iod is given to nobody but the process that asked for it', async () => {
  await using world = await World.start({ iods: 2 })
  const { uuid, incarnation } = superblockOf(world, 0)
  const mine = await Raw.connect(world, 'manager', { role: 'iod', from: 'iod-0' })
  const { version } = await mine.control(MANAGER.sync, {
    fsid: NO_ID,
    index: 0,
    uuid,
    incarnation: incarnation + 1,
    ...world.epoch,
    intentApplied: 0,
    iodtabHash: '',
    iodtabCount: 0,
    host: 'iod-0',
    port: portOf(0),
  })
  const chunk = { index: 0, version, records: 0, intents: 0 }
  await mine.control(MANAGER.snapshotChunk, chunk)
  const thief = await Raw.connect(world, 'manager', { role: 'iod', from: 'client-0' })
  await refusal(thief.control(MANAGER.snapshotChunk, chunk), 'STALE')
  const client = await Raw.connect(world, 'manager', { role: 'client' })
  await refusal(client.control(MANAGER.snapshotChunk, chunk), 'PROTOCOL')
})

const REFUSED: readonly (readonly [string, Partial<Superblock>, RegExp])[] = [
  [
    'of another file system',
    { fsid: 'd'.repeat(32) },
    /^manager: it serves file system [0-9a-f]{32}, not d{32}$/,
  ],
  ['of another iod', { index: 1 }, /^\/iod: it is the directory of iod 1, not of iod 0$/],
  [
    'that is an old copy',
    { incarnation: 0 },
    /^iod 0: incarnation 1 is older than 3: an old copy of its directory\?; .*--accept-data-loss/,
  ],
  [
    'that is not the one from before',
    { uuid: 'e'.repeat(32) },
    /^iod 0: another data directory than before; .*--accept-data-loss/,
  ],
  [
    'of another iodtab',
    { iodtabHash: 'f'.repeat(32), iodtabCount: 2 },
    /^iod 0: it knows another iodtab: f{32}, here [0-9a-f]{32}$/,
  ],
  [
    'that has obeyed a newer manager',
    { epoch: 9 },
    /^manager manager:7300: a manager of epoch 1, the iod has obeyed one of epoch 9: .* --restored$/,
  ],
]

for (const [what, change, message] of REFUSED) {
  test(`a directory ${what} is refused in one sentence, and the iod does not listen`, async () => {
    await using world = await World.start({ iods: 2 })
    for (let round = 0; round < 2; round++) await world.restartIod(0)
    world.killIod(0)
    await changeSuperblock(world, change)
    const error = await world.refused(world.startIod(0))
    assert.match(error.message, message)
    await refusal(Raw.connect(world, 0), 'DISCONNECTED')
    assert.is(world.processOf(0).descriptors, 0)
  })
}

test('an old copy is refused however often it is started, be it only one start old', async () => {
  for (const age of [1, 3]) {
    await using world = await World.start({ iods: 1 })
    for (let round = 0; round < 4; round++) await world.restartIod(0)
    const { incarnation } = superblockOf(world, 0)
    world.killIod(0)
    await changeSuperblock(world, { incarnation: incarnation - age })
    for (let round = 0; round < 6; round++) {
      if (round === 3) await world.restartManager()
      const error = await world.refused(world.startIod(0), 'MPI_ERR_ACCESS')
      assert.match(error.message, /an old copy of its directory/)
      assert.is(superblockOf(world, 0).incarnation, incarnation - age)
    }
    await changeSuperblock(world, { incarnation })
    await world.run(world.startIod(0))
  }
})

test('a directory of which either slot of the superblock is damaged comes up, and is no old copy', async () => {
  for (const slot of [0, 1]) {
    await using world = await World.start({ iods: 1 })
    for (let round = 0; round < 3; round++) {
      const { incarnation, verifierSalt } = superblockOf(world, 0)
      world.killIod(0)
      world.hostOf(0).disk.flip(`${DIRECTORY}/superblock`, slot * 4096 + 40)
      await world.run(world.startIod(0))
      const now = superblockOf(world, 0)
      assert.ok(now.incarnation > incarnation)
      assert.ok(now.verifierSalt > verifierSalt)
    }
  }
})

test('a cut that was carried out is known where either slot of the superblock is damaged', async () => {
  for (const slot of [0, 1]) {
    await using world = await World.start({ iods: 1 })
    const { file } = await openWith(world, pattern(100))
    await world.run(file.resize(50))
    const { intentApplied } = superblockOf(world, 0)
    assert.ok(intentApplied > 0)
    world.killIod(0)
    world.hostOf(0).disk.flip(`${DIRECTORY}/superblock`, slot * 4096 + 40)
    await world.run(world.startIod(0))
    assert.is(superblockOf(world, 0).intentApplied, intentApplied)
  }
})

test('an iod whose SYNC was answered into the void, or that syncs anew, is no old copy', async () => {
  await using world = await World.start({ iods: 1 })
  const opened = await openWith(world, pattern(10))
  world.killIod(0)
  let cuts = 1
  world.frames(({ to, request }, op) =>
    to === 'manager:7300' && !request && op === MANAGER.sync.op && cuts-- > 0
      ? { kind: 'cut', delivered: false }
      : undefined,
  )
  await world.run(world.startIod(0))
  await world.restartManager()
  await world.quiet()
  assert.is(await capabilityAnswer(world, opened), 'OK')
})

test('each recovery is one line at both ends, with what happened and how long it took', async () => {
  await using world = await World.start({ iods: 2 })
  const lines = (server: string, event: string) =>
    world.events.filter((line) => line.server === server && line.event === event)
  const recovered = (index: number) =>
    lines('manager', 'iod recovered').filter(({ fields }) => fields['iod'] === index)
  assert.equal([recovered(0).length, recovered(1).length], [1, 1])
  world.killIod(0)
  await world.sim.clock.advance(20_000)
  await world.run(world.startIod(0))
  await world.quiet()
  const [, again] = recovered(0)
  assert.is(recovered(0).length, 2)
  assert.equal([again?.fields['isRestarted'], again?.fields['incarnation']], [true, 2])
  assert.is(recovered(1).length, 1)
  const [listening] = lines('iod 0', 'listening').slice(-1)
  assert.ok(Number(listening?.fields['ms']) < 1000)
  world.killManager()
  await world.sim.clock.advance(40_000)
  await world.run(world.startManager())
  await world.quiet()
  for (const index of [0, 1]) {
    const server = `iod ${index}`
    assert.is(lines(server, 'manager does not answer').length, 1)
    const back = lines(server, 'manager is back')
    assert.is(back.length, 1)
    assert.is(back[0]?.fields['epoch'], 2)
    assert.ok(Number(back[0]?.fields['ms']) > 20_000)
    const last = recovered(index).at(-1)
    assert.is(last?.fields['isRestarted'], false)
  }
  const [, second] = lines('manager', 'manager started')
  assert.is(second?.fields['epoch'], 2)
  for (const name of ['ms', 'undone', 'closing', 'removed'])
    assert.type(second?.fields[name], 'number', name)
})

test('datafiles that an iod finds in a directory of no file system go into quarantine, and into no file', async () => {
  const handle = await firstHandle()
  const bytes = pattern(5000, 9)
  for (const silent of [false, true]) {
    await using world = new World({ iods: 1 })
    const { disk } = world.hostOf(0)
    const folder = `${DIRECTORY}/data/${datafilePath(handle).slice(0, 2)}`
    disk.makeDirectory(folder)
    // One that the manager will give out next, and one that it will give out some day: no audit would touch that.
    for (const number of [handle, handle + 256 * 256])
      disk.open(`${DIRECTORY}/data/${datafilePath(number)}`, 'create').write(bytes, 0)
    disk.open(`${folder}/of-somebody`, 'create').write(bytes, 0)
    // With or without its manager at first.
    if (!silent) await world.run(world.startManager())
    await world.run(world.startIod(0))
    if (silent) await world.run(world.startManager())
    await world.quiet()
    assert.equal(disk.list(folder), ['of-somebody'])
    const names = disk.list(`${DIRECTORY}/lost+found`)
    assert.equal(
      names.map((name) => Number.parseInt(name, 16)),
      [handle, handle + 256 * 256],
    )
    for (const name of names) {
      const kept = new Uint8Array(bytes.length)
      disk.open(`${DIRECTORY}/lost+found/${name}`, 'read').read(kept, 0)
      assert.equal(kept, bytes)
    }
    const opened = await world.run(world.open(world.client(), '/f'))
    assert.is(opened.opened.handle, handle)
    await world.run(writeAt(opened, 100, pattern(10)))
    assert.equal(await world.run(readAt(opened, 0, 100)), new Uint8Array(100))
    await world.restartIod(0)
    assert.equal(await world.run(readAt(opened, 100, 9000)), pattern(10))
  }
})

test('a directory of no file system that is refused is left as it is', async () => {
  await using world = await World.start({ iods: 1 })
  world.killIod(0)
  const { disk } = world.hostOf(0)
  for (const name of disk.list(DIRECTORY).filter((each) => each !== 'data'))
    await disk.remove(`${DIRECTORY}/${name}`)
  disk.open(`${DIRECTORY}/data/${datafilePath(7)}`, 'create').write(pattern(10), 0)
  await world.refused(world.startIod(0))
  assert.equal(disk.list(DIRECTORY), ['data'])
  assert.equal(disk.list(`${DIRECTORY}/data`), ['07'])
  assert.equal(world.datafiles(0), [7])
})

test('datafiles of elsewhere are remembered over a start without the manager, a death and a damaged superblock', async () => {
  await using world = new World({ iods: 1 })
  const { disk } = world.hostOf(0)
  disk.makeDirectory(`${DIRECTORY}/data/07`)
  disk.open(`${DIRECTORY}/data/${datafilePath(7)}`, 'create').write(pattern(10), 0)
  await world.run(world.startIod(0))
  world.killIod(0)
  disk.flip(`${DIRECTORY}/superblock`, 100)
  await world.run(world.startManager())
  await world.run(world.startIod(0))
  assert.equal(world.datafiles(0), [])
  const opened = await world.run(world.open(world.client(), '/f'))
  await world.run(writeAt(opened, 0, pattern(10)))
  // Whatever a superblock forgets later, what was made here stays.
  world.killIod(0)
  disk.flip(`${DIRECTORY}/superblock`, 100)
  await world.run(world.startIod(0))
  assert.equal(world.datafiles(0), [opened.opened.handle])
  assert.equal(await world.run(readAt(opened, 0, 10)), pattern(10))
})

test('who has no answer to SYNC yet takes no state from a manager either, and keeps what it found', async () => {
  const handle = await firstHandle()
  await using world = new World({ iods: 1 })
  const { disk } = world.hostOf(0)
  const path = `${DIRECTORY}/data/${datafilePath(handle)}`
  disk.makeDirectory(path.slice(0, path.lastIndexOf('/')))
  disk.open(path, 'create').write(pattern(10), 0)
  await world.run(world.startManager())
  // It has taken the iod, and dies before the iod knows.
  world.frames(({ to, request }, op) => {
    if (request || to !== 'manager:7300' || op !== MANAGER.sync.op) return undefined
    world.killManager()
    return { kind: 'cut', delivered: false }
  })
  await world.run(world.startIod(0))
  world.heal()
  // The next one says RECONCILE; what the iod asks it does not arrive.
  await world.run(world.startManager({ deaf: true }))
  await world.sim.clock.advance(world.timing.heartbeatMs * 4)
  assert.ok(disk.exists(path))
  const manager = await Raw.connect(world, 0, { role: 'manager' })
  const said = { epoch: 99, epochId: NO_ID, version: 7, intents: [], held: [] }
  await refusal(manager.control(IOD.reconcile, said), 'BEHIND')
  world.killManager()
  await world.run(world.startManager())
  await world.quiet()
  assert.equal(world.datafiles(0), [])
  await world.run(world.open(world.client(), '/f'))
})

for (const [what, change] of [
  ['an old copy of its directory', undefined],
  ['another directory', 'd'.repeat(32)],
] as const)
  test(`a manager that comes back believes no iod on ${what} that has counted up to the same start`, async () => {
    await using world = await World.start({ iods: 1 })
    const opened = await world.run(world.open(world.client(), '/f'))
    await world.run(writeAt(opened, 0, pattern(10)))
    world.killManager()
    world.killIod(0)
    const { disk } = world.hostOf(0)
    const superblock = SuperblockFile.open(disk, DIRECTORY)
    const { incarnation, uuid } = superblock.value
    await superblock.update({ incarnation: incarnation - 1, uuid: change ?? uuid })
    superblock.close()
    const iod = await world.run(world.startIod(0))
    assert.is(iod.incarnation, incarnation)
    await world.run(world.startManager({ deaf: true }))
    await world.sim.clock.advance(world.timing.heartbeatMs * 4)
    assert.is(iod.iod.opens.size, 0)
  })

test('an empty directory in the place of the one from before is refused', async () => {
  await using world = await World.start({ iods: 1 })
  world.killIod(0)
  await world.hostOf(0).disk.remove(`${DIRECTORY}/superblock`)
  const error = await world.refused(world.startIod(0))
  assert.match(error.message, /another data directory than before/)
})

test('an iod that is not in the iodtab, on another host, or on another port is refused', async () => {
  await using world = await World.start({ iods: 1 })
  const cases: readonly (readonly [string, number, number, RegExp])[] = [
    ['iod-0', 1, portOf(1), /^iod 1: the iodtab has 1 entries$/],
    ['elsewhere', 0, portOf(0), /^iod 0: elsewhere is not its host in the iodtab$/],
    ['iod-0', 0, 9999, /^iod 0: it says iod-0:9999, the iodtab says iod-0:7301$/],
  ]
  for (const [host, index, port, message] of cases) {
    const runtime = world.sim.host(host)
    const config = {
      index,
      directory: `/other-${port}-${host}`,
      manager: MANAGER_ADDRESS,
      listen: { host: 'iod-0', port },
    }
    const error = await world.refused(
      RunningIod.start(config, { runtime, timing: world.timing, log: silentLog }),
      'MPI_ERR_ACCESS',
    )
    assert.match(error.message, message)
    assert.equal(runtime.disk.list(config.directory), [], 'nothing was left of its formatting')
  }
})

test('a datafile that cannot be removed keeps nobody from starting; one that cannot be cut does', async () => {
  await using world = await World.start({ iods: 1 })
  const client = world.client()
  const [first, second] = [
    await openWith(world, pattern(10), '/a'),
    await openWith(world, pattern(10), '/b'),
  ]
  for (const opened of [first, second]) await world.run(world.close(opened))
  world.killIod(0)
  for (const path of ['/a', '/b']) await world.run(unlink(client, path))
  const { disk } = world.hostOf(0)
  const stuck = first.opened.handle.toString(16).padStart(16, '0')
  disk.faults = {
    fault: (operation, where) =>
      operation === 'unlink' && where.endsWith(stuck) ? { kind: 'error', errno: 'EIO' } : undefined,
  }
  await world.run(world.startIod(0))
  assert.ok(world.saw('iod 0', 'a datafile cannot be removed'))
  assert.is((await world.run(world.status())).intents, 0)
  // The audit that follows the start finds what was left.
  await world.quiet()
  assert.equal(world.datafiles(0), [])
  assert.match(disk.list(`${DIRECTORY}/lost+found`).join(), new RegExp(`^${stuck}\\.\\d+$`))
})

test('an incarnation is on disk before the manager hears of it', async () => {
  await using world = await World.start({ iods: 1 })
  const seen: number[] = []
  for (let round = 0; round < 5; round++) {
    world.crashIod(0)
    await world.run(world.startIod(0))
    seen.push(world.iod(0).incarnation)
  }
  assert.equal(seen, [2, 3, 4, 5, 6])
})

test('a formatting that is cut short at any step can be begun again', async () => {
  await using world = new World({ iods: 1 })
  await world.run(world.startManager())
  const { disk } = world.hostOf(0)
  for (const operation of ['mkdir', 'syncDirectory', 'open', 'write', 'sync'] as const) {
    disk.faults = {
      fault: (seen, where) =>
        seen === operation && where !== '/' && where !== DIRECTORY
          ? { kind: 'error', errno: 'EIO' }
          : undefined,
    }
    await world.refused(world.startIod(0))
    world.killIod(0)
    disk.faults = {}
    disk.crash()
  }
  await world.run(world.startIod(0))
  assert.is(world.iod(0).iod.state.known, true)
})

test('an empty host is refused before anything is made: a system would take it for all addresses', async () => {
  await using place = await RealPlace.make()
  const { iodtab, port, shared } = place
  const directory = join(place.path, 'new')
  const start = { ...shared, directory, port, host: '' }
  const manager = await rejects(startManager({ ...start, iodtab }), 'MPI_ERR_ARG')
  assert.is(manager.message, 'startManager: its host is empty')
  const url = `rankio://127.0.0.1:${port}`
  const iod = await rejects(startIod({ ...start, index: 0, manager: url }), 'MPI_ERR_ARG')
  assert.is(iod.message, 'startIod: its host is empty')
  assert.not(existsSync(directory))
})

test('a second process on a directory, and a port that is in use, are refused in one sentence', async () => {
  await using place = await RealPlace.make()
  await using _manager = await startManager({
    ...place.shared,
    directory: join(place.path, 'manager'),
    iodtab: place.iodtab,
    port: place.port,
  })
  const options = {
    ...place.shared,
    directory: join(place.path, 'iod-0'),
    index: 0,
    manager: `rankio://127.0.0.1:${place.port}`,
    port: place.port + 1,
  }
  const taken = createServer().listen(place.port + 1, '127.0.0.1')
  await once(taken, 'listening')
  const inUse = await rejects(startIod(options), 'MPI_ERR_ARG')
  assert.is(inUse.message, `cannot listen on 127.0.0.1:${place.port + 1}: the address is in use`)
  taken.close()
  await once(taken, 'close')
  await using iod = await startIod(options)
  assert.is(iod.incarnation, 2)
  const locked = await rejects(startIod(options), 'MPI_ERR_IO')
  assert.match(locked.message, new RegExp(`iod-0": it is in use by process ${process.pid}$`))
  const twice = await rejects(
    startManager({
      ...place.shared,
      directory: join(place.path, 'manager'),
      iodtab: place.iodtab,
      port: place.port + 2,
    }),
    'MPI_ERR_IO',
  )
  assert.match(twice.message, /in use by process/)
})

test('a directory that another process holds is refused until that process is gone', async () => {
  await using place = await RealPlace.make()
  const directory = join(place.path, 'iod-0')
  await using _manager = await startManager({
    ...place.shared,
    directory: join(place.path, 'manager'),
    iodtab: place.iodtab,
    port: place.port,
  })
  const options = {
    ...place.shared,
    directory,
    index: 0,
    manager: `rankio://127.0.0.1:${place.port}`,
    port: place.port + 1,
  }
  await (await startIod(options)).close()
  const holder = spawn('flock', [join(directory, 'lock'), 'sh', '-c', 'echo held; read _'], {
    stdio: ['pipe', 'pipe', 'inherit'],
  })
  await once(holder.stdout, 'data')
  await rejects(startIod(options), 'MPI_ERR_IO')
  holder.stdin.end()
  await once(holder, 'exit')
  await (await startIod(options)).close()
})

async function openWith(world: World, bytes: Uint8Array, path = '/f'): Promise<SimOpen> {
  const opened = await world.run(world.open(world.client(), path, { firstIod: 0 }))
  await world.run(writeAt(opened, 0, bytes))
  return opened
}

/** What iod 0 answers to a request under the capability of an open. */
async function capabilityAnswer(world: World, opened: SimOpen): Promise<string> {
  const raw = await Raw.connect(world, 0, { sessionId: opened.client.sessionId })
  try {
    await raw.call({ ...requestOf(opened, 0), op: DATA.size, length: 0 })
    return 'OK'
  } catch (error) {
    return (error as { context: { reason: string } }).context.reason
  }
}

function superblockOf(world: World, index: number): Superblock {
  const file = SuperblockFile.open(world.hostOf(index).disk, DIRECTORY)
  file.close()
  return file.value
}

async function changeSuperblock(world: World, change: Partial<Superblock>): Promise<void> {
  const file = SuperblockFile.open(world.hostOf(0).disk, DIRECTORY)
  await file.update(change)
  file.close()
}

/** A folder and ports for servers on real disks and sockets. */
class RealPlace implements AsyncDisposable {
  readonly path: string
  readonly port: number
  readonly iodtab: string
  readonly shared = { log: silentLog }
  readonly #release: () => void

  private constructor(path: string, port: number, release: () => void) {
    this.path = path
    this.port = port
    this.iodtab = join(path, 'iodtab')
    this.#release = release
  }

  static async make(): Promise<RealPlace> {
    const path = await mkdtemp(join(tmpdir(), 'startup-'))
    const ports = await reservePorts('127.0.0.1', 3)
    const place = new RealPlace(path, ports.first, () => ports.release())
    await writeFile(place.iodtab, `127.0.0.1:${ports.first + 1}\n`)
    return place
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#release()
    await rm(this.path, { recursive: true, force: true })
  }
}

/** The handle of the first file of a file system. */
async function firstHandle(): Promise<number> {
  await using world = await World.start({ iods: 1 })
  return (await world.run(world.open(world.client(), '/f'))).opened.handle
}

test.run()
