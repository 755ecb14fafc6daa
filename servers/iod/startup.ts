// How an iod comes up: lock, superblock, incarnation + 1, then it asks its manager for the open state
// *before* it listens, listens, and says that it is ready. What it must never do is listen first:
// the manager could then wait for the iod while the iod waits for the manager.
//
//   SYNC → SNAPSHOT → apply → COMMIT → GO → listen() → READY → heartbeats
//
// A manager that stays silent is given up after `syncMs`: the iod listens without state, answers
// BEHIND, and goes on asking. What comes next at each point is decided in `start-steps.ts`; here it is done.

import { randomId, sleep, within } from '../../lib/base/runtime.js'
import { deferred } from '../../lib/base/deferred.js'
import { assert, unreachable } from '../../lib/base/assert.js'
import { errorOf, IoError, recoveryOf, messageOf } from '../../lib/base/errors.js'
import { DATA_FOLDER } from '../../lib/protocol/data-directory.js'
import { NO_ID } from '../../lib/protocol/hello.js'
import { MANAGER } from '../../lib/protocol/manager.js'
import type { ReplyOf } from '../../lib/protocol/operation.js'
import type { Intent, OpenRecord } from '../../lib/protocol/records.js'
import { textOf } from '../../lib/transport/address.js'
import { Link } from '../../lib/transport/link.js'
import type { ControlRow } from '../../lib/transport/rpc.js'
import { MARKS } from '../common/data-marks.js'
import { expectFollower } from '../common/epoch.js'
import { ioErrorOf } from '../common/errno.js'
import { Datafiles } from './datafiles.js'
import { markForeign, unmarkForeign } from './foreign.js'
import { Iod } from './iod.js'
import { DirectProof } from './proof.js'
import { checkManager, type IodConfig, type IodSurroundings } from './config.js'
import { replaceDirectory } from './replacement.js'
import {
  beginStart,
  type StartEffect,
  type StartEvent,
  type StartState,
  stepStart,
} from './start-steps.js'
import { blankSuperblock, type Superblock, SuperblockFile } from './superblock.js'

type Snapshot = ReplyOf<typeof MANAGER.sync>

/** A running iod. */
export class RunningIod {
  readonly #config: IodConfig
  readonly #around: IodSurroundings
  readonly #superblock: SuperblockFile
  readonly #iod: Iod
  readonly #link: Link
  readonly #stopping = new AbortController()
  #addresses: { port: number; unixPath: string } | undefined
  readonly #known = deferred<void>()
  #background: Promise<unknown> = Promise.resolve()
  // What the manager told last, and why it does not want this iod.
  #snapshot: State = NOTHING
  #refusal: unknown
  /** Since when the manager does not answer. */
  #silentSince: number | undefined

  /** Starts an iod; resolves when it listens. Rejects if its directory or its manager refuses it. */
  static async start(config: IodConfig, around: IodSurroundings): Promise<RunningIod> {
    const isBlank = !SuperblockFile.exists(around.runtime.disk, config.directory)
    const superblock = await openSuperblock(config, around)
    try {
      await superblock.update((now) => nextStart(now, superblock.isDamaged))
      // The other slot is now two starts behind: next time it would not do.
      if (superblock.isDamaged) await superblock.update({})
      if (config.acceptDataLoss === true) await replaceDirectory(config, around, superblock)
    } catch (error) {
      if (isOldCopy(error)) await takeBack(superblock)
      superblock.close()
      if (isBlank && !isSilence(error)) await unformat(config, around)
      throw error
    }
    const running = new RunningIod(config, around, superblock)
    try {
      await running.#start()
      return running
    } catch (error) {
      if (isOldCopy(error)) await takeBack(superblock)
      // Why it cannot start is what the caller is told, whatever else fails then.
      await running.close().catch(() => {})
      if (isBlank && running.#isStranger) await unformat(config, around)
      throw error
    }
  }

  private constructor(config: IodConfig, around: IodSurroundings, superblock: SuperblockFile) {
    this.#config = config
    this.#around = around
    this.#superblock = superblock
    this.#iod = new Iod({ ...around, directory: config.directory, superblock })
    this.#link = new Link({
      runtime: around.runtime,
      timing: around.timing,
      name: 'manager',
      addresses: () => [config.manager],
      role: 'iod',
      clientId: randomId(around.runtime.random),
      sessionId: () => NO_ID,
      fsid: () => superblock.value.fsid,
      server: 'manager',
      retries: Number.POSITIVE_INFINITY,
      onConnect: async (_, hello) => await checkManager(hello, superblock, config),
    })
  }

  /** The iod itself. */
  get iod(): Iod {
    return this.#iod
  }

  /** TCP port on which it listens. */
  get port(): number {
    return this.#addresses?.port ?? 0
  }

  /** How often it was started on this directory. */
  get incarnation(): number {
    return this.#superblock.value.incarnation
  }

  get #self(): { readonly index: number; readonly uuid: string; readonly incarnation: number } {
    const { index, uuid, incarnation } = this.#superblock.value
    return { index, uuid, incarnation }
  }

  // Refused before the manager has remembered this directory, which is worth nothing then.
  get #isStranger(): boolean {
    const isKnown = this.#snapshot !== NOTHING || this.#config.acceptDataLoss === true
    return !isKnown && this.#refusal !== undefined && !isSilence(this.#refusal)
  }

  /** Stops it in order. */
  async close(): Promise<void> {
    this.#stopping.abort(new IoError('MPI_ERR_OTHER', 'the iod stops'))
    this.#link.close()
    this.#known.resolve()
    await this.#background.catch(() => {})
    try {
      await this.#iod.close()
    } finally {
      this.#superblock.close()
    }
  }

  async #start(): Promise<void> {
    const { runtime, log } = this.#around
    const started = runtime.clock.now()
    const { directory } = this.#config
    const { directLeaseMs } = this.#around.timing
    await DirectProof.awaitWriters(runtime, directory, directLeaseMs, this.#stopping.signal)
    let turn = beginStart(started)
    while (!turn[0].isListening) turn = await this.#next(turn)
    const [state] = turn
    const transport = await runtime.network.kind?.()
    log.info('listening', {
      port: this.port,
      transport,
      incarnation: this.incarnation,
      synced: state.isSynced,
      opens: this.#iod.opens.size,
      ms: Math.round(runtime.clock.now() - started),
    })
    this.#background = Promise.all([this.#goOn(turn), this.#auditAgain()])
  }

  // Only one that the manager knows to be up is believed; after that, now and then.
  async #auditAgain(): Promise<void> {
    const { runtime, timing, log } = this.#around
    const { signal } = this.#stopping
    await this.#known.promise
    for (;;) {
      if (signal.aborted) return
      try {
        await this.#audit()
        await this.#iod.inventory.sweep()
      } catch (error) {
        if (!signal.aborted) log.warn('audit failed', { why: messageOf(error) })
      }
      await sleep(runtime.clock, timing.auditMs, signal)
    }
  }

  async #audit(): Promise<void> {
    for (const handles of this.#iod.inventory.pages()) {
      const request = { ...this.#self, handles }
      const { dead } = await this.#link.control(MANAGER.audit, request)
      await this.#iod.inventory.quarantine(dead)
    }
  }

  async #goOn(first: Turn): Promise<void> {
    let turn = first
    while (!this.#stopping.signal.aborted) turn = await this.#next(turn)
  }

  async #next([state, effects]: Turn): Promise<Turn> {
    let event: StartEvent | undefined
    for (const effect of effects) {
      if (effect.kind === 'renew') this.#iod.renew(effect.from)
      else event = await this.#outcome(state, effect)
    }
    assert(event !== undefined, 'start: nothing is asked')
    return stepStart(state, event)
  }

  async #outcome(state: StartState, effect: Asked): Promise<StartEvent> {
    try {
      return await this.#do(state, effect)
    } catch (error) {
      if (this.#stopping.signal.aborted || effect.kind === 'listen' || effect.kind === 'stop')
        throw error
      return this.#failure(state, error)
    }
  }

  // A refusal is final; only silence lets an iod start without state.
  #failure({ isListening, phase }: StartState, error: unknown): StartEvent {
    const { log } = this.#around
    const why = messageOf(error)
    const isUnsynced = error instanceof IoError && error.context.reason === 'STALE'
    if (isUnsynced) return { kind: 'again', at: this.#now }
    if (isListening) {
      if (this.#silentSince === undefined) log.warn('manager does not answer', { why })
      this.#silentSince ??= this.#now
    } else if (isSilence(error)) {
      const manager = textOf(this.#config.manager)
      log.warn('manager silent, starting without state', { manager, why, phase })
      this.#silentSince = this.#now
    }
    this.#refusal = error
    return { kind: isSilence(error) ? 'silent' : 'refused' }
  }

  // One line for each time that the manager was silent, when it is over.
  #heard(): void {
    const since = this.#silentSince
    if (since === undefined) return
    this.#silentSince = undefined
    const { epoch, version } = this.#iod.state
    const ms = Math.round(this.#now - since)
    this.#around.log.info('manager is back', { epoch, version, opens: this.#iod.opens.size, ms })
  }

  async #do(state: StartState, effect: Asked): Promise<StartEvent> {
    switch (effect.kind) {
      case 'sync': {
        const request = { ...this.#superblock.value, ...this.#config.listen }
        return await this.#told(await this.#ask(MANAGER.sync, request, state), state)
      }
      case 'apply':
        await this.#apply(this.#snapshot)
        return { kind: 'applied', at: this.#now }
      case 'commit': {
        const { intentApplied } = this.#superblock.value
        const request = { ...this.#self, version: effect.version, intentApplied }
        const { go, state: newer } = await this.#ask(MANAGER.commit, request, state)
        if (go) return { kind: 'go' }
        return newer === undefined
          ? { kind: 'again', at: this.#now }
          : await this.#told(newer, state)
      }
      case 'adopt': {
        const isAdopted = await this.#iod.adopt(this.#snapshot)
        if (state.isListening)
          this.#around.log.info('state fetched late', { opens: this.#iod.opens.size })
        return { kind: isAdopted ? 'adopted' : 'again', at: this.#now }
      }
      case 'listen':
        await this.#listen()
        return { kind: 'listening', at: this.#now }
      case 'ready':
        await this.#ready()
        this.#known.resolve()
        this.#heard()
        return { kind: 'known' }
      case 'heartbeat':
        if (!(await this.#heartbeat())) return { kind: 'unknown', at: this.#now }
        this.#heard()
        return { kind: 'known' }
      case 'rest': {
        const { clock } = this.#around.runtime
        await sleep(clock, this.#around.timing.heartbeatMs, this.#stopping.signal)
        return { kind: 'woken', at: this.#now }
      }
      case 'stop':
        throw this.#refusal
      default:
        return unreachable(effect)
    }
  }

  get #now(): number {
    return this.#around.runtime.clock.now()
  }

  async #listen(): Promise<void> {
    const { listen, unixPath } = this.#config
    const bound = await this.#iod.listen({ kind: 'tcp', ...listen })
    if (unixPath !== undefined) await this.#iod.listen({ kind: 'unix', path: unixPath })
    this.#addresses = { port: bound.kind === 'tcp' ? bound.port : 0, unixPath: unixPath ?? '' }
  }

  // All chunks of a snapshot, which must be kept that long. Nothing of one that is older is carried out.
  async #told(first: Snapshot, state: StartState): Promise<StartEvent> {
    expectFollower(this.#iod.name, this.#superblock.value, first)
    const records: OpenRecord[] = [...first.records]
    const intents: Intent[] = [...first.intents]
    for (let more = first.more; more; ) {
      const { version } = first
      const at = { records: records.length, intents: intents.length }
      const request = { index: this.#config.index, version, ...at }
      const chunk = await this.#ask(MANAGER.snapshotChunk, request, state)
      records.push(...chunk.records)
      intents.push(...chunk.intents)
      more = chunk.more
    }
    this.#snapshot = { ...first, records, intents }
    return { kind: 'told', epoch: first.epoch, version: first.version }
  }

  // Intents before anything else: no client may see a datafile that was removed or cut meanwhile.
  async #apply({ epoch, epochId, iodtabHash, iodtabCount, intents }: State): Promise<void> {
    const superblock = this.#superblock
    const { value } = superblock
    await this.#iod.taken()
    if (epoch !== value.epoch || iodtabHash !== value.iodtabHash)
      await superblock.update((now) => ({
        ...(epoch > now.epoch ? { epoch, epochId } : {}),
        iodtabHash,
        iodtabCount,
      }))
    await this.#iod.apply(intents)
  }

  // The wait for one answer is limited, not what this iod does with it. One that listens can be patient.
  async #ask<Q, A>(row: ControlRow<Q, A>, request: Q, { isListening }: StartState): Promise<A> {
    const { runtime, timing } = this.#around
    const { clock } = runtime
    const limitMs = isListening ? timing.operationMs : timing.syncMs
    const silent = (): IoError =>
      errorOf('TIMEOUT', `manager ${textOf(this.#config.manager)}: silent for ${limitMs} ms`)
    const answer = this.#link.control(row, request, { deadlineMs: limitMs })
    return await within(clock, limitMs, answer, silent)
  }

  async #ready(): Promise<void> {
    const { epoch, version } = this.#iod.state
    const request = {
      ...this.#self,
      epoch,
      version,
      hostId: this.#around.runtime.hostId,
      port: this.port,
      unixPath: this.#addresses?.unixPath ?? '',
    }
    await this.#link.control(MANAGER.ready, request, { deadlineMs: this.#around.timing.silenceMs })
  }

  async #heartbeat(): Promise<boolean> {
    const { epoch, version } = this.#iod.state
    const request = { ...this.#self, epoch, version }
    const { known } = await this.#link.control(MANAGER.heartbeat, request, {
      deadlineMs: this.#around.timing.silenceMs,
    })
    return known
  }
}

type Turn = readonly [StartState, readonly StartEffect[]]

type Asked = Exclude<StartEffect, { readonly kind: 'renew' }>

type State = Omit<Snapshot, 'more'>

const NOTHING: State = {
  epoch: 0,
  epochId: NO_ID,
  version: 0,
  iodtabHash: '',
  iodtabCount: 0,
  records: [],
  intents: [],
  held: [],
}

async function openSuperblock(config: IodConfig, around: IodSurroundings): Promise<SuperblockFile> {
  const { index, directory } = config
  try {
    if (!SuperblockFile.exists(around.runtime.disk, directory)) return await format(config, around)
    const superblock = SuperblockFile.open(around.runtime.disk, directory)
    if (superblock.value.index === index) return superblock
    superblock.close()
    const other = superblock.value.index
    throw new IoError(
      'MPI_ERR_ARG',
      `${directory}: it is the directory of iod ${other}, not of iod ${index}`,
    )
  } catch (error) {
    if (error instanceof IoError) throw error
    throw ioErrorOf(error, `${directory}: it cannot be used as a data directory`)
  }
}

async function format(
  { index, directory }: IodConfig,
  { runtime, log }: IodSurroundings,
): Promise<SuperblockFile> {
  const { disk, random } = runtime
  // The superblock comes last: a directory without one was never in use.
  const root = `${directory}/${DATA_FOLDER}`
  disk.makeDirectory(root)
  await Datafiles.format(disk, root)
  await markForeign(disk, root, new Datafiles(disk, root))
  const superblock = await SuperblockFile.create(
    disk,
    directory,
    blankSuperblock(index, randomId(random)),
  )
  log.info('data directory formatted', { directory })
  return superblock
}

// The manager does not want it, so that the directory is left as it was found.
async function unformat(
  { directory }: IodConfig,
  { runtime: { disk }, log }: IodSurroundings,
): Promise<void> {
  try {
    // In the opposite order: without a superblock the directory was never in use.
    await disk.remove(`${directory}/${MARKS.iod}`)
    const root = `${directory}/${DATA_FOLDER}`
    await unmarkForeign(disk, root)
    Datafiles.unformat(disk, root)
    log.info('formatting of the data directory undone', { directory })
  } catch (error) {
    log.warn('formatting of the data directory cannot be undone', { why: messageOf(error) })
  }
}

// What was in a damaged slot may be one start newer, and may tell of a flush that failed: then nobody mistakes this
// directory for an old copy, and whoever has unsynced bytes here learns that they may be lost.
function nextStart(
  { incarnation, verifierSalt }: Superblock,
  isDamaged: boolean,
): Partial<Superblock> {
  if (!isDamaged) return { incarnation: incarnation + 1 }
  return { incarnation: incarnation + 2, verifierSalt: verifierSalt + 1 }
}

function isOldCopy(error: unknown): boolean {
  return error instanceof IoError && error.context.errno === 'ESTALE'
}

// The manager has refused this number. An old copy that is started again and again must not count up to
// the number of the right one.
async function takeBack(superblock: SuperblockFile): Promise<void> {
  await superblock.update(({ incarnation }) => ({ incarnation: incarnation - 1 })).catch(() => {})
}

function isSilence(error: unknown): boolean {
  if (recoveryOf(error) !== 'final') return true
  return error instanceof IoError && error.context.reason === 'MANAGER_DOWN'
}
