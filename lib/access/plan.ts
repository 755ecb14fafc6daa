// What ranks tell each other before a collective access, and what follows from it: whether each moves its
// own bytes, aggregators move them in rounds, or rank 0 moves the little there is. Pure: the same
// functions run in a collective, and in the tests that count for a hundred thousand ranks.

import type { Span } from '../driver/driver.js'
import { bytesBefore, type Domains, shareOfWindow, touches, windowSize } from '../layout/domains.js'
import type { Kind } from './move.js'
import type { Failure } from './outcome.js'
import type { SmallAccess } from './small.js'
import {
  COMBINED_BYTES_MAX,
  COMBINED_RANKS_MIN,
  ENTRIES_OF_ALL,
  MESSAGE_BYTES_MAX,
  MESSAGE_BYTES_MIN,
  MESSAGE_ENTRIES_MAX,
  MESSAGE_ENTRIES_MIN,
  PIECES_PER_STRIP,
  PIECE_BYTES_MAX,
  RANKS_MIN,
  SMALL_BYTES_MAX,
  SMALL_BYTES_MAX_ON_HOST,
  SMALL_TOTAL_BYTES,
  SPARSE_ROUNDS_MAX,
} from './thresholds.js'

/** Whether aggregators move bytes for others. */
export type Choice = 'enable' | 'disable' | 'automatic'

/** How the ranks of a file move bytes together; equal on all of them. */
export interface CollectiveSettings {
  /** Ranks that are aggregators, by file domain. */
  readonly aggregators: readonly number[]
  /** Bytes of one round of an aggregator. */
  readonly bufferSize: number
  readonly read: Choice
  readonly write: Choice
  /** Whether the ranks of a host bring together what they send to aggregators of other hosts. */
  readonly combine: Choice
}

/** What some ranks, one behind the other, want moved. */
export interface Opening {
  readonly failure: Failure | undefined
  /** Bytes that are to be moved. */
  readonly bytes: number
  /** File offsets of the first byte and behind the last; of no meaning without bytes. */
  readonly start: number
  readonly end: number
  readonly pieces: number
  /** Messages in which they would be sent to aggregators. */
  readonly messages: number
  /** Whether the spans of ranks reach into each other, or do not rise with the ranks. */
  readonly isInterleaved: boolean
  /** Ranks whose span touches a domain, by domain; missing where nobody's does. */
  readonly touching: Uint32Array | undefined
  /** All that is to be moved, where it is little. */
  readonly small: readonly SmallAccess[] | undefined
}

/** What all ranks do. */
export type Decision =
  | { readonly how: 'failed'; readonly failure: Failure }
  | { readonly how: 'nothing' }
  | { readonly how: 'small'; readonly accesses: readonly SmallAccess[] }
  | { readonly how: 'direct' }
  | Rounds

/** The bytes of all ranks, in rounds. */
export interface Rounds {
  readonly how: 'rounds'
  readonly start: number
  readonly end: number
  readonly touching: Uint32Array
  /** Whether the ranks of a host send to aggregators of other hosts together. */
  readonly isCombined: boolean
}

/** Of a rank without bytes. */
export const NOTHING: Opening = {
  failure: undefined,
  bytes: 0,
  start: 0,
  end: 0,
  pieces: 0,
  messages: 0,
  isInterleaved: false,
  touching: undefined,
  small: [],
}

/** Of a rank without bytes to tell of, where nobody hands any to rank 0. */
export const NOTHING_HANDED: Opening = { ...NOTHING, small: undefined }

/** Whether nothing that others tell makes rank 0, which has told this, move bytes for them. */
export function isNeverSmall({ failure, small }: Opening): boolean {
  return failure !== undefined || small === undefined
}

/**
 * Bytes that one of `ranks`, which are on `hosts` hosts, may hand to rank 0. A read of two is over sooner when each makes its own, at one time,
 * and costs them less (measured: 4 KiB over TCP, .9 of the CPU).
 */
export function smallBytesMax(kind: Kind, ranks: number, hosts: number): number {
  if (ranks === 1 || (kind === 'read' && ranks === 2)) return 0
  const most = kind === 'write' && hosts === 1 ? SMALL_BYTES_MAX_ON_HOST : SMALL_BYTES_MAX[kind]
  return Math.min(most, Math.floor(SMALL_TOTAL_BYTES / ranks))
}

/** What a rank with `bytes` in `span` tells. */
export function openingOf(
  domains: Domains,
  span: Span,
  bytes: number,
  small: SmallAccess | undefined,
  bufferSize: number,
): Opening {
  const { start, end, pieces, isDistinct } = span
  // Whose bytes come twice is no partner of an aggregator: it moves them alone.
  const touching = new Uint32Array(domains.count)
  for (let domain = 0; isDistinct && domain < domains.count; domain++)
    touching[domain] = touches(domains, domain, start, end) ? 1 : 0
  const rounds = new Windows(domains, bufferSize, span).count
  return {
    failure: undefined,
    bytes,
    start,
    end,
    pieces,
    messages: safely(rounds * touching.reduce((sum, count) => sum + count, 0)),
    isInterleaved: false,
    touching,
    small: small === undefined ? undefined : [small],
  }
}

/** What ranks tell together; `openings` in their order. */
export function mergeOpenings(openings: readonly Opening[]): Opening {
  let failure: Failure | undefined
  let [bytes, start, end, pieces, messages] = [0, Number.POSITIVE_INFINITY, 0, 0, 0]
  let isInterleaved = false
  let touching: Uint32Array | undefined
  let small: SmallAccess[] | undefined = []
  // Behind the last byte of the rank before.
  let before = 0
  for (const each of openings) {
    failure ??= each.failure
    if (each.small === undefined) small = undefined
    if (each.bytes === 0) continue
    bytes += each.bytes
    start = Math.min(start, each.start)
    end = Math.max(end, each.end)
    pieces += each.pieces
    messages = safely(messages + each.messages)
    isInterleaved ||= each.isInterleaved || each.start < before
    before = each.end
    touching = sumOf(touching, each.touching)
    if (each.small !== undefined) small?.push(...each.small)
  }
  if (bytes === 0) start = 0
  if (bytes > SMALL_TOTAL_BYTES) small = undefined
  return { failure, bytes, start, end, pieces, messages, isInterleaved, touching, small }
}

/** What follows from what all ranks have told; they are on `hosts` hosts. */
export function decide(
  all: Opening,
  kind: Kind,
  ranks: number,
  domains: Domains,
  settings: CollectiveSettings,
  hosts: number,
): Decision {
  const { failure, bytes, start, end, touching, small } = all
  if (failure !== undefined) return { how: 'failed', failure }
  if (bytes === 0) return { how: 'nothing' }
  const choice = settings[kind]
  if (choice === 'automatic' && small !== undefined && ranks > 1)
    return { how: 'small', accesses: small }
  if (choice === 'disable' || touching === undefined) return { how: 'direct' }
  if (choice === 'automatic' && !isWorthwhile(all, kind, ranks, domains)) return { how: 'direct' }
  if (isTooSparse(all, domains, settings.bufferSize)) return { how: 'direct' }
  return {
    how: 'rounds',
    start,
    end,
    touching,
    isCombined: isCombined(all, kind, ranks, hosts, settings),
  }
}

// Never where all ranks are on one host, or each is alone on its own.
function isCombined(
  { bytes, messages }: Opening,
  kind: Kind,
  ranks: number,
  hosts: number,
  { combine }: CollectiveSettings,
): boolean {
  if (combine === 'disable' || hosts === 1 || hosts === ranks) return false
  if (combine === 'enable') return true
  return ranks >= COMBINED_RANKS_MIN * hosts && bytes <= COMBINED_BYTES_MAX[kind] * messages
}

// Rounds of a byte over a file without end are more than a number can count.
function safely(count: number): number {
  return Math.min(Number.MAX_SAFE_INTEGER, count)
}

/** How large one message to an aggregator may be. */
export interface MessageLimits {
  readonly entriesMax: number
  readonly bytesMax: number
}

/** Of each of `senders`, so that the messages of all have a limit too. */
export function messageLimits(
  { count }: Domains,
  bufferSize: number,
  senders: number,
): MessageLimits {
  return {
    entriesMax: clamp(ENTRIES_OF_ALL / senders, MESSAGE_ENTRIES_MIN, MESSAGE_ENTRIES_MAX),
    bytesMax: clamp(bufferSize / count, MESSAGE_BYTES_MIN, MESSAGE_BYTES_MAX),
  }
}

function clamp(value: number, low: number, high: number): number {
  return Math.floor(Math.min(high, Math.max(low, value)))
}

/** Whether a rank reads its own bytes whatever the others do. */
export function isReadAlone(
  choice: Choice,
  span: Span,
  bytes: number,
  ranks: number,
  domains: Domains,
): boolean {
  if (choice !== 'automatic') return choice === 'disable'
  return !span.isDistinct || !isFine('read', bytes / span.pieces, ranks, domains)
}

function isWorthwhile(
  { isInterleaved, bytes, pieces }: Opening,
  kind: Kind,
  ranks: number,
  domains: Domains,
): boolean {
  return isInterleaved && isFine(kind, bytes / pieces, ranks, domains)
}

// Whether pieces are so small that aggregators do better.
function isFine(kind: Kind, piece: number, ranks: number, { stripSize }: Domains): boolean {
  if (ranks < RANKS_MIN[kind]) return false
  return piece < Math.min(PIECE_BYTES_MAX, stripSize / PIECES_PER_STRIP)
}

// Rounds go over the whole span: a few bytes at its two ends must not take millions of them.
function isTooSparse(
  { start, end, bytes }: Opening,
  domains: Domains,
  bufferSize: number,
): boolean {
  const size = windowSize(domains, bufferSize)
  const rounds = Math.ceil((end - start) / size)
  return rounds > SPARSE_ROUNDS_MAX && rounds > SPARSE_ROUNDS_MAX * (bytes / size)
}

/** One round: the part of the span that lies in its window. */
export interface Window {
  readonly start: number
  readonly end: number
}

/** The windows of a span. */
export class Windows {
  readonly count: number
  readonly #domains: Domains
  readonly #size: number
  readonly #first: number
  readonly #span: Window

  constructor(domains: Domains, bufferSize: number, span: Window) {
    this.#domains = domains
    this.#size = windowSize(domains, bufferSize)
    this.#first = Math.floor(span.start / this.#size)
    this.#span = span
    this.count = Math.ceil(span.end / this.#size) - this.#first
  }

  /** Bytes of a domain that one of them holds, at most. */
  shareOf(domain: number): number {
    const { start, end } = this.#span
    const all = bytesBefore(this.#domains, domain, end) - bytesBefore(this.#domains, domain, start)
    return Math.min(all, shareOfWindow(this.#domains, domain, this.#size))
  }

  /** The window of a round. */
  of(round: number): Window {
    const start = (this.#first + round) * this.#size
    return {
      start: Math.max(this.#span.start, start),
      end: Math.min(this.#span.end, start + this.#size),
    }
  }
}

/**
 * Whether a rank with this span sends its last message of a round to the aggregator of `domain`: in the
 * first round to each that it ever sends to, so that they know its span, then where the window of the
 * round may hold bytes of it. Both ends ask this.
 */
export function sendsTo(
  domains: Domains,
  domain: number,
  span: Window,
  round: number,
  window: Window,
): boolean {
  if (round === 0) return touches(domains, domain, span.start, span.end)
  const start = Math.max(span.start, window.start)
  return touches(domains, domain, start, Math.min(span.end, window.end))
}

// Of ranks by domain; the arrays stay as they are.
function sumOf(
  sum: Uint32Array | undefined,
  more: Uint32Array | undefined,
): Uint32Array | undefined {
  if (sum === undefined || more === undefined) return sum ?? more
  return sum.map((count, domain) => count + (more[domain] ?? 0))
}
