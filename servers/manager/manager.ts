// The manager: wires names, opens, iods and sessions to the operations of its table. It never touches
// a byte of a file.

import { errorOf, IoError, messageOf } from '../../lib/base/errors.js'
import { faults } from '../../lib/base/faults.js'
import { type Address, type Runtime, within } from '../../lib/base/runtime.js'
import type { Timing } from '../../lib/base/timing.js'
import { type Codec, decode, encode, struct } from '../../lib/protocol/codec.js'
import type { RequestHeader } from '../../lib/protocol/frame.js'
import { type HelloReply, NO_ID } from '../../lib/protocol/hello.js'
import { IOD } from '../../lib/protocol/iod.js'
import { LIMITS } from '../../lib/protocol/limits.js'
import { MANAGER } from '../../lib/protocol/manager.js'
import type { ReplyOf, RequestOf } from '../../lib/protocol/operation.js'
import type { IodStatus } from '../../lib/protocol/records.js'
import { Dispatcher } from '../common/dispatch.js'
import type { Log } from '../common/log.js'
import type { RequestSink } from '../common/request-sink.js'
import { type Peer, Server, type Service } from '../common/server.js'
import { Audit } from './audit.js'
import { Epochs } from './epochs.js'
import { Files } from './files.js'
import { fsckPage } from './fsck/fsck.js'
import type { Scene } from './fsck/scene.js'
import { Intents } from './intents.js'
import { checkGrown, type IodtabEntry, iodtabLine } from './iodtab.js'
import { Iods } from './iods.js'
import { type Asker, type Keep, KeptReplies } from './kept-replies.js'
import { type MetJob, MetJobs } from './met-jobs.js'
import { Namespace } from './namespace.js'
import { OpenTable } from './open-table.js'
import { Pushes } from './pushes.js'
import { openOutcome, type Opened, openReply, outcomeOf } from './replies.js'
import { checkedRange, RangeLocks } from './range-locks.js'
import { Rendezvous } from './rendezvous.js'
import { Replaced } from './replaced.js'
import { Sessions } from './sessions.js'
import { SharedPointers } from './shared-pointers.js'
import { Sizes } from './sizes.js'
import type { Store } from './store/store.js'
import { expectNewest, nothingRestored, restoredLift } from './survey.js'
import { type Lift, readSystem, startEpoch, type System } from './system.js'

/** What a manager is made of. */
export interface ManagerOptions {
  readonly runtime: Runtime
  readonly timing: Timing
  readonly log: Log
  /** Its metadata; the manager closes it at its end. */
  readonly store: Store
  readonly iodtab: readonly IodtabEntry[]
  /** Where the iodtab comes from, for messages. */
  readonly iodtabSource: string
  /** An operator's word that the metadata are a copy that may be older than what iods hold. */
  readonly restored?: boolean
}

interface Parts {
  readonly fsid: string
  readonly epochs: Epochs
  readonly namespace: Namespace
  readonly opens: OpenTable
  readonly intents: Intents
  readonly iods: Iods
  readonly pushes: Pushes
  readonly files: Files
  readonly sizes: Sizes
  readonly audit: Audit
  readonly replies: KeptReplies
  readonly locks: RangeLocks
  readonly met: { readonly kept: MetJobs; readonly jobs: readonly MetJob[] }
}

const NO_VERIFIER = new Uint8Array(8)

/** The outcome of what has none but that it was done. */
const DONE = struct({})

/** A running manager. */
export class Manager implements Service {
  readonly name = 'manager'
  readonly #options: ManagerOptions
  readonly #parts: Parts
  readonly #dispatcher: Dispatcher
  readonly #server: Server
  readonly #sessions: Sessions
  readonly #rendezvous: Rendezvous
  readonly #joined = new WeakMap<Peer, string>()

  /** Reads the metadata and begins a new epoch; it serves from its first `listen` on. */
  static async start(options: ManagerOptions): Promise<Manager> {
    const { runtime, log, store, iodtab, iodtabSource } = options
    const started = runtime.clock.now()
    const lines = iodtab.map(iodtabLine)
    const before = await readSystem(store)
    if (before !== undefined) checkGrown(before.iodtab, lines, iodtabSource)
    const lift = await liftOf(options, before)
    const begun = await startEpoch(store, runtime.random, before, lines, lift)
    const { fsid, epoch } = begun
    const epochs = new Epochs(store, log, begun)
    const namespace = await Namespace.open(store, runtime.clock)
    const opens = await OpenTable.load(store)
    const intents = await Intents.load(store, epoch)
    const countData = (iod: number): Promise<number> => namespace.countData(iod)
    const iods = await Iods.load({ ...options, opens, intents, fsid, epochs, countData })
    const sizes = await Sizes.load(store, opens, iods)
    const pointers = await SharedPointers.load(store)
    const replaced = await Replaced.load(store, opens)
    const pushes = new Pushes({ log, intents, iods })
    const locks = await RangeLocks.load({
      clock: runtime.clock,
      timing: options.timing,
      log,
      store,
      epoch,
      floorOf: (capability) => opens.get(capability)?.tokenFloor,
      fence: async (capability, floor) => await files.fence(capability, floor),
    })
    const files = new Files({
      runtime,
      log,
      store,
      namespace,
      opens,
      intents,
      iods,
      pushes,
      sizes,
      pointers,
      replaced,
      locks,
    })
    const recovered = await files.recover()
    const audit = new Audit({ namespace, opens, intents })
    const replies = await KeptReplies.load(store)
    const met = await MetJobs.load(store, log)
    iods.contact()
    log.info('manager started', {
      fsid,
      epoch,
      opens: opens.size,
      intents: intents.size,
      iods: iods.count,
      ...recovered,
      ms: Math.round(runtime.clock.now() - started),
    })
    const core = { fsid, epochs, namespace, opens, intents, iods, pushes, files }
    const parts = { ...core, sizes, audit, replies, locks, met }
    return new Manager(options, parts)
  }

  private constructor(options: ManagerOptions, parts: Parts) {
    const { runtime, timing } = options
    this.#options = options
    this.#parts = parts
    this.#sessions = new Sessions({
      clock: runtime.clock,
      timing,
      ended: (sessionId) => this.#sessionEnded(sessionId),
    })
    const sessions = new Set([...parts.opens.sessions(), ...parts.replies.sessions()])
    for (const sessionId of sessions) this.#sessions.inherit(sessionId)
    const { clock, random } = runtime
    this.#rendezvous = new Rendezvous({ clock, random, timing, ...parts.met })
    this.#dispatcher = Dispatcher.of(MANAGER, this.#handlers())
    this.#server = new Server(this, options)
  }

  get fsid(): string {
    return this.#parts.fsid
  }

  get epoch(): number {
    return this.#parts.epochs.epoch
  }

  /** Listens on one more address. */
  async listen(address: Address): Promise<Address> {
    return await this.#server.listen(address)
  }

  /** Stops in order: no connection, no timer, the metadata flushed and closed. */
  async close(): Promise<void> {
    this.#sessions.close()
    this.#parts.locks.close()
    this.#parts.files.stop()
    this.#parts.iods.close()
    try {
      await this.#server.close()
    } finally {
      // Who leaves as the server stops may still be expected back.
      this.#rendezvous.close()
      await this.#options.store.close()
    }
  }

  identity(): Omit<HelloReply, 'version' | 'features' | 'payloadBytes'> {
    const { fsid, epochs } = this.#parts
    const { epoch, epochId } = epochs
    const { hostId } = this.#options.runtime
    return { role: 'manager', fsid, incarnation: epoch, index: 0, hostId, epoch, epochId }
  }

  verifier(): Uint8Array {
    return NO_VERIFIER
  }

  admit(peer: Peer): void {
    const asked = peer.expectedFsid
    if (asked !== undefined && asked !== this.#parts.fsid) {
      throw new IoError(
        'MPI_ERR_OTHER',
        `manager: it serves file system ${this.#parts.fsid}, not ${asked}`,
      )
    }
    if (peer.role === 'manager' || peer.role === 'rank')
      throw errorOf('PROTOCOL', `manager: it does not serve a ${peer.role}`)
    if (peer.role !== 'client') return
    const { sessionId, clientId } = peer.said
    if (sessionId !== NO_ID) this.#sessions.enter(sessionId, peer)
    this.#rendezvous.back(clientId)
  }

  async control(peer: Peer, header: RequestHeader, body: Uint8Array): Promise<Uint8Array> {
    const { replies } = this.#parts
    if (header.offset !== 0) replies.acknowledge(peer.said.clientId, header.offset)
    return await this.#dispatcher.serve(peer, header, body)
  }

  data(): RequestSink | undefined {
    return undefined
  }

  left(peer: Peer): void {
    if (peer.role !== 'client') return
    const { clientId } = peer.said
    const sessionId = this.#sessionOf(peer)
    if (sessionId !== NO_ID) this.#sessions.leave(sessionId, peer)
    const others = [...this.#server.peers].filter(
      (other) => other.admitted && other.said.clientId === clientId,
    )
    if (others.some((other) => other.greeted !== undefined)) return
    this.#rendezvous.forget(clientId)
    this.#parts.locks.left(clientId)
    // Its next connection may be there already, and await what this one has begun.
    if (others.some((other) => !other.isFenced)) this.#rendezvous.back(clientId)
  }

  // A client that joined its job on this connection said hello before it knew its session.
  #sessionOf(peer: Peer): string {
    const { sessionId } = peer.said
    return sessionId === NO_ID ? (this.#joined.get(peer) ?? NO_ID) : sessionId
  }

  #neededSession(peer: Peer): string {
    const sessionId = this.#sessionOf(peer)
    if (sessionId === NO_ID)
      throw errorOf(
        'PROTOCOL',
        'manager: an operation that needs a session by a client that has none',
      )
    return sessionId
  }

  #expectAlive(sessionId: string): void {
    if (!this.#sessions.has(sessionId))
      throw errorOf('LEASE_LOST', 'manager: the session of this client has ended')
  }

  // Done once: a repeat of what a manager before this one has done is told its outcome.
  async #once<Outcome>(
    peer: Peer,
    requestId: number,
    codec: Codec<Outcome>,
    work: (keep: Keep<Outcome>) => Promise<Outcome>,
  ): Promise<Outcome> {
    const { replies } = this.#parts
    const { clientId } = peer.said
    const sessionId = this.#sessionOf(peer)
    const asker: Asker = { clientId, sessionId, requestId }
    const known = await replies.find(asker)
    if (known !== undefined && faults?.planted !== 'noReplies') return decode(codec, known)
    try {
      return await work((outcome) => replies.keep(asker, encode(codec, outcome)))
    } finally {
      // A session may end meanwhile: nobody would ever forget what was kept since.
      if (sessionId !== NO_ID && !this.#sessions.has(sessionId)) this.#forgetReplies(sessionId)
    }
  }

  // The same for what has no outcome but that it was done.
  async #onceDone(
    peer: Peer,
    requestId: number,
    work: (keep: Keep) => Promise<unknown>,
  ): Promise<Record<string, never>> {
    return await this.#once(peer, requestId, DONE, async (keep) => {
      await work(() => keep({}))
      return {}
    })
  }

  // A session may end while one of its opens is under way: nobody would ever close it.
  async #open(
    request: RequestOf<typeof MANAGER.open>,
    peer: Peer,
    requestId: number,
  ): Promise<ReplyOf<typeof MANAGER.open>> {
    const { files, iods } = this.#parts
    const sessionId = this.#neededSession(peer)
    let opened: Opened | undefined
    const outcome = await this.#once(peer, requestId, openOutcome, async (keep) => {
      opened = await files.open(request, sessionId, keep)
      return outcomeOf(opened)
    })
    opened ??= await files.openedBefore(outcome, sessionId)
    if (!this.#sessions.has(sessionId)) await files.closeSession(sessionId)
    this.#expectAlive(sessionId)
    return openReply(opened, iods.info())
  }

  #sessionEnded(sessionId: string): void {
    const { files, opens } = this.#parts
    this.#forgetReplies(sessionId)
    const count = opens.ofSession(sessionId).length
    if (count === 0) return
    this.#options.log.info('session ended', { session: sessionId, opens: count })
    files.closeSession(sessionId).catch((error: unknown) => {
      // When this manager stops the next one goes on with it.
      const isStopping = error instanceof IoError && error.context.reason === 'MANAGER_DOWN'
      const level = isStopping ? 'info' : 'error'
      this.#options.log[level]('opens of a session cannot be closed', {
        session: sessionId,
        why: messageOf(error),
      })
    })
  }

  #forgetReplies(sessionId: string): void {
    this.#parts.replies.forget(sessionId).catch((error: unknown) => {
      this.#options.log.warn('outcomes of a session are not forgotten', { why: String(error) })
    })
  }

  // An iod that hangs is part of the picture: it keeps nobody waiting for the rest of it.
  async #iodStatuses(): Promise<IodStatus[]> {
    const { iods, opens, intents } = this.#parts
    const { runtime, timing } = this.#options
    const counts = opens.countsByIod()
    const late = (): IoError => errorOf('TIMEOUT', 'status: an iod does not tell its space')
    return await Promise.all(
      iods.info().map(async (info) => {
        const { index } = info
        const asked = iods.callIfUp(index, IOD.space, {})
        const told = await within(runtime.clock, timing.connectMs, asked, late).catch(() => {})
        const own = { opens: counts.get(index) ?? 0, intents: intents.countOf(index) }
        // What is known of it by now: that it gave no answer may be news.
        if (told === undefined)
          return { ...info, ...iods.info()[index], ...own, space: undefined, direct: undefined }
        const { direct, ...space } = told
        return { ...info, ...own, space, direct }
      }),
    )
  }

  // What a check looks at.
  #scene(): Scene {
    const { runtime, log, store } = this.#options
    const hasSession = (sessionId: string): boolean => this.#sessions.has(sessionId)
    return { ...this.#parts, clock: runtime.clock, log, store, hasSession }
  }

  #handlers(): Parameters<typeof Dispatcher.of<typeof MANAGER>>[1] {
    const { namespace, files, iods, opens, intents, pushes, audit, locks } = this.#parts
    const { log } = this.#options
    return {
      join: async (request, peer) => {
        const { clientId } = peer.said
        const reply = await this.#rendezvous.join(request, clientId)
        // One that is gone by now would keep the session for ever: it has left already.
        if (peer.gone.aborted) return reply
        this.#joined.set(peer, reply.sessionId)
        this.#sessions.enter(reply.sessionId, peer)
        return reply
      },
      leave: async (_, peer) => {
        this.#sessions.end(this.#sessionOf(peer))
        return {}
      },
      stat: async ({ path }) => ({ attributes: await files.stat(path) }),
      open: async (request, peer, requestId) => await this.#open(request, peer, requestId),
      close: async (request) => {
        await files.close(request)
        return {}
      },
      reopen: async ({ capability }, peer) => ({
        capability: await files.reopen(capability, this.#neededSession(peer)),
      }),
      mkdir: async ({ path, mode, uid, gid }, peer, requestId) =>
        await this.#onceDone(peer, requestId, (keep) =>
          namespace.mkdir(path, { mode, uid, gid }, () => ({ operations: keep() })),
        ),
      rmdir: async ({ path }, peer, requestId) =>
        await this.#onceDone(peer, requestId, (keep) =>
          namespace.rmdir(path, () => ({ operations: keep() })),
        ),
      readdir: async ({ path, after }) => {
        const { entries, more } = await namespace.readdir(path, after, LIMITS.namesPerPage)
        return { entries, more }
      },
      rename: async ({ from, to }, peer, requestId) =>
        await this.#onceDone(peer, requestId, (keep) => files.rename(from, to, keep)),
      unlink: async ({ path, handle }, peer, requestId) =>
        await this.#onceDone(peer, requestId, (keep) => files.unlink(path, handle, keep)),
      truncate: async (request, peer, requestId) =>
        await this.#onceDone(peer, requestId, (keep) =>
          files.truncate(request, this.#sessionOf(peer), keep),
        ),
      setAttributes: async ({ path, mode, uid, gid, mtimeMs, atimeMs }) => {
        const { handle } = await namespace.lookup(path)
        await namespace.setAttributes(handle, { mode, uid, gid, mtimeMs, atimeMs })
        return {}
      },
      statfs: async () => {
        const spaces = await Promise.all(
          iods.info().map(({ index }) => iods.call(index, IOD.space, {})),
        )
        const total = spaces.reduce((sum, space) => sum + space.total, 0)
        const free = spaces.reduce((sum, space) => sum + space.free, 0)
        return { total, free, iodCount: iods.count }
      },
      iods: async () => ({ iods: iods.info() }),
      noteData: async ({ capability, parts }) => {
        await files.noteData(capability, parts)
        return {}
      },
      sharedPointer: async (request, peer, requestId) =>
        await this.#once(peer, requestId, MANAGER.sharedPointer.reply, (keep) =>
          files.sharedPointer(request, this.#neededSession(peer), keep),
        ),
      lock: async ({ capability, lock, ...range }, peer) => {
        const open = files.openOf(capability, this.#neededSession(peer), 'lock')
        const name = { clientId: peer.said.clientId, lock }
        return { token: await locks.lock(open.capability, name, checkedRange(range)) }
      },
      renewLock: async ({ capability, token, claim }, peer) => {
        const open = files.openOf(capability, this.#neededSession(peer), 'lock')
        const { clientId } = peer.said
        const whole =
          claim === undefined ? undefined : { clientId, lock: claim.lock, ...checkedRange(claim) }
        return { token: locks.renew(open.capability, token, clientId, whole) }
      },
      unlock: async ({ capability, lock, access }, peer) => {
        const open = files.openOf(capability, this.#neededSession(peer), 'lock')
        locks.unlock(open.capability, { clientId: peer.said.clientId, lock }, access)
        return {}
      },
      status: async () => ({
        fsid: this.#parts.fsid,
        epoch: this.epoch,
        opens: opens.size,
        sessions: this.#sessions.size,
        jobs: this.#rendezvous.met,
        reopens: files.reopens,
        intents: intents.size,
        iods: await this.#iodStatuses(),
      }),
      sync: async (request, peer) => await iods.starts.sync(request, peer),
      snapshotChunk: async (request, peer) => iods.starts.chunk(request, peer),
      commit: async (request, peer) => await iods.starts.commit(request, peer),
      ready: async (request) => {
        await iods.starts.ready(request)
        return {}
      },
      heartbeat: async (request) => {
        const known = iods.starts.heartbeat(request)
        if (intents.countOf(request.index) > 0) void pushes.push(request.index)
        return { known }
      },
      fsck: async ({ place, repair }) => await fsckPage(this.#scene(), place, repair),
      replace: async (request, peer) => await iods.starts.replace(request, peer),
      audit: async (request) => {
        iods.starts.expectUp(request)
        const dead = await audit.dead(request.index, request.handles)
        if (dead.length > 0)
          log.warn('datafiles of nobody', { iod: request.index, count: dead.length })
        return { dead }
      },
    }
  }
}

// Nothing has been changed when this fails.
async function liftOf(
  options: ManagerOptions,
  before: System | undefined,
): Promise<Lift | undefined> {
  const isRestored = options.restored === true
  if (before !== undefined && isRestored) return await restoredLift(options, before)
  if (before !== undefined) await expectNewest(options, before)
  else if (isRestored) throw nothingRestored()
  return undefined
}
