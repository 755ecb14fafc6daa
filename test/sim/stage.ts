// What all who act in a simulated run share: the world and its plan, what was written, what is under way, and what has
// gone wrong with the promises.
import { IoError } from '../../lib/base/errors.js'
import { Random } from '../support/random.js'
import { type FileHistory, History } from './history.js'
import { SimNetwork } from './network.js'
import type { Plan } from './plan.js'
import type { SimProcess } from './process.js'
import { Trace } from './trace.js'
import { type Invariant, Violation } from './violation.js'
import { World } from './world.js'

/** Disks that are so slow are also waited for by who reads and writes at once. */
const SLOW_DISK_MS = 40

/** What came of an operation: a value, or an error that the plan excuses. */
export type Outcome<Value> =
  | { readonly value: Value; readonly error?: undefined }
  | { readonly value?: undefined; readonly error: IoError }

/** What is under way. */
interface Running {
  readonly who: string
  readonly what: string
  readonly since: number
}

/** What went wrong while an operation was under way. */
interface Meanwhile {
  readonly managerDeaths: number
  readonly isRotten: boolean
  readonly tookMs: number
}

/** What is sent again and again gives up after so many times of one operation: a close flushes, notes and closes. */
const STEPS_MAX = 4

/** Hours by which the date of a host may be wrong. */
const SKEW_HOURS = 2

/** The stage of one run. */
export class Stage {
  readonly world: World
  readonly plan: Plan
  readonly trace: Trace
  readonly history = new History()
  readonly network: SimNetwork
  readonly random: Random
  /** Files whose handle is known. */
  readonly files = new Map<number, FileHistory>()
  /** The first thing that went wrong. */
  violation: Violation | undefined
  /** Operations that were begun. */
  operations = 0
  /** Ranks that were killed. */
  deaths = 0
  /** Times that a value of the metadata was damaged, and whether one is. */
  rots = 0
  isRotten = false
  /** Times that the manager has died, of whatever. */
  managerDeaths = 0
  readonly #running = new Set<Running>()
  readonly #skews = new Map<string, number>()
  readonly #failing = new Set<number>()
  #isWell = false

  constructor(seed: number, plan: Plan) {
    this.plan = plan
    this.history.disksFail = plan.disk.syncError > 0 || failsOnce(plan)
    this.random = new Random(seed)
    const clockRandom = this.random.fork()
    this.world = new World({
      seed: this.random.u32(),
      iods: plan.iods,
      ...(plan.disk.pages === undefined ? {} : { capacityBytes: plan.disk.pages * 4096 }),
      ...(plan.memoryBytes === undefined ? {} : { memory: plan.memoryBytes }),
      clockErrors: (host) => ({
        startMs: clockRandom.int(0, 1e9),
        skewMs: () => this.#skewOf(host),
      }),
      metadata: { fault: async () => await this.#commitDelay() },
      watch: (server, event, fields) => {
        this.trace.note(server, `logs ${event} ${JSON.stringify(fields)}`)
        if (event === 'internal error')
          this.fail('I10', `${server} has an internal error: ${JSON.stringify(fields)}`)
        if (event === 'listening')
          this.#checkStart(server.replace(' ', '-'), fields['synced'] === true)
      },
    })
    const { clock } = this.world.sim
    this.trace = new Trace(clock)
    this.network = new SimNetwork(plan.network, this.random.fork(), clock, this.trace)
    this.world.sim.fabric.faults = this.network
  }

  /** Milliseconds of virtual time. */
  get now(): number {
    return this.world.sim.clock.now()
  }

  /** Something does not hold; the first one counts. */
  fail(invariant: Invariant, message: string): void {
    this.blame(new Violation(invariant, message))
  }

  /** The same for what was thrown: anything but a violation is a mistake of the simulator, or of the code under test. */
  blame(error: unknown): void {
    if (this.violation !== undefined) return
    this.violation =
      error instanceof Violation
        ? error
        : new Violation('I10', `unexpected: ${stackOf(error)}`, { cause: error })
    this.trace.note('', `VIOLATION ${this.violation.message}`)
  }

  /** Resolves after `ms` of virtual time. */
  async sleep(ms: number): Promise<void> {
    await new Promise<void>((resolve) => this.world.sim.clock.timer(ms, resolve))
  }

  /** A time that comes at random, so long in the mean. */
  someTime(meanMs: number, random: Random): number {
    return -Math.log(1 - random.fraction()) * meanMs
  }

  /**
   * Runs an operation of a client, which must end in time and may fail only where the plan excuses it. It never
   * resolves if its process dies.
   */
  async attempt<Value>(
    who: string,
    what: string,
    work: () => Promise<Value>,
    mayFail: (error: IoError) => boolean = () => false,
  ): Promise<Outcome<Value>> {
    const running: Running = { who, what, since: this.now }
    const deathsBefore = this.managerDeaths
    const rotsBefore = this.isRotten ? -1 : this.rots
    this.#running.add(running)
    this.operations++
    this.trace.note(who, what)
    try {
      const value = await work()
      this.trace.note(who, `${what}: done`)
      return { value }
    } catch (error) {
      if (!(error instanceof IoError)) {
        this.blame(error)
        throw error
      }
      const { reason, errno } = error.context
      this.trace.note(who, `${what}: ${error.code} ${reason ?? errno ?? ''} ${error.message}`)
      const meanwhile = {
        managerDeaths: this.managerDeaths - deathsBefore,
        isRotten: this.rots > rotsBefore,
        tookMs: this.now - running.since,
      }
      if (!mayFail(error) && !this.#excuses(error, meanwhile))
        this.fail('I10', `${what} of ${who} fails, and nothing excuses it: ${error.message}`)
      return { error }
    } finally {
      this.#running.delete(running)
      this.#checkTime(running)
    }
  }

  /** What runs for a process that has died is nobody's operation any more. */
  forget(who: string): void {
    for (const running of this.#running) if (running.who === who) this.#running.delete(running)
  }

  /** Everything that is still under way should have ended. */
  checkEnded(): void {
    for (const running of this.#running) this.#checkTime(running)
  }

  /** The longest that one operation may take. */
  get limitMs(): number {
    return this.world.timing.operationMs * STEPS_MAX
  }

  /** Nothing goes wrong any more. */
  heal(): void {
    this.#isWell = true
    this.network.heal()
  }

  /** The disks begin to fail. */
  spoilDisks(): void {
    for (const index of this.world.iodtab.keys()) this.#watchDisk(index)
  }

  /** The next call that changes a datafile of an iod, or reads it, fails. */
  failDiskOnce(index: number): void {
    this.#failing.add(index)
  }

  #watchDisk(index: number): void {
    const { delayMs, short, readError, writeError, syncError } = this.plan.disk
    const random = this.random.fork()
    this.world.hostOf(index).disk.faults = {
      fault: (operation, path) => {
        if (!path.includes('/data/')) return undefined
        if (operation === 'write') this.#checkOpen(index, path)
        if (this.#isWell) return undefined
        const isCall = operation === 'read' || operation === 'write' || operation === 'sync'
        if (isCall && this.#failing.delete(index)) return { kind: 'error', errno: 'EIO' }
        const rates = { read: readError, write: writeError, sync: syncError }
        const rate = operation in rates ? rates[operation as keyof typeof rates] : 0
        if (rate > 0 && random.chance(rate)) return { kind: 'error', errno: 'EIO' }
        const isShort = operation === 'read' || operation === 'write'
        if (isShort && short > 0 && random.chance(short))
          return { kind: 'short', bytes: random.int(1, 3000) }
        // Of such disks not everything is in the page cache, so that threads take over for a while.
        if (isShort && delayMs >= SLOW_DISK_MS && random.chance(0.3))
          return { kind: 'slow', ms: random.int(1, delayMs) }
        return undefined
      },
      delayMs: () => (delayMs === 0 || this.#isWell ? 0 : random.fraction() * delayMs),
    }
  }

  // Where every close of a file was answered nobody writes to it any more.
  #checkOpen(index: number, path: string): void {
    const file = this.files.get(Number.parseInt(path.slice(path.lastIndexOf('/') + 1), 16))
    if (file?.opens === 0)
      this.fail('I8', `iod-${index} writes to ${file.name}, which nobody has open`)
  }

  /** The date of a host jumps. */
  stepClock(host: string, ms: number): void {
    this.#skews.set(host, this.#skewOf(host) + ms)
  }

  /** Whether a process holds more in its queues than it may. */
  checkQueues(who: string, process: SimProcess, bytesMax: number): void {
    if (process.queuedBytes > bytesMax)
      this.fail('I12', `${who} has ${process.queuedBytes} bytes in the queue of one connection`)
  }

  // Rule 2: with state an iod listens after its COMMIT and GO, and without it only if the manager was asked and
  // silent; and of an older start the manager believes nothing any more.
  #checkStart(host: string, isSynced: boolean): void {
    const { asked, committed } = this.network.startOf(host)
    if (isSynced && !committed) this.fail('I5', `${host} listens without a COMMIT`)
    if (!isSynced && !asked) this.fail('I5', `${host} listens before it has asked for its state`)
    // One to which nobody has answered the hello yet is no connection.
    const { connectMs } = this.world.timing
    const old = this.world.managerProcess?.connectionsTo(host, connectMs + 1) ?? 0
    if (isSynced && old > 0)
      this.fail('I5', `the manager has a connection to an older start of ${host}`)
  }

  #skewOf(host: string): number {
    const known = this.#skews.get(host)
    if (known !== undefined) return known
    const hour = 3_600_000
    const skew = this.plan.skewed ? this.random.int(-SKEW_HOURS * hour, SKEW_HOURS * hour) : 0
    this.#skews.set(host, skew)
    return skew
  }

  async #commitDelay(): Promise<void> {
    const { commitMs } = this.plan
    if (commitMs > 0 && !this.#isWell) await this.sleep(this.random.fraction() * commitMs)
  }

  #checkTime({ who, what, since }: Running): void {
    const tookMs = this.now - since
    if (tookMs > this.limitMs) this.fail('I10', `${what} of ${who} takes ${Math.round(tookMs)} ms`)
  }

  // What may fail for what is wrong in this run.
  #excuses(error: IoError, { managerDeaths, isRotten, tookMs }: Meanwhile): boolean {
    const { disk, episodes, network } = this.plan
    const hasDiskErrors =
      failsOnce(this.plan) || disk.readError + disk.writeError + disk.syncError > 0
    switch (error.context.reason) {
      case 'IOD_DOWN':
        return episodes.length > 0 || network.cut + network.halfOpen + network.refuse > 0
      // One that dies again and again may keep an operation from its end up to its deadline.
      case 'MANAGER_DOWN': {
        const { joinMs, operationMs } = this.world.timing
        return managerDeaths > 1 && tookMs >= Math.min(joinMs, operationMs)
      }
      case 'DATA_LOST':
        return (
          this.history.hasLostPower ||
          disk.syncError > 0 ||
          failsOnce(this.plan) ||
          episodes.includes('damageSuperblock')
        )
      case 'CHECKSUM':
        return isRotten
      case 'RANK_DIED':
      case 'DEADLINE':
        return this.deaths > 0
      case 'REMOTE':
        return true
      case undefined:
        if (error.code === 'MPI_ERR_NO_SPACE') return disk.pages !== undefined
        return error.code === 'MPI_ERR_IO' && hasDiskErrors
      default:
        return false
    }
  }
}

function failsOnce({ pair }: Plan): boolean {
  return pair?.first === 'diskError' || pair?.second === 'diskError'
}

function stackOf(error: unknown): string {
  return error instanceof Error ? (error.stack ?? error.message) : String(error)
}
