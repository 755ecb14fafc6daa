// The network of a simulated run: delays, cuts and silences by chance, partitions and resets by order.
import type { Direction, Fate, LoopbackFaults } from '../../lib/transport/loopback.js'
import { HEADER_BYTES } from '../../lib/protocol/frame.js'
import { MANAGER } from '../../lib/protocol/manager.js'
import type { Random } from '../support/random.js'
import type { Plan } from './plan.js'
import type { Trace } from './trace.js'

/** What a kernel sends again arrives so much later, at the most. */
const RESENT_MS = 3000

/** How long nobody hears of a machine that has lost its power: a kernel asks at last. */
const DARK_MS = 20_000

/** What is said although nobody wants anything. */
const IDLE_OPS: ReadonlySet<number> = new Set([
  MANAGER.hello.op,
  MANAGER.ping.op,
  MANAGER.heartbeat.op,
])

interface Wall {
  readonly from: string
  readonly to: string
  readonly until: number
}

/** The faults of the network. */
export class SimNetwork implements LoopbackFaults {
  readonly #random: Random
  readonly #clock: { now(): number }
  readonly #trace: Trace
  readonly #rates: Plan['network']
  #walls: Wall[] = []
  readonly #resets = new Set<string>()
  readonly #dark = new Set<string>()
  readonly #waiting = new Set<{
    readonly host: string
    readonly op: number | undefined
    readonly resolve: () => void
  }>()
  readonly #starts = new Map<string, { asked: boolean; committed: boolean }>()
  /** Opens that clients have asked for again, but for ranks of jobs that end: one closes while another still syncs. */
  reopens = 0
  readonly #broken = new Set<string>()
  #isWell = true
  #trap: { readonly host: string; readonly op: number; readonly forMs: number } | undefined

  constructor(rates: Plan['network'], random: Random, clock: { now(): number }, trace: Trace) {
    this.#rates = rates
    this.#random = random
    this.#clock = clock
    this.#trace = trace
  }

  /** A rank of a job, whose hosts have names that begin so, has died: the job ends. */
  breaks(hosts: string): void {
    this.#broken.add(hosts)
  }

  /** From now on it is as bad as planned. */
  spoil(): void {
    this.#isWell = false
  }

  /** From now on nothing goes wrong. */
  heal(): void {
    this.#isWell = true
    this.#walls = []
  }

  /** Nothing passes from one host to another for a while. */
  wall(from: string, to: string, forMs: number): void {
    this.#walls.push({ from, to, until: this.#clock.now() + forMs })
  }

  /** Every connection of a host ends with the next frame on it, for the rest of this moment. */
  reset(host: string): void {
    this.#resets.add(host)
  }

  /** The next request of this kind arrives, and its connection ends before it is answered. */
  loseAnswer(host: string, op: number): void {
    this.#trap = { host, op, forMs: 0 }
  }

  /** With the next request of this kind nothing passes any more from its sender to this host, for a while. */
  wallAt(host: string, op: number, forMs: number): void {
    this.#trap = { host, op, forMs }
  }

  /** The resets are over. */
  calm(): void {
    this.#resets.clear()
  }

  /** The machine of a host is without power: nobody is told of the end of its connections. */
  dark(host: string, isDark: boolean): void {
    if (isDark) this.#dark.add(host)
    else this.#dark.delete(host)
  }

  fate(direction: Direction, header: Uint8Array): Fate {
    const { from, to } = endsOf(direction)
    if (direction.request) {
      if (to === 'manager') this.#watch(from, header[0])
      this.#tellAsked(to, header[0] ?? 0)
    }
    const fate = this.#fateOf(direction, from, to, header[0] ?? 0)
    this.#trace.count(`${from}>${to} ${header[0]} ${fate.kind}`)
    return fate
  }

  refuse(from: string, to: string): Error | 'silence' | undefined {
    const host = hostOf(to)
    // An attempt to ask counts.
    if (host === 'manager') this.#watch(from, MANAGER.sync.op)
    if (this.#heldUntil(from, host) > 0 || this.#heldUntil(host, from) > 0) return 'silence'
    if (this.#isWell || areRanks(from, host)) return undefined
    const isRefused = this.#random.chance(this.#rates.refuse)
    return isRefused ? new Error('refused by chance') : undefined
  }

  endDelayMs(direction: Direction): number {
    const { from, to } = endsOf(direction)
    if (this.#dark.has(from)) return DARK_MS
    const held = this.#heldUntil(from, to)
    return held > 0 ? held + this.#random.fraction() * RESENT_MS : this.#delayMs()
  }

  /** Resolves when somebody asks a host for something: this operation, or any that is no heartbeat. */
  async asked(host: string, op?: number): Promise<void> {
    await new Promise<void>((resolve) => this.#waiting.add({ host, op, resolve }))
  }

  /** What an iod has asked of the manager since its start. */
  startOf(host: string): { readonly asked: boolean; readonly committed: boolean } {
    return this.#starts.get(host) ?? { asked: false, committed: false }
  }

  /** An iod is started. */
  starts(host: string): void {
    this.#starts.delete(host)
  }

  #tellAsked(host: string, op: number): void {
    for (const waiting of this.#waiting) {
      const isMeant = waiting.op === undefined ? !IDLE_OPS.has(op) : waiting.op === op
      if (waiting.host !== host || !isMeant) continue
      this.#waiting.delete(waiting)
      waiting.resolve()
    }
  }

  #watch(from: string, op: number | undefined): void {
    const isBroken = this.#broken.has(from.slice(0, from.lastIndexOf('-') + 1))
    if (op === MANAGER.reopen.op && !from.startsWith('iod') && !isBroken) this.reopens++
    if (op !== MANAGER.sync.op && op !== MANAGER.commit.op && op !== 1) return
    const start = this.#starts.get(from) ?? { asked: false, committed: false }
    if (op === MANAGER.commit.op) start.committed = true
    else start.asked = true
    this.#starts.set(from, start)
  }

  #isTrapped({ request }: Direction, to: string, op: number): boolean {
    return request && this.#trap?.host === to && this.#trap.op === op
  }

  #fateOf(direction: Direction, from: string, to: string, op: number): Fate {
    const held = this.#heldUntil(from, to)
    if (held > 0) return { kind: 'deliver', delayMs: held + this.#random.fraction() * RESENT_MS }
    if (!this.#isWell && this.#isTrapped(direction, to, op)) {
      const forMs = this.#trap?.forMs ?? 0
      this.#trap = undefined
      if (forMs === 0) return { kind: 'cut', delivered: true }
      this.wall(from, to, forMs)
      return { kind: 'deliver', delayMs: forMs + this.#random.fraction() * RESENT_MS }
    }
    const delayMs = this.#delayMs()
    if (this.#isWell || areRanks(from, to)) return { kind: 'deliver', delayMs }
    const isReset = this.#resets.has(direction.from) || this.#resets.has(hostOf(direction.to))
    const { cut, halfOpen, split, flip } = this.#rates
    if (isReset || this.#random.chance(cut)) return { kind: 'cut', delivered: this.#share() }
    if (this.#random.chance(halfOpen)) return { kind: 'silence', endsMs: DARK_MS }
    return {
      kind: 'deliver',
      delayMs,
      ...(this.#random.chance(split) ? { split: this.#split() } : {}),
      // Memory is believed: within a host there are no checksums.
      ...(!direction.isLocal && this.#random.chance(flip)
        ? { flip: this.#random.int(0, HEADER_BYTES * 8 * 8) }
        : {}),
    }
  }

  // All, nothing, or some of a body.
  #share(): boolean | number {
    const kind = this.#random.int(0, 2)
    return kind === 2 ? this.#random.int(0, 8192) : kind === 1
  }

  #split(): { readonly bytes: number; readonly restMs: number } {
    const bytes = this.#random.pick([0, 0, 24, 100, 1000, 5000])
    return { bytes, restMs: this.#random.int(1, 2000) }
  }

  #delayMs(): number {
    const { delayMs } = this.#rates
    return delayMs === 0 ? 0 : Math.floor(this.#random.fraction() * delayMs * 1000) / 1000
  }

  // Milliseconds for which nothing passes; 0 where all does.
  #heldUntil(from: string, to: string): number {
    const now = this.#clock.now()
    this.#walls = this.#walls.filter(({ until }) => until > now)
    let held = 0
    for (const wall of this.#walls)
      if (wall.from === from && wall.to === to) held = Math.max(held, wall.until - now)
    return held
  }
}

/** The hosts between which a frame goes. */
function endsOf({ from, to, request }: Direction): { readonly from: string; readonly to: string } {
  const host = hostOf(to)
  return request ? { from, to: host } : { from: host, to: from }
}

function hostOf(address: string): string {
  return address.slice(0, address.lastIndexOf(':'))
}

// Ranks among each other: what ends a connection there is the death of a rank, which is a fault of its own.
function areRanks(from: string, to: string): boolean {
  return from.startsWith('rank') && to.startsWith('rank')
}
