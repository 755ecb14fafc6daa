// A world in which one operation is done once while one of its frames meets a fault. The real servers and
// the real client, on a virtual clock.
import * as assert from 'uvu/assert'
import { isIoError } from '../../../lib/base/errors.js'
import type { Direction, Fate } from '../../../lib/transport/loopback.js'
import { type Opening, pattern, readAt, type SimOpen, World, writeAt } from '../../sim/world.js'
import type { Fault } from './faults.js'

/** What is played: does the operation once, by `act`, and looks at what has become of it, also when all is late. */
export interface Case {
  /** Who connects, where several may. */
  readonly from?: RegExp
  readonly run: (scene: Scene) => Promise<void>
}

/** The wires, by who listens. */
export const WIRES = { manager: /^manager:/, iod: /^iod-\d+:/, ranks: /^rank-\d+:/ } as const

/** The name of a wire. */
export type Wire = keyof typeof WIRES

/** One operation on a wire. */
export interface Target {
  readonly wire: Wire
  readonly name: string
  readonly op: number
}

/** Bytes of the files that are played with: ten strips. */
export const FILE_BYTES = 40_000

/** The world of one case. */
export class Scene {
  readonly world: World
  readonly #target: Target
  readonly #fault: Fault
  readonly #from: RegExp | undefined
  #isArmed = false
  #hits = 0
  /** Asked first for every frame. */
  also: (direction: Direction, op: number) => Fate | undefined = () => undefined

  /** Plays a case with one fault; rejects with what is not as it should be. */
  static async play(target: Target, fault: Fault, { from, run }: Case): Promise<void> {
    await using world = await World.start({ iods: 2 })
    const scene = new Scene(world, target, fault, from)
    await run(scene)
    assert.ok(scene.#hits > 0, `no ${fault.side} of ${target.name} was sent`)
  }

  private constructor(world: World, target: Target, fault: Fault, from: RegExp | undefined) {
    this.world = world
    this.#target = target
    this.#fault = fault
    this.#from = from
    world.frames((direction, op) => this.also(direction, op) ?? this.#fateOf(direction, op))
  }

  /** After this time whatever is late has arrived: beyond the deadline of every operation. */
  get lateMs(): number {
    const { operationMs, silenceMs } = this.world.timing
    return operationMs + silenceMs
  }

  /** Lets time pass until `promise` has settled. */
  async run<Value>(promise: Promise<Value>): Promise<Value> {
    return await this.world.run(promise)
  }

  /** Does the operation, with the fault; it must end within its deadline. */
  async act<Value>(work: () => Promise<Value>): Promise<Value> {
    const { clock } = this.world.sim
    const from = clock.now()
    this.#isArmed = true
    try {
      return await this.run(work())
    } finally {
      const ms = clock.now() - from
      assert.ok(ms <= this.lateMs, `it ended after ${ms} ms`)
    }
  }

  /** Lets all arrive that is still under way. */
  async late(): Promise<void> {
    await this.world.sim.clock.advance(this.lateMs)
    await this.agreed()
  }

  /** Lets servers find together; then iods and manager know the same opens, and nothing was reopened. */
  async agreed(): Promise<void> {
    await this.world.quiet()
    await this.world.expectAgreement()
    assert.is((await this.run(this.world.status())).reopens, 0, 'reopens')
  }

  /** Opens a file of a client of its own; makes it unless it is there. */
  async opened(path = '/f', options: Opening = {}): Promise<SimOpen> {
    return await this.run(this.world.open(this.world.client(), path, { firstIod: 0, ...options }))
  }

  /** Writes all of a file, and expects that it then reads as it was written. */
  async written(open: SimOpen, seed: number): Promise<void> {
    await this.run(writeAt(open, 0, pattern(FILE_BYTES, seed)))
    await this.reads(open, seed)
  }

  /** Expects a file as `written` leaves it. */
  async reads(open: SimOpen, seed: number): Promise<void> {
    const bytes = await this.run(readAt(open, 0, FILE_BYTES + 1))
    assert.equal(Buffer.from(bytes), Buffer.from(pattern(FILE_BYTES, seed)), 'bytes of the file')
  }

  /** The names at the top. */
  async names(): Promise<string[]> {
    return await this.run(this.world.names())
  }

  /** Expects so many opens, in every table and in the store. */
  async opens(count: number): Promise<void> {
    await this.agreed()
    assert.is((await this.run(this.world.records())).length, count, 'open records')
  }

  #fateOf({ from, to, request }: Direction, op: number): Fate | undefined {
    const { wire } = this.#target
    if (!this.#isArmed || this.#hits > 0 || op !== this.#target.op) return undefined
    if (!WIRES[wire].test(to) || this.#from?.test(from) === false) return undefined
    if (wire !== 'ranks' && request !== (this.#fault.side === 'request')) return undefined
    this.#hits++
    return wire === 'ranks' ? this.#fault.among?.(this.lateMs) : this.#fault.fate(this.lateMs)
  }
}

/** No network gives a hello twice on one connection. That is a breach: told by name, and the next try is served. */
export async function unlessRefused(work: () => Promise<void>): Promise<void> {
  try {
    await work()
  } catch (error) {
    if (!isIoError(error) || error.context.reason !== 'PROTOCOL') throw error
    await work()
  }
}
