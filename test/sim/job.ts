// A job of some ranks, each a process of its own: they meet at the manager, open files together, and read and write
// them collectively and by themselves. When a rank dies the job has ended for all of them, and another one begins.
import { type IoError, isIoError } from '../../lib/base/errors.js'
import type { Communicator } from '../../lib/comm/communicator.js'
import { initialize } from '../../lib/comm/initialize.js'
import { Datatype } from '../../lib/datatype/datatype.js'
import { File } from '../../lib/file/file.js'
import type { Info } from '../../lib/file/hints.js'
import { Mode } from '../../lib/file/mode.js'
import { BLOCK_BYTES, contentOf } from './content.js'
import type { Change } from './history.js'
import { writeId } from './history.js'
import { fileBlock, type JobStep, scriptOf } from './job-script.js'
import { type SharedFile, words } from './loner.js'
import type { SimProcess } from './process.js'
import type { Outcome, Stage } from './stage.js'

/** Steps of one job, before it ends well. */
const STEPS_MAX = 12

/** Ranks that one host has, in one job after the other. */
const RANKS_A_HOST = [1, 2, 3] as const

/** How the ranks of a job act together, in one job after the other: as they choose, and always over aggregators and leaders. */
const WAYS: readonly Info[] = [
  {},
  { romio_cb_write: 'enable', romio_cb_read: 'enable', rankio_combine: 'enable' },
]

/** No rank has a place for its sockets: they reach each other over TCP. */
const NO_SOCKETS = '/dev/null/no-sockets'

interface RankState {
  readonly number: number
  readonly process: SimProcess
  readonly who: string
  readonly done: Promise<void>
  isOver: boolean
  isKilled: boolean
}

interface Together {
  /** By rank: whether the step has ended well. */
  readonly outcomes: (boolean | undefined)[]
  /** What the step changes for all. */
  change: Change | undefined
}

/** One job after the other. */
export class Jobs {
  readonly #stage: Stage
  readonly #number: number
  readonly #files: readonly SharedFile[]
  readonly #random
  readonly #first: number
  #lives = 0
  #writes = 0
  #job: JobLife | undefined

  constructor(stage: Stage, number: number, files: readonly SharedFile[]) {
    this.#stage = stage
    this.#number = number
    this.#files = files
    this.#random = stage.random.fork()
    this.#first = this.#random.int(0, RANKS_A_HOST.length * WAYS.length - 1)
  }

  /** Processes of the ranks that live. */
  get processes(): SimProcess[] {
    return this.#job?.processes ?? []
  }

  /** Hosts of the ranks that live. */
  get hosts(): string[] {
    return this.#job?.hosts ?? []
  }

  /** Does so many steps, in as many jobs as it takes. */
  async run(steps: number): Promise<void> {
    for (let left = steps; left > 0; ) {
      if (this.#stage.violation !== undefined) return
      const { ranks, blocks } = this.#stage.plan
      const files = this.#files.length
      const steps = Math.min(left, STEPS_MAX)
      const script = scriptOf(this.#random, { ranks, steps, files, blocks })
      const name = `${this.#number}.${this.#lives}`
      const job = new JobLife(
        this.#stage,
        { name, number: this.#first + this.#lives++ },
        script,
        this.#files,
        () => writeId(100 + this.#number, this.#writes++),
      )
      this.#job = job
      await job.run()
      left -= script.length
    }
    this.#job = undefined
  }

  /** A rank dies. */
  killRank(which: number): void {
    this.#job?.kill(which)
  }
}

class JobLife {
  readonly #stage: Stage
  readonly #name: string
  readonly #perHost: number
  /** Hints of its files. */
  readonly info: Info
  readonly #script: readonly JobStep[]
  readonly #files: readonly SharedFile[]
  readonly #newId: () => number
  readonly #ranks: RankState[] = []
  readonly #together = new Map<number, Together>()

  constructor(
    stage: Stage,
    { name, number }: { readonly name: string; readonly number: number },
    script: readonly JobStep[],
    files: readonly SharedFile[],
    newId: () => number,
  ) {
    this.#stage = stage
    this.#name = name
    this.#perHost = RANKS_A_HOST[number % RANKS_A_HOST.length] ?? 1
    this.info = WAYS[number % WAYS.length] ?? {}
    this.#script = script
    this.#files = files
    this.#newId = newId
  }

  get processes(): SimProcess[] {
    return this.#ranks.filter(({ isOver }) => !isOver).map(({ process }) => process)
  }

  get hosts(): string[] {
    return this.#ranks.filter(({ isOver }) => !isOver).map(({ who }) => who)
  }

  async run(): Promise<void> {
    const { ranks } = this.#stage.plan
    for (let number = 0; number < ranks; number++) {
      const who = `rank-${this.#name}-${number}`
      const process = this.#stage.world.process(who)
      const state = { number, process, who, isOver: false, isKilled: false }
      const rank: RankState = Object.assign(state, {
        done: new Promise<void>((resolve) => {
          const over = (): void => {
            state.isOver = true
            resolve()
          }
          // Once all have been made: the first may not begin alone.
          queueMicrotask(() => {
            this.#rank(rank).then(over, (error: unknown) => {
              if (!state.isKilled) this.#stage.blame(error)
              over()
            })
          })
        }),
      })
      this.#ranks.push(rank)
    }
    await Promise.all(this.#ranks.map(({ done }) => done))
    this.#checkAlike()
  }

  kill(which: number): void {
    const rank = this.#ranks[which % this.#ranks.length]
    if (rank === undefined || rank.isOver || rank.isKilled) return
    this.#stage.deaths++
    this.#stage.trace.note(rank.who, 'dies')
    rank.isKilled = true
    rank.process.kill()
    this.#stage.forget(rank.who)
    this.#stage.network.breaks(rank.who.slice(0, rank.who.lastIndexOf('-') + 1))
    this.#kills.get(rank)?.()
  }

  readonly #kills = new Map<RankState, () => void>()

  async #rank(rank: RankState): Promise<void> {
    const death = new Promise<void>((resolve) => this.#kills.set(rank, resolve))
    await Promise.race([death, this.#live(rank)])
    // Whatever it still had goes with its process.
    if (!rank.isKilled) rank.process.kill()
  }

  async #live(rank: RankState): Promise<void> {
    const { world, plan } = this.#stage
    const { value: comm } = await this.#stage.attempt(
      rank.who,
      'joins its job',
      async () =>
        await initialize({
          manager: 'rankio://manager:7300',
          runtime: { ...rank.process.runtime, hostId: this.#hostIdOf(rank.number) },
          timing: world.timing,
          env: {
            RANKIO_RANK: String(rank.number),
            RANKIO_SIZE: String(plan.ranks),
            RANKIO_JOB: this.#name,
            XDG_RUNTIME_DIR: NO_SOCKETS,
          },
        }),
      // Who waits for a rank that has died before it came waits in vain, and its manager may die meanwhile as well.
      ({ context }) =>
        context.reason === 'MANAGER_DOWN' && this.#ranks.some(({ isKilled }) => isKilled),
    )
    if (comm === undefined) return this.kill(rank.number)
    const work = new RankWork(this.#stage, this, rank, comm, this.#files, this.#newId)
    for (const [index, step] of this.#script.entries()) {
      if (await work.do(index, step)) continue
      return
    }
    await this.#stage.attempt(rank.who, 'leaves its job', async () => await comm.free())
  }

  // What ranks take for their host; each has a line of its own all the same.
  #hostIdOf(number: number): string {
    return `host-${this.#name}-${Math.floor(number / this.#perHost)}`
  }

  /** What the ranks do together in one step. */
  together(index: number): Together {
    const known = this.#together.get(index)
    if (known !== undefined) return known
    const { ranks } = this.#stage.plan
    const made: Together = {
      outcomes: Array.from({ length: ranks }, () => undefined),
      change: undefined,
    }
    this.#together.set(index, made)
    return made
  }

  // A death in the midst of the last exchange may be seen by some and not by others: nobody can tell better.
  #checkAlike(): void {
    if (this.#ranks.some(({ isKilled }) => isKilled)) return
    for (const [index, { outcomes }] of this.#together) {
      const ended = outcomes.filter((outcome) => outcome !== undefined)
      if (ended.length < outcomes.length || new Set(ended).size === 1) continue
      const step = this.#script[index]
      const which = outcomes.map((outcome) => (outcome === true ? 'well' : 'failed')).join(', ')
      this.#stage.fail('I11', `job ${this.#name}: ${step?.kind} ends differently: ${which}`)
    }
  }
}

// What one rank of a job does.
class RankWork {
  readonly #stage: Stage
  readonly #job: JobLife
  readonly #rank: RankState
  readonly #comm: Communicator
  readonly #files: readonly SharedFile[]
  readonly #newId: () => number
  #file: File | undefined
  #shared: SharedFile | undefined
  #chunk = 0
  #unsynced: Change[] = []

  constructor(
    stage: Stage,
    job: JobLife,
    rank: RankState,
    comm: Communicator,
    files: readonly SharedFile[],
    newId: () => number,
  ) {
    this.#stage = stage
    this.#job = job
    this.#rank = rank
    this.#comm = comm
    this.#files = files
    this.#newId = newId
  }

  /** One step; false if the job is over for this rank. */
  async do(index: number, step: JobStep): Promise<boolean> {
    const error = await this.#step(index, step)
    return error?.context.reason !== 'RANK_DIED' && !isIoError(error, 'MPI_ERR_COMM')
  }

  async #step(index: number, step: JobStep): Promise<IoError | undefined> {
    if (step.kind === 'open') return await this.#open(index, step.file)
    const file = this.#file
    const shared = this.#shared
    if (file === undefined || shared === undefined) return undefined
    switch (step.kind) {
      case 'view':
        return await this.#view(index, file, step.chunk)
      case 'write':
      case 'read':
        return await this.#move(index, file, shared, step)
      case 'sync': {
        const covered = this.#unsynced
        const error = await this.#all(index, 'syncs', async () => await file.sync())
        // Of another rank's failure this rank learns no more than that: its own writes may be durable, or told lost.
        this.#unsynced = this.#unsynced.filter((change) => !covered.includes(change))
        if (error === undefined) this.#durable(covered)
        return error
      }
      case 'resize':
        return await this.#resize(index, file, shared, step.block)
      case 'mistake': {
        const offset = step.rank === this.#rank.number ? -1 : 0
        const buffer = new Uint8Array(BLOCK_BYTES)
        return await this.#all(
          index,
          'reads where nothing is',
          async () => await file.readAtAll(offset, buffer),
          (error) => isIoError(error, 'MPI_ERR_ARG'),
        )
      }
      case 'close': {
        const covered = this.#unsynced
        this.#unsynced = []
        this.#file = undefined
        const error = await this.#all(index, 'closes', async () => await file.close())
        if (error !== undefined) return error
        shared.file.opens--
        this.#durable(covered)
        return error
      }
    }
  }

  async #open(index: number, which: number): Promise<IoError | undefined> {
    const shared = this.#files[which]
    if (shared === undefined) return undefined
    this.#chunk = 0
    this.#isViewed = false
    this.#unsynced = []
    shared.file.opens++
    return await this.#all(index, `opens ${shared.path}`, async () => {
      this.#file = await File.open(this.#comm, shared.path, Mode.RDWR, this.#job.info)
      this.#shared = shared
    })
  }

  async #view(index: number, file: File, chunk: number): Promise<IoError | undefined> {
    const { number } = this.#rank
    const etype = Datatype.contiguous(BLOCK_BYTES, Datatype.BYTE)
    const bytes = chunk * BLOCK_BYTES
    const tile = Datatype.contiguous(Math.max(1, chunk), etype)
    const filetype = Datatype.resized(tile, 0, bytes * this.#comm.size)
    const error = await this.#all(index, `sets a view of ${chunk} blocks each`, async () => {
      if (chunk === 0) await file.setView({ etype })
      else await file.setView({ displacement: number * bytes, etype, filetype })
    })
    if (error === undefined) {
      this.#chunk = chunk
      this.#isViewed = true
    }
    return error
  }

  // Until the first view offsets count bytes.
  #isViewed = false

  async #move(
    index: number,
    file: File,
    { path, file: history }: SharedFile,
    { kind, collective, places }: JobStep & { readonly kind: 'write' | 'read' },
  ): Promise<IoError | undefined> {
    const place = places[this.#rank.number] ?? { first: 0, blocks: 1 }
    const offset = this.#isViewed ? place.first : place.first * BLOCK_BYTES
    const blocks = Array.from({ length: place.blocks }, (_, at) =>
      fileBlock(place.first + at, this.#chunk, this.#rank.number, this.#comm.size),
    )
    const what = `${kind}s ${collective ? 'with all' : 'alone'} ${path}: ${words(blocks)}`
    const run = async (work: () => Promise<unknown>): Promise<IoError | undefined> =>
      collective ? await this.#all(index, what, work) : await this.#alone(what, work)
    if (kind === 'read') {
      const bytes = new Uint8Array(blocks.length * BLOCK_BYTES)
      const invoked = this.#stage.history.now()
      return await run(async () => {
        const status = collective
          ? await file.readAtAll(offset, bytes)
          : await file.readAt(offset, bytes)
        const look = { who: this.#rank.who, invoked, ended: this.#stage.history.now() }
        history.check(look, blocks, bytes.subarray(0, status.bytes))
      })
    }
    const id = this.#newId()
    const name = `write ${id % 65_536} of ${this.#rank.who}`
    const change = history.write(id, name, this.#rank.process, blocks)
    const bytes = contentOf(id, blocks)
    const error = await run(async () => {
      if (collective) await file.writeAtAll(offset, bytes)
      else await file.writeAt(offset, bytes)
    })
    history.end(change, error === undefined)
    if (error === undefined) this.#unsynced.push(change)
    return error
  }

  async #resize(
    index: number,
    file: File,
    { file: history }: SharedFile,
    block: number,
  ): Promise<IoError | undefined> {
    const together = this.#job.together(index)
    together.change ??= history.cut(`job of ${this.#rank.who} sets its size to ${block}`, block)
    const { change } = together
    const error = await this.#all(
      index,
      `resizes to block ${block}`,
      async () => await file.setSize(block * BLOCK_BYTES),
    )
    if (error === undefined && change.outcome !== 'acknowledged') history.end(change, true)
    return error
  }

  #durable(changes: readonly Change[]): void {
    const now = this.#stage.history.now()
    for (const change of changes) change.durable = now
  }

  async #all(
    index: number,
    what: string,
    work: () => Promise<unknown>,
    mayFail?: (error: IoError) => boolean,
  ): Promise<IoError | undefined> {
    const { outcomes } = this.#job.together(index)
    const { error }: Outcome<unknown> = await this.#stage.attempt(
      this.#rank.who,
      what,
      work,
      mayFail,
    )
    outcomes[this.#rank.number] = error === undefined
    return error
  }

  async #alone(what: string, work: () => Promise<unknown>): Promise<IoError | undefined> {
    return (await this.#stage.attempt(this.#rank.who, what, work)).error
  }
}
