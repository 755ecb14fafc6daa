// Where the ranks of a job meet: each says where it listens, and is answered when all have.
//
//   meeting --all have joined--> keeping --durable--> complete --all have gone, and some time passed--> forgotten
//      \--time is over, or ranks contradict each other--> failed --all have gone--> forgotten
//                                  \--no room--> failed
//
// While a job meets, a client that goes is taken from the list. Once all have joined a client that has gone
// may come back and ask again: its answer may have been lost with its connection, or with the manager that gave
// it. The next manager begins with the jobs that are kept, as if all of their clients had just gone. Who they are
// is kept as well, so that nobody takes a rank of theirs for one of the next job of the same name.

import { type Deferred, deferred } from '../../lib/base/deferred.js'
import { errorOf, IoError, messageOf } from '../../lib/base/errors.js'
import { type Clock, type Random, randomId, type Timer } from '../../lib/base/runtime.js'
import type { Timing } from '../../lib/base/timing.js'
import { LIMITS } from '../../lib/protocol/limits.js'
import type { MANAGER } from '../../lib/protocol/manager.js'
import type { ReplyOf, RequestOf } from '../../lib/protocol/operation.js'
import type { MetJob, MetJobs } from './met-jobs.js'

/** Missing ranks that a message names. */
const NAMED_MAX = 16

/** What a rank says of itself. */
export type JoinRequest = RequestOf<typeof MANAGER.join>

/** What it learns of the others. */
export type JoinReply = ReplyOf<typeof MANAGER.join>

/** What a rendezvous needs. */
export interface RendezvousOptions {
  readonly clock: Clock
  readonly random: Random
  readonly timing: Timing
  /** Where jobs that have met are kept. */
  readonly kept: MetJobs
  /** What is kept there already. */
  readonly jobs: readonly MetJob[]
}

interface Member {
  readonly rank: number
  readonly clientId: string
  readonly url: string
  readonly hostId: string
}

interface MeetingJob {
  readonly name: string
  readonly size: number
  /** The rank that named the size first. */
  readonly first: number
  /** By rank. */
  readonly members: Map<number, Member>
  /** Clients that are there. */
  readonly present: Set<string>
  /** What the clients wait for, while the job meets. */
  readonly waiting: Map<string, Deferred<JoinReply>>
  state: 'meeting' | 'keeping' | { readonly reply: JoinReply } | { readonly error: IoError }
  /** Ends the meeting, or the memory of it. */
  timer: Timer | undefined
}

/** Brings the ranks of jobs together. */
export class Rendezvous {
  readonly #options: RendezvousOptions
  readonly #jobs = new Set<MeetingJob>()
  /** The newest of each name: clients of an older one still find theirs. */
  readonly #named = new Map<string, MeetingJob>()
  readonly #jobOf = new Map<string, MeetingJob>()

  constructor(options: RendezvousOptions) {
    this.#options = options
    for (const job of options.jobs) this.#inherit(job)
  }

  /** Jobs that are known now. */
  get size(): number {
    return this.#jobs.size
  }

  /** Jobs whose ranks have met, their ranks together, and those of them that are connected. */
  get met(): ReplyOf<typeof MANAGER.status>['jobs'] {
    const met = [...this.#jobs].filter(isComplete)
    const ranks = met.reduce((sum, { size }) => sum + size, 0)
    const connected = met.reduce((sum, { present }) => sum + present.size, 0)
    return { count: met.length, ranks, connected }
  }

  /**
   * A rank joins; answered when all have. A repeat by the same client is harmless, also after the
   * answer. What is wrong is told to all ranks that wait, so that none waits in vain: MPI_ERR_ARG
   * for ranks that contradict each other; reason DEADLINE if some do not come in time, which are named;
   * MPI_ERR_NO_SPACE or MPI_ERR_QUOTA if there is no room to keep who has met.
   */
  async join(request: JoinRequest, clientId: string): Promise<JoinReply> {
    const known = this.#known(request.job, clientId)
    checkRequest(request, known)
    const job = known ?? this.#begin(request)
    if (isFailed(job)) throw job.state.error
    const error = contradictionOf(job, request, clientId)
    if (error !== undefined) {
      // A stranger does not harm those who have met.
      if (job.state === 'meeting') this.#fail(job, error)
      throw error
    }
    return await this.#enter(job, request, clientId)
  }

  /** The session of the job that a client has joined, or undefined. */
  sessionOf(clientId: string): string | undefined {
    const job = this.#jobOf.get(clientId)
    return job !== undefined && isComplete(job) ? job.state.reply.sessionId : undefined
  }

  /** A client is connected anew. Its job runs, if it has met, also if the client need not ask for its answer. */
  back(clientId: string): void {
    const job = this.#jobOf.get(clientId)
    if (job === undefined || !isComplete(job)) return
    job.present.add(clientId)
    job.timer?.cancel()
  }

  /**
   * A client is not connected any more: what it waits for rejects, since nobody would hear the
   * answer. The name of a job is free again when all of its clients have gone.
   */
  forget(clientId: string): void {
    const job = this.#jobOf.get(clientId)
    if (job === undefined) return
    job.present.delete(clientId)
    const gone = errorOf('DISCONNECTED', `${nameOf(job.name)}: a rank has gone`)
    job.waiting.get(clientId)?.reject(gone)
    job.waiting.delete(clientId)
    if (job.state === 'meeting') {
      this.#jobOf.delete(clientId)
      for (const member of job.members.values()) {
        if (member.clientId === clientId) job.members.delete(member.rank)
      }
    }
    if (job.present.size > 0 || job.state === 'keeping') return
    if (isComplete(job)) this.#endAfter(job, this.#options.timing.operationMs)
    else this.#end(job)
  }

  /** Nobody meets any more. */
  close(): void {
    for (const job of this.#jobs) job.timer?.cancel()
    this.#jobs.clear()
    this.#named.clear()
    this.#jobOf.clear()
  }

  // A client finds the job that it has joined. Where all have gone from one that has met, a stranger begins the next job
  // of that name: only those who come back may still ask for it.
  #known(name: string, clientId: string): MeetingJob | undefined {
    const own = this.#jobOf.get(clientId)
    if (own?.name === name) return own
    const job = this.#named.get(name)
    if (job !== undefined && job.present.size > 0) return job
    // Of several that are kept the next manager knows no order: the one that runs may stand behind one that is gone.
    return [...this.#jobs].find((other) => other.name === name && other.present.size > 0)
  }

  #begin({ job: name, rank, size }: JoinRequest): MeetingJob {
    const { clock, timing } = this.#options
    if (this.#jobs.size >= LIMITS.jobs) {
      throw errorOf('BUSY', `manager: ${LIMITS.jobs} jobs are running`, {
        retryAfterMs: timing.backoffMaxMs,
      })
    }
    const { joinMs } = timing
    const job = newJob(name, size, rank)
    const late = (): void => this.#fail(job, lateError(job, joinMs))
    job.timer = clock.timer(joinMs, late, { background: true })
    this.#add(job)
    return job
  }

  #inherit({ name, sessionId, ranks }: MetJob): void {
    const job = newJob(name, ranks.length, 0)
    for (const [rank, member] of ranks.entries()) {
      job.members.set(rank, { rank, ...member })
      this.#jobOf.set(member.clientId, job)
    }
    job.state = { reply: replyOf({ sessionId, ranks }) }
    this.#add(job)
    this.#endAfter(job, this.#options.timing.operationMs)
  }

  #add(job: MeetingJob): void {
    this.#jobs.add(job)
    this.#named.set(job.name, job)
  }

  async #enter(job: MeetingJob, request: JoinRequest, clientId: string): Promise<JoinReply> {
    // Who is in another job has left that one: it would never be seen to go.
    const before = this.#jobOf.get(clientId)
    if (before !== undefined && before !== job) this.forget(clientId)
    job.present.add(clientId)
    this.#jobOf.set(clientId, job)
    if (isComplete(job)) {
      job.timer?.cancel()
      return job.state.reply
    }
    const waiting = job.waiting.get(clientId) ?? deferred()
    job.waiting.set(clientId, waiting)
    if (job.state === 'meeting') {
      const { rank, url, hostId } = request
      job.members.set(rank, { rank, clientId, url, hostId })
      if (job.members.size === job.size) void this.#complete(job)
    }
    return await waiting.promise
  }

  async #complete(job: MeetingJob): Promise<void> {
    job.timer?.cancel()
    job.state = 'keeping'
    const { name } = job
    const ranks = [...job.members.values()].sort((a, b) => a.rank - b.rank)
    const sessionId = randomId(this.#options.random)
    try {
      await this.#options.kept.keep({ name, sessionId, ranks })
    } catch (error) {
      this.#fail(job, unkept(name, error))
      return
    }
    const reply = replyOf({ sessionId, ranks })
    job.state = { reply }
    for (const waiting of job.waiting.values()) waiting.resolve(reply)
    job.waiting.clear()
    if (job.present.size === 0) this.#endAfter(job, this.#options.timing.operationMs)
  }

  // Ranks that come late are told the same for a while.
  #fail(job: MeetingJob, error: IoError): void {
    job.state = { error }
    for (const waiting of job.waiting.values()) waiting.reject(error)
    job.waiting.clear()
    if (job.present.size > 0) this.#endAfter(job, this.#options.timing.joinMs)
    else this.#end(job)
  }

  #endAfter(job: MeetingJob, delayMs: number): void {
    job.timer?.cancel()
    // Of a manager that has stopped the next one takes over.
    if (!this.#jobs.has(job)) return
    job.timer = this.#options.clock.timer(delayMs, () => this.#end(job), { background: true })
  }

  #end(job: MeetingJob): void {
    job.timer?.cancel()
    if (!this.#jobs.delete(job)) return
    if (this.#named.get(job.name) === job) this.#named.delete(job.name)
    for (const { clientId } of job.members.values()) {
      if (this.#jobOf.get(clientId) === job) this.#jobOf.delete(clientId)
    }
    if (!isComplete(job)) return
    this.#options.kept.forget(job.state.reply.sessionId).catch(() => {
      // A store that fails tells whoever has something to commit; the next job that ends, or the next manager, does it.
    })
  }
}

function replyOf({ sessionId, ranks }: Pick<MetJob, 'sessionId' | 'ranks'>): JoinReply {
  return { sessionId, ranks: ranks.map(({ url, hostId }) => ({ url, hostId })) }
}

function newJob(name: string, size: number, first: number): MeetingJob {
  return {
    name,
    size,
    first,
    members: new Map(),
    present: new Set(),
    waiting: new Map(),
    state: 'meeting',
    timer: undefined,
  }
}

function isComplete(
  job: MeetingJob,
): job is MeetingJob & { readonly state: { readonly reply: JoinReply } } {
  return typeof job.state === 'object' && 'reply' in job.state
}

function isFailed(
  job: MeetingJob,
): job is MeetingJob & { readonly state: { readonly error: IoError } } {
  return typeof job.state === 'object' && 'error' in job.state
}

function checkRequest({ job, rank, size }: JoinRequest, known: MeetingJob | undefined): void {
  if (job === '') throw new IoError('MPI_ERR_ARG', 'join: the job has no name')
  if (size < 1 || size > LIMITS.ranks) {
    throw new IoError(
      'MPI_ERR_ARG',
      `${nameOf(job)}: ${size} ranks, 1 to ${LIMITS.ranks} are allowed`,
    )
  }
  // Another count than that of the others is told to all of them, with both: see `contradictionOf`.
  if (rank >= size && (known === undefined || known.size === size))
    throw new IoError('MPI_ERR_ARG', `${nameOf(job)}: rank ${rank} of ${size} ranks`)
}

function contradictionOf(
  job: MeetingJob,
  { rank, size }: JoinRequest,
  clientId: string,
): IoError | undefined {
  if (size !== job.size) {
    const message = `${nameOf(job.name)}: rank ${rank} says that it has ${size} ranks, rank ${job.first} said ${job.size}`
    return new IoError('MPI_ERR_ARG', message, { rank })
  }
  const member = job.members.get(rank)
  if (member?.clientId === clientId) return undefined
  if (isComplete(job) || job.state === 'keeping') {
    const message = `${nameOf(job.name)}: all of its ${size} ranks have joined already; is another job of that name running?`
    return new IoError('MPI_ERR_ARG', message, { rank })
  }
  if (member === undefined) return undefined
  return new IoError(
    'MPI_ERR_ARG',
    `${nameOf(job.name)}: two processes say that they are rank ${rank}`,
    { rank },
  )
}

function unkept(name: string, error: unknown): IoError {
  const why = messageOf(error)
  const { code, context } =
    error instanceof IoError ? error : { code: 'MPI_ERR_IO' as const, context: {} }
  return new IoError(code, `${nameOf(name)}: who has joined cannot be kept: ${why}`, context)
}

function lateError(job: MeetingJob, joinMs: number): IoError {
  const missing: number[] = []
  for (let rank = 0; rank < job.size; rank++) if (!job.members.has(rank)) missing.push(rank)
  const more = missing.length > NAMED_MAX ? ` and ${missing.length - NAMED_MAX} more` : ''
  const named = missing.slice(0, NAMED_MAX).join(', ')
  const counts = `${missing.length} of ${job.size} ranks did not join within ${joinMs / 1000} s`
  return errorOf('DEADLINE', `${nameOf(job.name)}: ${counts}: rank ${named}${more}`)
}

function nameOf(job: string): string {
  return `job ${JSON.stringify(job)}`
}
