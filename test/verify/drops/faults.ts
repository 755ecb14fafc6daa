// What befalls one frame. Each is done to the first frame of an operation in one direction; after it the
// network is well again, but for the connection that the fault took with it.
import type { Fate } from '../../../lib/transport/loopback.js'

/** The five faults that every operation must bear. */
export const FAULT_KINDS = ['request lost', 'answer lost', 'duplicate', 'late', 'cut'] as const

/** One of them. */
export type FaultKind = (typeof FAULT_KINDS)[number]

/** How one fault is made. */
export interface Fault {
  readonly kind: FaultKind
  /** Whether it befalls the request or its answer. */
  readonly side: 'request' | 'answer'
  /** Between a client or server and a server, where a request has an answer. */
  readonly fate: (lateMs: number) => Fate
  /**
   * Between ranks. A message has no answer, and a rank is never judged by silence: there the kernel ends a
   * connection that has lost something. Undefined where it is no fault of its own.
   */
  readonly among: ((lateMs: number) => Fate) | undefined
}

/** 40 s: until keep-alive of the kernel ends a connection on which nothing gets through. */
const LOST: Fate = { kind: 'silence', endsMs: 40_000 }

const CUT: Fate = { kind: 'cut', delivered: false }
const CUT_BEHIND: Fate = { kind: 'cut', delivered: true }
const TWICE: Fate = { kind: 'deliver', delayMs: 0, copies: 2 }

// Longer than its sender waits; it arrives all the same, in the middle of what came later.
const late = (lateMs: number): Fate => ({ kind: 'deliver', delayMs: lateMs, outlives: true })

/** All of them. A frame that is lost on a connection takes with it all that comes behind it. */
export const FAULTS: readonly Fault[] = [
  {
    kind: 'request lost',
    side: 'request',
    fate: () => LOST,
    among: () => CUT,
  },
  {
    kind: 'answer lost',
    side: 'answer',
    fate: () => LOST,
    among: () => CUT_BEHIND,
  },
  { kind: 'duplicate', side: 'request', fate: () => TWICE, among: () => TWICE },
  { kind: 'duplicate', side: 'answer', fate: () => TWICE, among: undefined },
  { kind: 'late', side: 'request', fate: late, among: late },
  { kind: 'late', side: 'answer', fate: late, among: undefined },
  // No part of a frame is believed before the whole of its header is there.
  { kind: 'cut', side: 'request', fate: () => CUT, among: () => CUT },
  { kind: 'cut', side: 'answer', fate: () => CUT, among: undefined },
]

/** A fault in words. */
export function nameOf({ kind, side }: Fault): string {
  return kind.startsWith(side) ? kind : `${side}: ${kind}`
}
