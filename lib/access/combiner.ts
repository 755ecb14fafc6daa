// How the ranks of one host send to aggregators of other hosts together, in a round: companions hand their
// leader what they have, it sends each aggregator one message for all of them, and gives back what is read.
//
// The lists are put one behind the other, not merged: an aggregator paints pieces in any order, which costs
// it less than sorting them would cost the leader. What a leader holds is bounded; what is more goes on in several
// messages. A companion that waits for an answer is served at once, and aggregators serve what is not the
// last message of a round at once, so nobody waits for a rank that waits for it.

import { errorOf } from '../base/errors.js'
import { RunList } from '../base/regions.js'
import { together } from '../base/together.js'
import type { Communicator } from '../comm/communicator.js'
import type { PartAccess } from '../layout/split.js'
import { handsOver, hullOf, type Routes } from './combining.js'
import {
  type Answer,
  answerTag,
  decodeAnswer,
  decoded,
  encodeRequest,
  handedBackTag,
  handedTag,
  requestTag,
} from './exchange.js'
import { hear } from './receiving.js'
import { decodeBack, decodeHanded, encodeBack, encodeHanded, type Handed } from './handover.js'
import type { MessageLimits, Window } from './plan.js'
import { HELD_BYTES_MAX, HELD_ENTRIES_MAX } from './thresholds.js'

/** What a rank itself sends and gets. */
export interface OwnSide {
  /** Whether parts have answers: in reads. */
  readonly isAnswered: boolean
  /** A copy of the bytes of a part that are to be written; none of a read. MPI_ERR_BUFFER. */
  outgoing(part: PartAccess): Uint8Array
  /** Takes the answer of a part. MPI_ERR_BUFFER. */
  incoming(part: PartAccess, answer: Answer): void
  /** Remembers what has failed on this rank. */
  fail(error: unknown): void
}

/** What a combiner is made of. */
export interface CombinerParts {
  readonly comm: Communicator
  readonly routes: Routes
  readonly aggregators: readonly number[]
  readonly own: OwnSide
  /** Where this rank's bytes lie. */
  readonly span: Window
  /** From where on a leader sends what it holds for an aggregator. */
  readonly limits: MessageLimits
}

/** One rank's part in it: what it takes is for aggregators of other hosts. */
export interface Combiner {
  /** Begins a round. */
  begin(round: number, window: Window): void
  /** Takes a part of this rank's access; resolves when it has room for the next one. */
  take(part: PartAccess): Promise<void>
  /** This rank has no more in this round; resolves when all is done that the round has for this rank. */
  end(): Promise<void>
}

/** The combiner of this rank, if it has one. */
export function combinerOf(parts: CombinerParts): Combiner | undefined {
  const { leader } = parts.routes
  if (leader === undefined) return undefined
  return leader === parts.comm.rank ? new Leader(parts) : new Companion(parts, leader)
}

class Companion implements Combiner {
  readonly #parts: CombinerParts
  readonly #leader: number
  #round = 0
  #window: Window = { start: 0, end: 0 }
  #before: Promise<void> = Promise.resolve()
  #held: { readonly part: PartAccess; readonly data: Uint8Array }[] = []
  #bytes = 0
  #entries = 0

  constructor(parts: CombinerParts, leader: number) {
    this.#parts = parts
    this.#leader = leader
  }

  begin(round: number, window: Window): void {
    this.#round = round
    this.#window = window
  }

  async take(part: PartAccess): Promise<void> {
    await this.#next(async () => {
      const data = this.#parts.own.outgoing(part)
      this.#held.push({ part, data })
      this.#bytes += part.bytes
      this.#entries += part.local.entries
      if (this.#bytes >= HELD_BYTES_MAX || this.#entries >= HELD_ENTRIES_MAX)
        await this.#hand(false)
    })
  }

  async end(): Promise<void> {
    await this.#next(async () => {
      if (handsOver(this.#parts.span, this.#round, this.#window)) await this.#hand(true)
    })
  }

  // Parts of several domains come side by side. One after the other they are held, and at most one message is on its way, so that
  // what is held is bounded and the next answer is the one to it: answers to two would come as their aggregators are quick.
  async #next(step: () => Promise<void>): Promise<void> {
    const mine = this.#before.then(step)
    this.#before = mine.catch(() => {})
    await mine
  }

  async #hand(isLast: boolean): Promise<void> {
    const { comm, span, own } = this.#parts
    const held = this.#held.splice(0)
    this.#bytes = 0
    this.#entries = 0
    const parts = held.map(({ part }) => ({ domain: part.part, list: part.local }))
    const data = held.map((each) => each.data)
    const bytes = data.reduce((sum, { length }) => sum + length, 0)
    const head = encodeHanded({ rank: comm.rank, isLast, ...span, parts }, bytes)
    const handed = comm.sendBytes([head, ...data], this.#leader, handedTag(this.#round))
    if (!own.isAnswered || held.length === 0) return await handed
    // Received at once, so that the leader never waits for a rank that waits for it.
    const [back] = await Promise.all([
      comm.recvBytes(this.#leader, handedBackTag(this.#round)),
      handed,
    ])
    const wanted = held.map(({ part }) => part.bytes)
    const answers = decoded(comm, () => decodeBack(back, wanted))
    for (const [i, { part }] of held.entries()) {
      const answer = answers[i]
      if (answer !== undefined) own.incoming(part, answer)
    }
  }
}

/** What a leader holds for one aggregator. */
interface Bin {
  readonly list: RunList
  readonly data: Uint8Array[]
  /** Whose bytes they are, in the order of the list. */
  readonly wishes: Wish[]
}

interface Wish {
  readonly bytes: number
  readonly answer: (answer: Answer) => Promise<void>
}

class Leader implements Combiner {
  readonly #parts: CombinerParts
  #round = 0
  #window: Window = { start: 0, end: 0 }
  /** By companion. */
  readonly #spans = new Map<number, Window>()
  /** Of all ranks of the host, as far as they were heard. */
  #hull: Window
  /** By domain, as the next. */
  readonly #bins = new Map<number, Bin>()
  readonly #sending = new Map<number, Promise<void>>()
  #heard: Promise<void> = Promise.resolve()

  constructor(parts: CombinerParts) {
    this.#parts = parts
    this.#hull = parts.span
  }

  begin(round: number, window: Window): void {
    this.#round = round
    this.#window = window
    this.#heard = this.#hearAll()
    // It may fail before this rank is through with its own bytes.
    this.#heard.catch(() => {})
  }

  async take(part: PartAccess): Promise<void> {
    const { own } = this.#parts
    const data = own.outgoing(part)
    const answer = async (given: Answer): Promise<void> => {
      try {
        own.incoming(part, given)
      } catch (error) {
        own.fail(error)
      }
    }
    this.#put(part.part, part.local, data, answer)
    if (this.#isFull(part.part)) await this.#send(part.part, false)
  }

  async end(): Promise<void> {
    await this.#heard
    const { routes } = this.#parts
    const last = [...routes.combined].filter((domain) =>
      routes.sends(domain, this.#hull, this.#round, this.#window),
    )
    await together(last.map((domain) => this.#send(domain, true)))
  }

  async #hearAll(): Promise<void> {
    const { comm, routes, own } = this.#parts
    const round = this.#round
    const lasts = routes.companions.filter((rank) =>
      handsOver(this.#spans.get(rank) ?? { start: 0, end: 0 }, round, this.#window),
    ).length
    await hear(comm, {
      tag: handedTag(round),
      lasts,
      // What was handed over is held until all goes on together.
      isLent: false,
      decoded: (message) => this.#decoded(message),
      take: async (handed) => {
        this.#accept(handed)
        const isAwaited = !handed.isLast && own.isAnswered
        const due = handed.parts.filter(({ domain }) => isAwaited || this.#isFull(domain))
        await together(due.map(({ domain }) => this.#send(domain, false)))
      },
    })
  }

  #decoded(message: Uint8Array): Handed & { readonly data: Uint8Array } {
    return decoded(this.#parts.comm, () => {
      const handed = decodeHanded(message, this.#parts.own.isAnswered)
      for (const { domain } of handed.parts)
        if (!this.#parts.routes.combined.has(domain))
          throw errorOf('PROTOCOL', `exchange: part ${domain} is not for another host`)
      return handed
    })
  }

  #accept({ rank, start, end, parts, data }: Handed & { readonly data: Uint8Array }): void {
    const { comm, own } = this.#parts
    const span = { start, end }
    this.#spans.set(rank, span)
    this.#hull = hullOf(this.#hull, span)
    const round = this.#round
    const answers: Answer[] = []
    let missing = parts.length
    let at = 0
    for (const [i, { domain, list }] of parts.entries()) {
      const bytes = own.isAnswered ? 0 : list.bytes
      this.#put(domain, list, data.subarray(at, at + bytes), async (answer) => {
        answers[i] = answer
        missing--
        if (missing === 0) await comm.sendBytes(encodeBack(answers), rank, handedBackTag(round))
      })
      at += bytes
    }
  }

  #put(
    domain: number,
    list: RunList,
    data: Uint8Array,
    answer: (answer: Answer) => Promise<void>,
  ): void {
    const bin = this.#bins.get(domain) ?? { list: new RunList(), data: [], wishes: [] }
    this.#bins.set(domain, bin)
    for (let i = 0; i < list.entries; i++) bin.list.addFrom(list, i, 0)
    if (data.length > 0) bin.data.push(data)
    if (this.#parts.own.isAnswered) bin.wishes.push({ bytes: list.bytes, answer })
  }

  #isFull(domain: number): boolean {
    const { bytesMax, entriesMax } = this.#parts.limits
    const list = this.#bins.get(domain)?.list
    return list !== undefined && (list.bytes >= bytesMax || list.entries >= entriesMax)
  }

  // One after the other to each, so that answers meet their requests and what is held stays bounded.
  async #send(domain: number, isLast: boolean): Promise<void> {
    const before = this.#sending.get(domain) ?? Promise.resolve()
    const mine = before.then(async () => {
      const bin = this.#bins.get(domain)
      this.#bins.delete(domain)
      if (bin !== undefined || isLast) await this.#post(domain, bin, isLast)
    })
    this.#sending.set(
      domain,
      mine.catch(() => {}),
    )
    await mine
  }

  async #post(domain: number, bin: Bin | undefined, isLast: boolean): Promise<void> {
    const { comm, aggregators } = this.#parts
    const round = this.#round
    const dest = aggregators[domain] ?? 0
    const { list = new RunList(), data = [], wishes = [] } = bin ?? {}
    const head = encodeRequest({ rank: comm.rank, isLast, ...this.#hull, list })
    const sent = comm.sendBytes([head, ...data], dest, requestTag(round))
    if (wishes.length === 0) return await sent
    const [message] = await Promise.all([comm.recvBytes(dest, answerTag(round)), sent])
    const answer = decoded(comm, () => decodeAnswer(message, list.bytes))
    await giveBack(answer, wishes)
  }
}

async function giveBack({ end, failed, data }: Answer, wishes: Wish[]): Promise<void> {
  let at = 0
  const given: Promise<void>[] = []
  for (const { bytes: wanted, answer } of wishes) {
    given.push(answer({ end, failed, data: data.subarray(at, at + wanted) }))
    at += wanted
  }
  await together(given)
}
