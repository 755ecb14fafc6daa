// Two-phase collective access: ranks exchange bytes with aggregators, each of which moves the bytes of one
// file domain. In rounds: what an aggregator holds at a time is bounded, whatever the access.
//
// After Thakur, Gropp and Lusk, "Data Sieving and Collective I/O in ROMIO" (Frontiers '99), with file
// domains along the strips: Chen et al., "LACIO" (IPDPS '11).

import { RunCursor, RunList, sourceOf } from '../base/regions.js'
import { together } from '../base/together.js'
import { longMemory } from '../comm/message-memory.js'
import { copyRuns, gatherRuns, scatterRuns } from '../datatype/pack.js'
import { fileOffsetIn } from '../layout/domains.js'
import type { PartAccess } from '../layout/split.js'
import type { Aggregator } from './aggregator.js'
import {
  type Answer,
  answerBytes,
  answerTag,
  decodeAnswer,
  decoded,
  makeAnswer,
} from './exchange.js'
import type { OwnSide } from './combiner.js'
import { Exchange, inRounds, type Received, type TwoPhaseParts } from './rounds.js'

/** Memory regions shorter than this on average are gathered before they are sent. */
const SLICE_BYTES_MIN = 16 * 1024

/** Answers of an aggregator that are on their way: each holds a copy of what it brings. */
const ANSWERS_OUT = 4

const NOTHING = new Uint8Array(0)

/** Writes the bytes of all ranks; each calls it. Rejects after the last round with what has failed on this rank. */
export async function writeInRounds(parts: TwoPhaseParts): Promise<undefined> {
  await inRounds(parts, () => new Writing(parts))
  return undefined
}

/**
 * Reads the bytes of all ranks; each calls it. Resolves with the file offset at which this rank has seen
 * data to end, infinite if nowhere; memory for what lies behind it is not touched.
 */
export async function readInRounds(parts: TwoPhaseParts): Promise<number> {
  const { end } = await inRounds(parts, () => new Reading(parts))
  return end
}

class Writing extends Exchange {
  protected readonly isAnswered = false

  protected async sendTo(part: PartAccess, isLast: boolean): Promise<void> {
    const { parts, giveBack } = payloadOf(this.buffer, part)
    await this.post(part.part, part.local, isLast, parts)
    giveBack()
  }

  protected async sendHere(aggregator: Aggregator, { local, memory }: PartAccess): Promise<void> {
    aggregator.putFrom(this.buffer, memory, movedBy(local, -aggregator.base))
  }

  protected ownSide(): OwnSide {
    return {
      isAnswered: this.isAnswered,
      outgoing: ({ memory }) => {
        const data = new Uint8Array(memory.bytes)
        gatherRuns(this.buffer, memory, data)
        return data
      },
      incoming: () => {},
      fail: (error) => this.fail(error),
    }
  }

  protected handedOver(): void {}

  protected take(aggregator: Aggregator, { list, data }: Received): void {
    aggregator.put(list, data)
  }

  protected heardAll(): void {}

  // The next round fills another window while this one is written.
  protected async endRound(aggregator: Aggregator): Promise<void> {
    await aggregator.write()
  }
}

/** What a rank wants of an aggregator. */
interface Wish {
  /** Offsets of the window. */
  readonly list: RunList
  /** Gives what was read; `end` is where in the window data end. */
  readonly answer: (end: number) => Promise<void>
}

class Reading extends Exchange {
  /** File offset at which this rank has seen data to end. */
  end = Number.POSITIVE_INFINITY
  protected readonly isAnswered = true
  #wishes: Wish[] = []
  #isOthersAll = false
  #isOwnAll = false
  #serving: Promise<void> = Promise.resolve()

  protected async sendTo(part: PartAccess, isLast: boolean): Promise<void> {
    const { comm, settings } = this.parts
    const dest = settings.aggregators[part.part] ?? 0
    // Received at once, so that an aggregator never waits for a rank that waits for another one.
    const [answer] = await Promise.all([
      comm.borrowBytes(dest, answerTag(this.round)),
      this.post(part.part, part.local, isLast, []),
    ])
    this.#place(
      part,
      decoded(comm, () => decodeAnswer(answer.bytes, part.bytes)),
    )
    answer.giveBack()
  }

  protected async sendHere(
    aggregator: Aggregator,
    part: PartAccess,
    isLast: boolean,
  ): Promise<void> {
    const list = movedBy(part.local, -aggregator.base)
    const answer = async (end: number): Promise<void> => {
      if (aggregator.failure === undefined) this.#placeOwn(part, aggregator, list, end)
    }
    this.#wish(aggregator, { list, answer }, !isLast)
    // The last one comes when all others were heard, which may fail: it is the end of the round that waits for it.
    if (!isLast) await this.#serving
  }

  protected ownSide(): OwnSide {
    return {
      isAnswered: this.isAnswered,
      outgoing: () => NOTHING,
      incoming: (part, answer) => this.#place(part, answer),
      fail: (error) => this.fail(error),
    }
  }

  protected handedOver(): void {
    this.#isOwnAll = true
    if (this.aggregator !== undefined) this.#serve(this.aggregator, false)
  }

  protected heardAll(aggregator: Aggregator): void {
    this.#isOthersAll = true
    this.#serve(aggregator, false)
  }

  protected take(aggregator: Aggregator, received: Received): void {
    const { rank, list, isLast } = received
    const { base } = aggregator
    const tag = answerTag(this.round)
    const answer = async (end: number): Promise<void> => {
      const failed = aggregator.failure !== undefined
      const bytes = failed ? 0 : list.bytes
      const block = longMemory.take(answerBytes(bytes))
      const { data, message } = makeAnswer(end + base, failed, bytes, block)
      if (!failed) gatherRuns(aggregator.memory, list, data)
      await this.parts.comm.sendBytes([message], rank, tag)
      longMemory.give(block)
    }
    if (list.bytes > 0) this.#wish(aggregator, { list, answer }, !isLast)
  }

  protected async endRound(): Promise<void> {
    await this.#serving
    this.#isOthersAll = false
    this.#isOwnAll = false
  }

  #wish(aggregator: Aggregator, wish: Wish, isUrgent: boolean): void {
    this.#wishes.push(wish)
    this.#serve(aggregator, isUrgent)
  }

  // All wishes of a round are one read. Only a rank that has more of them than fit into a message is served
  // before: it goes on when it has its answer, and others may wait for what it then sends.
  #serve(aggregator: Aggregator, isUrgent: boolean): void {
    if (this.#wishes.length === 0) return
    if (!isUrgent && !(this.#isOthersAll && this.#isOwnAll)) return
    const wishes = this.#wishes.splice(0)
    this.#serving = this.#serving.then(async () => {
      const end = await aggregator.read(wishes.map(({ list }) => list))
      const lane = async (): Promise<void> => {
        for (let wish = wishes.shift(); wish !== undefined; wish = wishes.shift())
          await wish.answer(end).catch((error: unknown) => this.fail(error))
      }
      await together(Array.from({ length: ANSWERS_OUT }, lane))
    })
  }

  // Without a copy between the window and the buffer.
  #placeOwn(part: PartAccess, aggregator: Aggregator, list: RunList, end: number): void {
    const { base, memory } = aggregator
    if (end === Number.POSITIVE_INFINITY) copyRuns(memory, list, this.buffer, part.memory)
    else this.#place(part, { end: end + base, failed: false, data: gathered(memory, list) })
  }

  #place({ part, local, memory }: PartAccess, { end, failed, data }: Answer): void {
    if (failed) return
    if (end === Number.POSITIVE_INFINITY) {
      scatterRuns(data, 0, this.buffer, memory)
      return
    }
    this.end = Math.min(this.end, fileOffsetIn(this.parts.domains, part, end))
    const { buffer } = this
    const there = new RunCursor(sourceOf(local))
    const here = new RunCursor(sourceOf(memory))
    for (let at = 0; !there.done; ) {
      const length = Math.min(there.left, here.left)
      const below = Math.max(0, Math.min(length, end - there.offset))
      buffer.set(data.subarray(at, at + below), here.offset)
      at += length
      there.advance(length)
      here.advance(length)
    }
  }
}

/** What is sent, and what to call when it was: what could not be may still be read. */
interface Payload {
  readonly parts: readonly Uint8Array[]
  readonly giveBack: () => void
}

function payloadOf(buffer: Uint8Array, { memory }: PartAccess): Payload {
  if (memory.pieces > 1 && memory.bytes / memory.pieces < SLICE_BYTES_MIN) {
    const block = longMemory.take(memory.bytes)
    const data = block.subarray(0, memory.bytes)
    gatherRuns(buffer, memory, data)
    return { parts: [data], giveBack: () => longMemory.give(block) }
  }
  const parts: Uint8Array[] = []
  for (const { offset, length } of memory.regions())
    parts.push(buffer.subarray(offset, offset + length))
  return { parts, giveBack: () => {} }
}

function gathered(from: Uint8Array, list: RunList): Uint8Array {
  if (list.pieces === 1) return from.subarray(list.start(0), list.start(0) + list.bytes)
  const whole = new Uint8Array(list.bytes)
  gatherRuns(from, list, whole)
  return whole
}

function movedBy(list: RunList, shift: number): RunList {
  const moved = new RunList(list.entries)
  for (let i = 0; i < list.entries; i++) moved.addFrom(list, i, shift)
  return moved
}
