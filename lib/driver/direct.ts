// Datafiles of iods on the same host that this process has open itself: leave is asked for, proven by what is found on
// the disk, kept by a lease that is looked at before each access, and given back. Whatever is amiss, the caller takes
// the way through the iod, and the counts say why.
//
// One `DirectFiles` a client. Its grants of one iod are bound to one connection, and watched over it: see
// `servers/iod/direct.ts` for the other end.

import { IoError } from '../base/errors.js'
import type { Clock, DiskFile, Runtime } from '../base/runtime.js'
import type { Timing } from '../base/timing.js'
import { DATA_FOLDER, datafilePath, PROOF_BYTES, PROOF_FILE } from '../protocol/data-directory.js'
import { IOD } from '../protocol/iod.js'
import { LIMITS } from '../protocol/limits.js'
import type { ReplyOf } from '../protocol/operation.js'
import type { Link } from '../transport/link.js'

/** Which accesses may go past the iod: none, reads, or writes as well. */
export type DirectChoice = 'off' | 'read' | 'rw'

/** Why an access that might have been direct went through the iod. */
export type Detour =
  /** The iod is on another host, or is reached as if it were. */
  | 'elsewhere'
  /** The operating system does not let this process open the datafile, or see that it is the iod's. */
  | 'forbidden'
  /** What is found there is not what the iod has. */
  | 'mismatch'
  /** There is no datafile yet. */
  | 'missing'
  /** As many are in use as may be open here, or the iod has given as many; or a flush of the datafile has failed. */
  | 'full'
  | 'poisoned'
  /** The iod could not be asked, or has said to wait. */
  | 'unanswered'
  /** The leave ended meanwhile. */
  | 'ended'
  /** The datafile ends before the access does: the iod knows whether the file goes on. */
  | 'short'
  /** The operating system has refused the access itself. */
  | 'failed'

/** What went past the iods, and why the rest did not: for reports and tests. */
export interface DirectCounts {
  readonly reads: number
  readonly readBytes: number
  readonly writes: number
  readonly writtenBytes: number
  /** How often an iod gave leave to use a datafile. */
  readonly grants: number
  /** Datafiles that are open now. */
  readonly open: number
  readonly detours: Readonly<Partial<Record<Detour, number>>>
}

/** What leave is asked for. */
export interface DirectUse {
  readonly handle: number
  readonly capability: string
  readonly writes: boolean
}

type Grant = NonNullable<ReplyOf<typeof IOD.direct>['grant']>

/** Bytes that are moved, or as much work in system calls, before others have a turn: a millisecond. */
const TURN_BYTES = 4 * 2 ** 20

/** What a system call costs, in bytes that are moved in that time. */
const CALL_BYTES = 4096

/**
 * Accesses that go through the iod before leave is asked for, unless one is large: question and giving back are two
 * messages, so what is read once or twice costs no more than without, and what is read often at most twice as much.
 */
const ACCESSES_BEFORE = 2

/** 256 KiB: an access of so many bytes of one iod is worth two messages more. */
const ACCESS_BYTES_LARGE = 256 * 1024

/** Renewals without an access after which a datafile is closed. */
const IDLE_RENEWALS = 2

/** A write must begin so much of a lease before its end that it is over by then, whatever delays it. */
const MARGIN = 1 / 4

/** 5 ms: what is in the page cache is read in less, however much it is at a time; no disk that turns is as fast. */
const COLD_MS = 5

/**
 * Reads that are done by a thread first, once the disk is waited for: the next one tries whether it still is. Of so many
 * reads a second one must be slow to begin with: one alone may have been without a processor, where there are fewer of
 * them than programs.
 */
const COLD_READS = 64

/** A datafile that is open, as long as its lease lasts. */
export class DirectFile {
  readonly file: DiskFile
  readonly number: number
  /** The write verifier when the leave was given: a later one tells that writes may be lost. */
  readonly verifier: Uint8Array
  readonly #holder: Holder
  #until: number
  #isClosed = false
  /** Set by each access, taken back by each renewal. */
  isUsed = true
  idle = 0
  #coldReads = 0
  // Reads in which another slow one shows that it is the disk.
  #doubtedReads = 0

  constructor(file: DiskFile, number: number, holder: Holder, grant: Grant, until: number) {
    this.file = file
    this.number = number
    this.verifier = grant.verifier
    this.#holder = holder
    this.#until = until
  }

  /** Whether it may be used now. */
  isGood(now: number): boolean {
    return now < this.#until && this.#holder.isConnected
  }

  /** Whether the next read may have to wait for a disk: it is done by a thread first. */
  get isCold(): boolean {
    return this.#coldReads > 0
  }

  /** A read has held everybody up for so long. */
  noteRead(ms: number): void {
    if (ms > COLD_MS) this.#noteSlow()
    else if (this.#coldReads > 1) this.#coldReads--
    else if (this.#coldReads === 1) {
      this.#coldReads = 0
      this.#doubtedReads = COLD_READS
    } else if (this.#doubtedReads > 0) this.#doubtedReads--
  }

  #noteSlow(): void {
    if (this.#coldReads > 0 || this.#doubtedReads > 0) this.#coldReads = COLD_READS
    else this.#doubtedReads = COLD_READS
  }

  /** It was not used for so long that it goes, or has gone. */
  get isUnused(): boolean {
    return this.idle >= IDLE_RENEWALS
  }

  /** The end of its lease. */
  get until(): number {
    return this.#until
  }

  /** A lease that is over stays over: the iod may have forgotten it. */
  renew(until: number, now: number): void {
    if (this.isGood(now)) this.#until = Math.max(this.#until, until)
  }

  /** It is used no more. */
  close(): void {
    this.#until = Number.NEGATIVE_INFINITY
    if (this.#isClosed) return
    this.#isClosed = true
    this.file.close()
  }
}

/** The data directory of an iod, as its proof lies there. */
interface Proven {
  readonly directory: string
  readonly owner: number
}

/** The grants of one iod over one connection. */
class Holder {
  readonly link: Link
  readonly generation: number
  readonly files = new Map<number, DirectFile>()
  /** Why this process cannot use any datafile of this iod. */
  refusal: Detour | undefined
  /** Whose disk this process has found to be the one it sees; undefined before. */
  proven: Proven | undefined
  isWatched = false

  constructor(link: Link) {
    this.link = link
    this.generation = link.generation
  }

  get isConnected(): boolean {
    return this.link.generation === this.generation
  }
}

/** Every datafile that one client has open itself. */
export class DirectFiles {
  /** Accesses of each part of an open file that go through its iod first; tests need none. */
  accessesBefore = ACCESSES_BEFORE
  readonly #runtime: Runtime
  readonly #clock: Clock
  readonly #timing: Timing
  readonly #holders = new Map<Link, Holder>()
  readonly #counts = { reads: 0, readBytes: 0, writes: 0, writtenBytes: 0, grants: 0 }
  readonly #detours: Partial<Record<Detour, number>> = {}
  #lastNumber = 0
  // Datafiles that are about to be open.
  #asking = 0
  #sinceTurn = 0
  #turn: Promise<void> | undefined

  constructor(runtime: Runtime, timing: Timing) {
    this.#runtime = runtime
    this.#clock = runtime.clock
    this.#timing = timing
  }

  get counts(): DirectCounts {
    return { ...this.#counts, open: this.#open, detours: { ...this.#detours } }
  }

  get now(): number {
    return this.#clock.now()
  }

  /** Milliseconds before the end of a lease from which on no write begins. */
  get marginMs(): number {
    return this.#timing.directLeaseMs * MARGIN
  }

  /** Milliseconds after a refusal that may end, before leave is asked for again. */
  get againMs(): number {
    return this.#timing.directLeaseMs / 3
  }

  noteRead(bytes: number): void {
    this.#counts.reads++
    this.#counts.readBytes += bytes
  }

  noteWrite(bytes: number): void {
    this.#counts.writes++
    this.#counts.writtenBytes += bytes
  }

  noteDetour(why: Detour): void {
    this.#detours[why] = (this.#detours[why] ?? 0) + 1
  }

  /** Whether others must have a turn before more is moved. Notes that so much is about to be, in so many system calls. */
  spend(bytes: number, calls = 1): boolean {
    this.#sinceTurn += bytes + calls * CALL_BYTES
    return this.#sinceTurn > TURN_BYTES
  }

  /** Gives others a turn. */
  async rest(): Promise<void> {
    this.#turn ??= this.#clock.turn().then(() => {
      this.#sinceTurn = 0
      this.#turn = undefined
    })
    await this.#turn
  }

  /** Asks an iod for leave to use a datafile, and opens it; or says why not. */
  async open(link: Link, use: DirectUse): Promise<DirectFile | Detour> {
    if (link.hello?.hostId !== this.#runtime.hostId || !link.local) return 'elsewhere'
    const holder = this.#holderOf(link)
    if (holder.refusal !== undefined) return holder.refusal
    this.#lastNumber = this.#lastNumber === 0xffff_ffff ? 1 : this.#lastNumber + 1
    const number = this.#lastNumber
    if (!this.#hasRoom()) return 'full'
    this.#asking++
    const asked = this.now
    try {
      const request = { number, ...use }
      const { answer, grant } = await link.controlHere(IOD.direct, request, this.#timing.connectMs)
      if (grant === undefined) return answer === 'granted' ? 'mismatch' : answer
      if (!holder.isConnected) return 'ended'
      const found = this.#opened(holder, number, use, grant, asked + grant.leaseMs)
      if (!(found instanceof DirectFile)) this.#give(holder, [number])
      return found
    } catch (error) {
      if (!(error instanceof IoError)) throw error
      return 'unanswered'
    } finally {
      this.#asking--
    }
  }

  /** Closes a datafile, and tells its iod. */
  close(link: Link, file: DirectFile): void {
    file.close()
    const holder = this.#holders.get(link)
    if (holder?.files.get(file.number) !== file) return
    holder.files.delete(file.number)
    this.#give(holder, [file.number])
  }

  /**
   * Closes what there is of one iod: a request to it has failed, and may still be carried out. Leave that is asked for
   * anew comes behind it.
   */
  lapse(link: Link): void {
    const holder = this.#holders.get(link)
    if (holder === undefined || holder.files.size === 0) return
    const numbers = [...holder.files.keys()]
    forget(holder)
    this.#give(holder, numbers)
  }

  /** Closes all. */
  closeAll(): void {
    for (const holder of this.#holders.values()) forget(holder)
    this.#holders.clear()
  }

  #opened(
    holder: Holder,
    number: number,
    use: DirectUse,
    grant: Grant,
    until: number,
  ): DirectFile | Detour {
    const { disk } = this.#runtime
    let file: DiskFile | undefined
    try {
      // Once a connection: what else is of this iod lies beside it, and is as far from who may not look there.
      holder.proven ??= this.#provenBy(grant)
      const { proven } = holder
      // Nor does an iod name files of others, to which this process may have rights that the iod has not.
      if (proven === undefined || grant.path !== datafileIn(proven.directory, use.handle))
        return (holder.refusal = 'mismatch')
      file = disk.open(grant.path, use.writes ? 'write' : 'read')
      const { device, inode, owner } = file.identity()
      if (device !== grant.device || inode !== grant.inode || owner !== proven.owner) {
        file.close()
        return 'mismatch'
      }
    } catch (error) {
      file?.close()
      const why = detourOf(error)
      // What has failed for want of something, as of descriptors, tells nothing of the iod.
      if (why === 'forbidden' || (holder.proven === undefined && why !== 'failed'))
        holder.refusal = why
      return why
    }
    const opened = new DirectFile(file, number, holder, grant, until)
    holder.files.set(number, opened)
    this.#counts.grants++
    if (!holder.isWatched) {
      holder.isWatched = true
      void this.#watch(holder)
    }
    return opened
  }

  // Undefined where there is another nonce, or a file that an iod has not written: others may begin with anything.
  #provenBy({ proof, nonce }: Grant): Proven | undefined {
    const directory = proof.slice(0, -PROOF_FILE.length - 1)
    if (directory === '' || proof !== `${directory}/${PROOF_FILE}`) return undefined
    const file = this.#runtime.disk.open(proof, 'read')
    try {
      if (file.size() !== PROOF_BYTES) return undefined
      const bytes = new Uint8Array(PROOF_BYTES)
      file.read(bytes, 0)
      const text = new TextDecoder().decode(bytes)
      if (text !== `${nonce}r` && text !== `${nonce}w`) return undefined
      return { directory, owner: file.identity().owner }
    } finally {
      file.close()
    }
  }

  get #open(): number {
    let open = 0
    for (const { files } of this.#holders.values()) open += files.size
    return open
  }

  // Before leave is asked for, so that the iod has room as well. The longest open one that was not used since its last
  // renewal goes first; none that was: where more are in use than may be open each would drive out the next.
  #hasRoom(): boolean {
    while (this.#open + this.#asking >= LIMITS.directFiles) {
      let oldest: { readonly holder: Holder; readonly file: DirectFile } | undefined
      for (const holder of this.#holders.values())
        for (const file of holder.files.values())
          if (!file.isUsed && file.number < (oldest?.file.number ?? Number.POSITIVE_INFINITY))
            oldest = { holder, file }
      if (oldest === undefined) return false
      this.close(oldest.holder.link, oldest.file)
    }
    return true
  }

  #holderOf(link: Link): Holder {
    const known = this.#holders.get(link)
    if (known?.isConnected === true) return known
    if (known !== undefined) forget(known)
    const holder = new Holder(link)
    this.#holders.set(link, holder)
    return holder
  }

  // Hears what has ended and renews the rest, as long as there is anything.
  async #watch(holder: Holder): Promise<void> {
    const { directLeaseMs } = this.#timing
    try {
      while (holder.files.size > 0 && holder.isConnected) {
        const asked = this.now
        const { link } = holder
        const { leaseMs, renewed } = await link.controlHere(IOD.watchDirect, {}, directLeaseMs)
        const now = this.now
        const going = new Set(renewed)
        const over: number[] = []
        for (const file of holder.files.values()) {
          if (going.has(file.number) && !isIdle(file)) file.renew(asked + leaseMs, now)
          else over.push(file.number)
        }
        for (const number of over) drop(holder, number)
        if (over.length > 0 && holder.isConnected)
          await link.controlHere(IOD.endDirect, { numbers: over }, directLeaseMs)
      }
    } catch (error) {
      if (!(error instanceof IoError)) throw error
    } finally {
      // Without renewal the leases end by themselves; nobody needs the descriptors any more.
      forget(holder)
      holder.isWatched = false
    }
  }

  // Nobody waits for it: where it does not arrive the lease ends by itself.
  #give({ link, isConnected }: Holder, numbers: readonly number[]): void {
    if (!isConnected) return
    link.controlHere(IOD.endDirect, { numbers }, this.#timing.directLeaseMs).catch(() => {})
  }
}

/** The way past one iod for one part of an open file, in one direction; there is none most of the time that it is new. */
export class DirectWay {
  readonly #files: DirectFiles
  readonly #link: Link
  readonly #use: () => DirectUse
  #file: DirectFile | undefined
  #asking: Promise<DirectFile | undefined> | undefined
  #why: Detour | undefined
  #accesses = 0
  #askAgainAt = Number.NEGATIVE_INFINITY
  #isClosed = false

  constructor(files: DirectFiles, link: Link, use: () => DirectUse) {
    this.#files = files
    this.#link = link
    this.#use = use
  }

  /** The datafile, if it may be used for so long at least. */
  ready(now: number): DirectFile | undefined {
    const file = this.#file
    return file !== undefined && file.isGood(now) ? file : undefined
  }

  /** The same for an access of so many bytes, asked for if that makes sense now. */
  async open(bytes: number): Promise<DirectFile | undefined> {
    const { now } = this.#files
    const ready = this.ready(now)
    if (ready !== undefined) return ready
    // What is read every few seconds would have leave asked for, and end unused, each time.
    if (this.#file?.isUnused === true) {
      this.#file = undefined
      this.#accesses = 0
    }
    const isWorthwhile =
      this.#accesses++ >= this.#files.accessesBefore || bytes >= ACCESS_BYTES_LARGE
    // The first request over a connection makes it.
    if (this.#link.generation === 0 || this.#isClosed || !isWorthwhile) return undefined
    if (now < this.#askAgainAt) {
      if (this.#why !== undefined) this.#files.noteDetour(this.#why)
      return undefined
    }
    this.#asking ??= this.#ask().finally(() => {
      this.#asking = undefined
    })
    return await this.#asking
  }

  /** The iod has written to the datafile: it is there by now. */
  noteWritten(): void {
    if (this.#why === 'missing') this.#askAgainAt = Number.NEGATIVE_INFINITY
  }

  /** The datafile is not used any more, nor asked for. */
  close(): void {
    this.#isClosed = true
    if (this.#file !== undefined) this.#files.close(this.#link, this.#file)
    this.#file = undefined
  }

  async #ask(): Promise<DirectFile | undefined> {
    const old = this.#file
    this.#file = undefined
    if (old !== undefined) this.#files.close(this.#link, old)
    const found = await this.#files.open(this.#link, this.#use())
    if (found instanceof DirectFile) {
      if (this.#isClosed) {
        this.#files.close(this.#link, found)
        return undefined
      }
      this.#file = found
      return found
    }
    this.#why = found
    this.#askAgainAt = this.#files.now + this.#files.againMs
    this.#files.noteDetour(found)
    return undefined
  }
}

function datafileIn(directory: string, handle: number): string {
  return `${directory}/${DATA_FOLDER}/${datafilePath(handle)}`
}

function isIdle(file: DirectFile): boolean {
  file.idle = file.isUsed ? 0 : file.idle + 1
  file.isUsed = false
  return file.isUnused
}

function drop(holder: Holder, number: number): void {
  holder.files.get(number)?.close()
  holder.files.delete(number)
}

function forget(holder: Holder): void {
  for (const file of holder.files.values()) file.close()
  holder.files.clear()
}

// No way to a file that has just gone is no matter of permissions.
function detourOf(error: unknown): Detour {
  const code = error instanceof Error && 'code' in error ? error.code : undefined
  if (code === 'EACCES' || code === 'EPERM' || code === 'ELOOP' || code === 'EROFS')
    return 'forbidden'
  if (code === 'ENOENT' || code === 'ENOTDIR') return 'mismatch'
  if (typeof code === 'string') return 'failed'
  throw error
}
