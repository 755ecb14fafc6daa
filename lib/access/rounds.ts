// The rounds of a two-phase access as one rank goes through them, whichever way the bytes go: what it sends
// as a rank with bytes, and what it takes as an aggregator.
//
// In a round each rank walks its regions up to the end of the window, sends each aggregator what lies in
// its domain, and marks its last message; an aggregator knows by arithmetic (`sendsTo`) whose last messages it
// has to await. Nobody waits for the message of a particular rank, so no two can wait for each other. A rank
// that has failed goes on with empty messages: all settle together in the end.

import { isGone, memoryGone } from '../base/bytes.js'
import { IoError, isIoError } from '../base/errors.js'
import { RunList } from '../base/regions.js'
import { together } from '../base/together.js'
import type { Communicator } from '../comm/communicator.js'
import type { Access, Driver, Span } from '../driver/driver.js'
import type { Domains } from '../layout/domains.js'
import { type PartAccess, type SplitLimits, StripeSplitter } from '../layout/split.js'
import { Aggregator, type WindowPool } from './aggregator.js'
import { type Combiner, combinerOf, type OwnSide } from './combiner.js'
import { type Routes, routesOf } from './combining.js'
import { decoded, decodeRequest, encodeRequest, type Request, requestTag } from './exchange.js'
import {
  type CollectiveSettings,
  messageLimits,
  type Rounds,
  type Window,
  Windows,
} from './plan.js'
import { attempt, packError, unpackError } from './outcome.js'
import { hear } from './receiving.js'
import { MESSAGE_REGIONS } from './thresholds.js'

/** What a collective access in rounds is made of. */
export interface TwoPhaseParts {
  readonly comm: Communicator
  readonly driver: Driver
  readonly domains: Domains
  readonly settings: CollectiveSettings
  readonly pool: WindowPool
  readonly rounds: Rounds
  /** This rank's access, where it takes part with bytes. */
  readonly own: { readonly access: Access; readonly span: Span } | undefined
}

/** A message of another rank, its list in offsets of the window. */
export type Received = Request & { readonly data: Uint8Array }

/**
 * Goes through all rounds; rejects after the last one with what has failed on this rank. What keeps it from the last one
 * ends the communicator: others would wait for what does not come.
 */
export async function inRounds<T extends Exchange>(
  { comm }: TwoPhaseParts,
  make: () => T,
): Promise<T> {
  const { value: exchange, error } = await attempt(async () => {
    const made = make()
    await made.run()
    return made
  })
  if (exchange === undefined) {
    comm.fail(error instanceof IoError ? error : unpackError(packError(error)))
    throw error
  }
  if (exchange.failure !== undefined) throw exchange.failure
  return exchange
}

/** One rank's part of a two-phase access. */
export abstract class Exchange {
  protected readonly parts: TwoPhaseParts
  protected readonly aggregator: Aggregator | undefined
  /** Whether what is sent to an aggregator is answered with bytes: in reads. */
  protected abstract readonly isAnswered: boolean
  protected round = 0
  readonly #windows: Windows
  readonly #splitter: StripeSplitter | undefined
  readonly #span: Window
  readonly #routes: Routes
  #combiner: Combiner | undefined
  #failure: unknown
  /** Domains whose aggregators have the last message of this round. */
  #ended: (true | undefined)[] = []

  constructor(parts: TwoPhaseParts) {
    const { comm, domains, settings, rounds, own } = parts
    this.parts = parts
    this.#windows = new Windows(domains, settings.bufferSize, rounds)
    this.#span = own?.span ?? { start: 0, end: 0 }
    this.#splitter =
      own === undefined ? undefined : splitterOf(domains, settings, own.access, comm.size)
    const { rank, hosts } = comm
    this.#routes = routesOf({ domains, settings, rounds, hosts, rank, span: this.#span })
    const domain = settings.aggregators.indexOf(rank)
    if (domain < 0 || domain >= domains.count) return
    const partners = this.#routes.partnersOf(domain)
    const { driver, pool } = parts
    const windows = this.#windows
    this.aggregator = new Aggregator({ driver, domains, domain, windows, pool, partners })
  }

  /** What has failed on this rank; undefined as long as nothing has. */
  get failure(): unknown {
    return this.#failure ?? this.aggregator?.failure
  }

  /** Goes through all rounds, also where something fails on this rank. */
  async run(): Promise<void> {
    this.#combiner = this.#combinerOf()
    for (this.round = 0; this.round < this.#windows.count; this.round++) {
      const window = this.#windows.of(this.round)
      this.aggregator?.begin(window)
      this.#combiner?.begin(this.round, window)
      await together([this.#send(window), this.#receive(window)])
      if (this.aggregator !== undefined) await this.endRound(this.aggregator)
    }
    await this.aggregator?.end()
  }

  /** Hands a part of this rank's access to another rank; resolves when all that comes of it is done. */
  protected abstract sendTo(part: PartAccess, isLast: boolean): Promise<void>

  /** The same to this rank itself. */
  protected abstract sendHere(
    aggregator: Aggregator,
    part: PartAccess,
    isLast: boolean,
  ): Promise<void>

  /** What the leader of this host needs of this rank, or this rank as the leader. */
  protected abstract ownSide(): OwnSide

  /** This rank has handed over all that it has in this round. */
  protected abstract handedOver(): void

  /** Takes what another rank has handed over; its data are there only during the call. */
  protected abstract take(aggregator: Aggregator, received: Received): void

  /** All other ranks have handed over all that they have in this round. */
  protected abstract heardAll(aggregator: Aggregator): void

  /** Ends the round of an aggregator: all ranks have handed over what they have. */
  protected abstract endRound(aggregator: Aggregator): Promise<void>

  /** The memory of this rank. MPI_ERR_BUFFER once it was detached. */
  protected get buffer(): Uint8Array {
    const buffer = this.parts.own?.access.buffer
    if (buffer !== undefined && !isGone(buffer)) return buffer
    throw memoryGone('collective', ' before the end')
  }

  /** Remembers what has failed on this rank; from then on it has no bytes any more. */
  protected fail(error: unknown): void {
    this.#failure ??= error
  }

  /**
   * Sends a list of regions, and data if any, to the aggregator of a domain. To be called before anything is
   * awaited: a last message that was not sent by then is sent empty.
   */
  protected async post(
    domain: number,
    list: RunList,
    isLast: boolean,
    data: readonly Uint8Array[],
  ): Promise<void> {
    const { comm, settings } = this.parts
    const about = { rank: comm.rank, isLast, ...this.#span }
    if (isLast) this.#ended[domain] = true
    const dest = settings.aggregators[domain] ?? 0
    const tag = requestTag(this.round)
    try {
      await comm.sendBytes([encodeRequest({ ...about, list }), ...data], dest, tag)
    } catch (error) {
      // Its memory may have been detached meanwhile; the aggregator waits for the last one all the same.
      if (isLast && isIoError(error, 'MPI_ERR_BUFFER'))
        await comm.sendBytes([encodeRequest({ ...about, list: new RunList() })], dest, tag)
      throw error
    }
  }

  async #send(window: Window): Promise<void> {
    // By domain; missing where nothing was sent. One message at a time to each.
    const sends: (Promise<void> | undefined)[] = []
    this.#ended = []
    const splitter = this.#failure === undefined ? this.#splitter : undefined
    const next = (): PartAccess | undefined => splitter?.next(window.end)
    for (let part = next(); part !== undefined && this.#failure === undefined; part = next()) {
      const isLast = splitter?.walkedTo(window.end) ?? true
      await sends[part.part]
      sends[part.part] = this.#hand(part, isLast)
    }
    const { domains, comm, settings } = this.parts
    for (let domain = 0; domain < domains.count; domain++) {
      if (this.#ended[domain] === true || settings.aggregators[domain] === comm.rank) continue
      if (this.#routes.combined.has(domain)) continue
      if (this.#routes.sends(domain, this.#span, this.round, window))
        sends.push(this.#guarded(this.post(domain, new RunList(), true, [])))
    }
    if (this.#combiner !== undefined) sends.push(this.#guarded(this.#combiner.end()))
    this.handedOver()
    await Promise.all(sends.filter((send) => send !== undefined))
  }

  async #hand(part: PartAccess, isLast: boolean): Promise<void> {
    if (this.#combiner !== undefined && this.#routes.combined.has(part.part))
      return await this.#guarded(this.#combiner.take(part))
    const isOwn = this.parts.settings.aggregators[part.part] === this.parts.comm.rank
    if (!isOwn) await this.#guarded(this.sendTo(part, isLast))
    else if (this.aggregator !== undefined)
      await this.#guarded(this.sendHere(this.aggregator, part, isLast))
  }

  async #guarded(work: Promise<void>): Promise<void> {
    await work.catch((error: unknown) => this.fail(error))
  }

  #combinerOf(): Combiner | undefined {
    const { comm, domains, settings } = this.parts
    return combinerOf({
      comm,
      routes: this.#routes,
      aggregators: settings.aggregators,
      own: this.ownSide(),
      span: this.#span,
      limits: messageLimits(domains, settings.bufferSize, comm.hosts.count),
    })
  }

  async #receive(window: Window): Promise<void> {
    const { aggregator, round } = this
    if (aggregator === undefined) return
    await hear(this.parts.comm, {
      tag: requestTag(round),
      lasts: aggregator.partnersIn(round, window),
      isLent: true,
      decoded: (message) => this.#decoded(aggregator, message),
      take: (received) => {
        try {
          aggregator.check(received.list)
          this.take(aggregator, received)
        } catch (error) {
          this.fail(error)
        }
      },
    })
    this.heardAll(aggregator)
  }

  #decoded(aggregator: Aggregator, message: Uint8Array): Received {
    const received = decoded(this.parts.comm, () =>
      decodeRequest(message, -aggregator.base, this.isAnswered),
    )
    aggregator.meet(received)
    return received
  }
}

function splitterOf(
  domains: Domains,
  { bufferSize }: CollectiveSettings,
  access: Access,
  ranks: number,
): StripeSplitter {
  const limits: SplitLimits = {
    ...messageLimits(domains, bufferSize, ranks),
    regionsMax: MESSAGE_REGIONS,
  }
  return new StripeSplitter(domains, access.file(), access.memory(), limits, domains.count)
}
