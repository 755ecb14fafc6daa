// Matching of messages that have arrived with receives that were called: by context, source and tag,
// in order on both sides, as in MPI. What nobody wants yet waits here.

import { RecentMap } from '../base/recent.js'
import { type Deferred, deferred } from '../base/deferred.js'
import { LIMITS } from '../protocol/limits.js'
import type { Incoming, Message, Wanted } from './port.js'

interface Posted {
  readonly source: Wanted
  readonly tag: Wanted
  readonly done: Deferred<Incoming>
}

interface Box {
  readonly posted: Posted[]
  readonly waiting: Incoming[]
  hear: ((incoming: Incoming) => void) | undefined
}

/** The messages of one rank. */
export class Mailbox {
  readonly #boxes = new Map<number, Box>()
  // Contexts are never used again, and a free is a barrier: what comes late comes soon.
  readonly #closed = new RecentMap<number, Error>(LIMITS.contextsRemembered)
  #ended: Error | undefined

  /** Messages that nobody has asked for. */
  get waiting(): number {
    let count = 0
    for (const { waiting } of this.#boxes.values()) count += waiting.length
    return count
  }

  /** Why a context takes no messages any more, or undefined. */
  closedBy(context: number): Error | undefined {
    return this.#ended ?? this.#closed.get(context)
  }

  /** A message has come. */
  arrive(context: number, incoming: Incoming): void {
    if (this.closedBy(context) !== undefined) {
      incoming.drop()
      return
    }
    const box = this.#box(context)
    if (box.hear !== undefined) {
      box.hear(incoming)
      return
    }
    const index = box.posted.findIndex((posted) => matches(posted, incoming))
    if (index < 0) box.waiting.push(incoming)
    else box.posted.splice(index, 1)[0]?.done.resolve(incoming)
  }

  /** As `Port.recv`. `lost` tells why a source can send nothing more. */
  async recv(
    source: Wanted,
    context: number,
    tag: Wanted,
    lost: (source: number) => Error | undefined,
    isLent: boolean = false,
  ): Promise<Message> {
    const closed = this.closedBy(context)
    if (closed !== undefined) throw closed
    const box = this.#box(context)
    const index = box.waiting.findIndex((incoming) => matches({ source, tag }, incoming))
    const incoming = index < 0 ? undefined : box.waiting.splice(index, 1)[0]
    if (incoming !== undefined) return await received(incoming, isLent)
    const error = source === 'any' ? undefined : lost(source)
    if (error !== undefined) throw error
    const done = deferred<Incoming>()
    box.posted.push({ source, tag, done })
    return await received(await done.promise, isLent)
  }

  /** All messages of a context go to `hear`, those that wait first. */
  listen(context: number, hear: (incoming: Incoming) => void): void {
    if (this.closedBy(context) !== undefined) return
    const box = this.#box(context)
    box.hear = hear
    for (const incoming of box.waiting.splice(0)) hear(incoming)
  }

  /** Nothing of a context is wanted any more. */
  forget(context: number, error: Error): void {
    if (this.#closed.has(context)) return
    this.#closed.set(context, error)
    const box = this.#boxes.get(context)
    this.#boxes.delete(context)
    if (box !== undefined) empty(box, error)
  }

  /** Receives that only `source` could serve reject. */
  lose(source: number, error: Error): void {
    for (const box of this.#boxes.values()) {
      for (let i = box.posted.length - 1; i >= 0; i--) {
        if (box.posted[i]?.source === source) box.posted.splice(i, 1)[0]?.done.reject(error)
      }
    }
  }

  /** Nothing at all is wanted any more. */
  end(error: Error): void {
    this.#ended ??= error
    for (const box of this.#boxes.values()) empty(box, error)
    this.#boxes.clear()
  }

  #box(context: number): Box {
    const known = this.#boxes.get(context)
    if (known !== undefined) return known
    const box: Box = { posted: [], waiting: [], hear: undefined }
    this.#boxes.set(context, box)
    return box
  }
}

function matches(wanted: Pick<Posted, 'source' | 'tag'>, incoming: Incoming): boolean {
  if (wanted.source !== 'any' && wanted.source !== incoming.source) return false
  return wanted.tag === 'any' || wanted.tag === incoming.tag
}

async function received(incoming: Incoming, isLent: boolean): Promise<Message> {
  const { source, tag, head } = incoming
  const lent = isLent ? incoming.borrow?.() : undefined
  if (lent !== undefined) {
    const { bytes, giveBack } = lent instanceof Promise ? await lent : lent
    return { source, tag, head, body: bytes, giveBack }
  }
  const body = await incoming.take()
  // A program gets memory that holds nothing else.
  return { source, tag, head, body: body.byteOffset === 0 ? body : body.slice() }
}

function empty(box: Box, error: Error): void {
  for (const { done } of box.posted.splice(0)) done.reject(error)
  for (const incoming of box.waiting.splice(0)) incoming.drop()
}
