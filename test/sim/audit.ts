// What must hold at the end of a run, when nothing goes wrong any more and everybody has come to rest.
import type { Client } from '../../lib/driver/client.js'
import { closeFile, openFile, readdir, stat } from '../../lib/driver/namespace.js'
import { StripedFile } from '../../lib/driver/striped.js'
import { idBytes } from '../../lib/protocol/codec.js'
import { FSCK_START, type FsckPage, type FsckPlace } from '../../lib/protocol/findings.js'
import { MANAGER } from '../../lib/protocol/manager.js'
import { decodeInode, type FileInode, NAMESPACE_KEYS } from '../../servers/manager/inodes.js'
import { KINDS, keyOf } from '../../servers/manager/keys.js'
import { iodsOf } from '../../servers/manager/open-table.js'
import { entriesOf } from '../../servers/manager/store/store.js'
import { checkTree } from '../manager/tree-check.js'
import { BLOCK_BYTES } from './content.js'
import type { FileHistory } from './history.js'
import { accessOf, type Loner, type SharedFile } from './loner.js'
import type { Stage } from './stage.js'
import { Violation } from './violation.js'

/** The longest that an end of a connection is on its way. */
const LAST_WORDS_MS = 30_000

/** Times that the manager is looked at until it has nothing left to do. */
const LOOKS_MAX = 60

/** Checks everything that can be seen at rest. */
export async function audit(
  stage: Stage,
  loners: readonly Loner[],
  shared: readonly SharedFile[],
): Promise<void> {
  await settle(stage)
  await checkOpens(stage)
  await checkMetadata(stage)
  await checkWhole(stage)
  checkDescriptors(stage)
  checkReopens(stage)
  await checkJobs(stage)
  await checkContents(stage, loners, shared)
}

/** Reads every file whose name is known, and compares. */
export async function checkContents(
  stage: Stage,
  loners: readonly Loner[],
  shared: readonly SharedFile[],
): Promise<void> {
  const client = stage.world.client()
  await checkNames(client, loners)
  const own = loners.flatMap(({ names }) =>
    [...names.files].map(([path, file]) => ({ path, file })),
  )
  for (const { path, file } of [...shared, ...own]) await checkFile(stage, client, path, file)
  await client.close({ leave: true })
}

/** Stops every server in order: nothing of it may be left. */
export async function checkShutdown(stage: Stage): Promise<void> {
  const { world } = stage
  const processes = new Map(
    [...world.iodtab.keys()].map((index) => [`iod-${index}`, world.processOf(index)]),
  )
  for (const index of world.iodtab.keys()) await world.iod(index).close()
  const manager = world.managerProcess
  await world.manager.close()
  // The last words of both sides are still on their way.
  await stage.sleep(LAST_WORDS_MS)
  if (manager !== undefined) processes.set('manager', manager)
  for (const [name, { timers, connections, paths }] of processes) {
    if (timers + connections + paths.length === 0) continue
    const what = `${timers} timers, ${connections} connections, ${paths.length} files`
    throw new Violation('I6', `${name} has stopped and leaves ${what}`)
  }
}

// Nobody asks for anything: what is pending comes to its end.
async function settle(stage: Stage): Promise<void> {
  const { timing } = stage.world
  const client = stage.world.client()
  try {
    for (let look = 0; look < LOOKS_MAX; look++) {
      const { opens, intents, iods, sessions } = await client.manager.control(MANAGER.status, {})
      const isRest = opens === 0 && intents === 0 && sessions <= 1
      if (isRest && iods.every(({ state }) => state === 'up')) return
      await stage.sleep(timing.heartbeatMs)
    }
    const { opens, intents, iods, sessions } = await client.manager.control(MANAGER.status, {})
    const states = iods.map(({ state }) => state).join(', ')
    throw new Violation(
      'I5',
      `it does not come to rest: ${opens} opens, ${intents} intents, ${sessions} sessions, iods ${states}`,
    )
  } finally {
    await client.close({ leave: true })
    await stage.sleep(timing.heartbeatMs * 3)
  }
}

async function checkOpens(stage: Stage): Promise<void> {
  const { world } = stage
  const records = await world.records()
  const { opens } = await world.status()
  if (opens !== records.length)
    throw new Violation(
      'I5',
      `the manager has ${opens} opens in memory and ${records.length} durable`,
    )
  for (const index of world.iodtab.keys()) {
    const mine = records.filter((record) => iodsOf(record).includes(index))
    const table = world.iod(index).iod.opens
    const known = mine.filter(({ handle, capability }) => table.find(handle, idBytes(capability)))
    if (table.size !== mine.length || known.length !== mine.length)
      throw new Violation(
        'I5',
        `iod-${index} knows ${table.size} opens, of the ${mine.length} of the manager ${known.length}`,
      )
  }
}

async function checkMetadata(stage: Stage): Promise<void> {
  const { world } = stage
  try {
    await checkTree(world.store)
  } catch (error) {
    throw new Violation('I15', String(error), { cause: error })
  }
  const handles = new Map<number, FileInode>()
  for await (const { value } of entriesOf(world.store, Uint8Array.of(NAMESPACE_KEYS.inode))) {
    const inode = decodeInode(value)
    if (inode.kind === 'file') handles.set(inode.handle, inode)
  }
  for (const index of world.iodtab.keys()) {
    for (const handle of world.datafiles(index)) {
      const inode = handles.get(handle)
      if (inode !== undefined && iodsOf(inode).includes(index)) continue
      throw new Violation('I7', `iod-${index} has a datafile of handle ${handle}, which is gone`)
    }
  }
  for (const { handle, linked } of handles.values())
    if (!linked) throw new Violation('I7', `handle ${handle} has no name and no open, and is there`)
}

// The same from outside: what an operator would be told.
async function checkWhole({ world }: Stage): Promise<void> {
  const client = world.client()
  try {
    for (let place: FsckPlace | undefined = FSCK_START; place !== undefined; ) {
      const request = { place, repair: false }
      const page: FsckPage = await client.manager.control(MANAGER.fsck, request)
      // A loss of power shortens what was never synced, whatever size its last close has noted.
      const [first] = page.findings.filter(({ kind }) => kind !== 'WRONG_SIZE')
      if (first !== undefined) throw new Violation('I15', `fsck: ${JSON.stringify(first)}`)
      place = page.next
    }
  } finally {
    await client.close({ leave: true })
  }
}

function checkDescriptors({ world }: Stage): void {
  for (const index of world.iodtab.keys()) {
    const { paths } = world.processOf(index)
    const { disk } = world.hostOf(index)
    const lost = paths.filter((path, at) => !disk.exists(path) || paths.indexOf(path) !== at)
    if (lost.length > 0)
      throw new Violation(
        'I6',
        `iod-${index} has descriptors that nobody needs: ${lost.join(', ')}`,
      )
  }
}

// A capability that an iod has lost is asked for anew; the restart of an iod is no reason for that, nor anything else here
// but a close under which somebody still writes.
function checkReopens({ network, plan }: Stage): void {
  if (network.reopens > 0 && !plan.closesUnder)
    throw new Violation('I5', `${network.reopens} times a client had to ask for its open again`)
}

// Of a job that nobody is in any more nothing is kept, once nobody can ask for it either.
async function checkJobs(stage: Stage): Promise<void> {
  const { store, timing } = stage.world
  const kept = async (): Promise<number> => {
    let count = 0
    for await (const _ of entriesOf(store, keyOf(KINDS.job))) count++
    return count
  }
  if ((await kept()) === 0) return
  await stage.sleep(timing.operationMs + timing.heartbeatMs)
  const left = await kept()
  if (left > 0) throw new Violation('I6', `${left} jobs are kept that nobody is in any more`)
}

async function checkNames(client: Client, loners: readonly Loner[]): Promise<void> {
  const there = new Set<string>()
  for await (const { name } of readdir(client, '/')) there.add(`/${name}`)
  for (const { names } of loners) {
    for (const path of names.files.keys())
      if (!there.has(path)) throw new Violation('I15', `${path} is gone`)
    for (const path of there)
      if (names.isOurs(path) && !names.files.has(path) && !names.unsure.has(path))
        throw new Violation('I15', `${path} is there, and was removed`)
  }
}

async function checkFile(
  stage: Stage,
  client: Client,
  path: string,
  file: FileHistory,
): Promise<void> {
  const { handle } = await stat(client, path)
  if (file.handle !== undefined && file.handle !== handle)
    throw new Violation('I15', `${path} is handle ${handle}, it was ${file.handle}`)
  const opened = await openFile(client, path, {
    read: true,
    write: false,
    create: false,
    exclusive: false,
    truncate: false,
    mode: 0,
    advisory: false,
  })
  file.layout ??= opened.layout
  const driver = new StripedFile(client, opened)
  const blocks = Array.from({ length: file.blocks }, (_, block) => block)
  const bytes = new Uint8Array(blocks.length * BLOCK_BYTES)
  const invoked = stage.history.now()
  const there = bytes.length === 0 ? 0 : await driver.read(accessOf(blocks, bytes))
  const look = { who: 'the audit', invoked, ended: stage.history.now() }
  file.check(look, blocks, bytes.subarray(0, there))
  await closeFile(client, driver.capability, driver.traces())
}
