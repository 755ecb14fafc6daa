// Breadth-first search over all worlds that can be reached. A world is kept as a row of numbers, one for each
// of its parts: equal parts have equal numbers, so rows are compared instead of worlds, and a million take some
// tens of megabytes.

import { assert } from '../../lib/base/assert.js'
import { seededRandom } from '../sim/random.js'
import { canonical } from './canonical.js'
import { movesOf } from './moves.js'
import { type Property, violationsOf } from './properties.js'
import type { Setup, World } from './world.js'

/** What a search has found. */
export interface Found {
  readonly states: number
  /** Worlds in which nothing happens by itself any more. */
  readonly atRest: number
  /** Moves of the longest of the shortest ways to a world. */
  readonly depth: number
  /** Whether every world that can be reached was looked at. */
  readonly isComplete: boolean
  readonly ms: number
  /** For each property that is violated a shortest way to a violation. */
  readonly violations: ReadonlyMap<Property, readonly string[]>
}

/** Where to stop. */
export interface Limits {
  readonly states: number
  /** Stop as soon as all of these are violated; none: search everything. */
  readonly until: readonly Property[]
}

/** Searches all worlds that can be reached from `first`, or as many as the limits allow. */
export function explore(setup: Setup, first: World, limits: Limits): Found {
  return new Search(setup, first, limits).run()
}

/**
 * Walks at random through worlds that are too many to be searched, again and again from the beginning: up to
 * `moves` moves, then whatever happens by itself until nothing does. The same seed walks the same ways.
 */
export function walk(
  setup: Setup,
  first: World,
  options: { readonly states: number; readonly seed: number; readonly moves: number },
): Found {
  const started = performance.now()
  const random = seededRandom(options.seed)
  const fraction = (): number => random.fraction()
  const violations = new Map<Property, readonly string[]>()
  let states = 0
  let atRest = 0
  let depth = 0
  while (states < options.states && violations.size === 0) {
    let world = canonical(first)
    const way: string[] = []
    for (let next: Move | undefined; ; world = next.to, way.push(next.label)) {
      const moves = allMoves(setup, world)
      const progress = moves.filter(({ isProgress }) => isProgress)
      states++
      for (const property of violationsOf(setup, world, progress.length === 0))
        if (!violations.has(property)) violations.set(property, [...way])
      next = pick(way.length < options.moves && fraction() < FREEDOM ? moves : progress, fraction)
      if (next === undefined || violations.size > 0) break
    }
    atRest++
    depth = Math.max(depth, way.length)
  }
  const ms = performance.now() - started
  return { states, atRest, depth, isComplete: false, ms, violations }
}

/** How often a walk takes any move, instead of one that happens by itself. */
const FREEDOM = 0.5

interface Move {
  readonly label: string
  readonly isProgress: boolean
  readonly to: World
}

function allMoves(setup: Setup, world: World): Move[] {
  const moves: Move[] = []
  movesOf(setup, world, (label, isProgress, change) => {
    const to = after(world, change)
    if (!isSame(to, world)) moves.push({ label, isProgress, to })
  })
  return moves
}

function pick<T>(list: readonly T[], fraction: () => number): T | undefined {
  return list[Math.floor(fraction() * list.length)]
}

function isSame(one: World, other: World): boolean {
  return JSON.stringify(one) === JSON.stringify(other)
}

class Search {
  readonly #setup: Setup
  readonly #limits: Limits
  readonly #parts: Parts
  readonly #rows: Rows
  readonly #parents = new Numbers()
  readonly #depths = new Numbers()
  readonly #restful: number[] = []
  // Moves that happen by themselves, from and to.
  readonly #from = new Numbers()
  readonly #to = new Numbers()
  readonly #violated = new Map<Property, number>()

  constructor(setup: Setup, first: World, limits: Limits) {
    this.#setup = setup
    this.#limits = limits
    this.#parts = new Parts(first.sites.length)
    this.#rows = new Rows(this.#parts.width)
    this.#enter(canonical(first), -1)
  }

  run(): Found {
    const started = performance.now()
    let next = 0
    while (next < this.#rows.count && !this.#isEnough) this.#expand(next++)
    const isComplete = next === this.#rows.count
    if (isComplete) this.#findLivelock()
    return {
      states: this.#rows.count,
      atRest: this.#restful.length,
      depth: this.#depths.at(this.#rows.count - 1),
      isComplete,
      ms: performance.now() - started,
      violations: new Map(
        [...this.#violated].map(([property, state]) => [property, this.#wayTo(state)]),
      ),
    }
  }

  get #isEnough(): boolean {
    const { states, until } = this.#limits
    if (this.#rows.count >= states) return true
    return until.length > 0 && until.every((property) => this.#violated.has(property))
  }

  #expand(state: number): void {
    const world = this.#worldOf(state)
    let isAtRest = true
    movesOf(this.#setup, world, (_, isProgress, change) => {
      const to = this.#enter(after(world, change), state)
      if (!isProgress || to === state) return
      isAtRest = false
      this.#from.push(state)
      this.#to.push(to)
    })
    if (isAtRest) this.#restful.push(state)
    for (const property of violationsOf(this.#setup, world, isAtRest))
      if (!this.#violated.has(property)) this.#violated.set(property, state)
  }

  #enter(world: World, parent: number): number {
    const state = this.#rows.enter(this.#parts.numbersOf(world))
    if (state === this.#parents.count) {
      this.#parents.push(parent)
      this.#depths.push(parent < 0 ? 0 : this.#depths.at(parent) + 1)
    }
    return state
  }

  #worldOf(state: number): World {
    return this.#parts.worldOf(this.#rows.row(state))
  }

  // From each world some way of moves that happen by themselves must lead to rest.
  #findLivelock(): void {
    const count = this.#rows.count
    const isReached = new Uint8Array(count)
    const into = groupedBy(this.#to, count)
    const queue = [...this.#restful]
    for (const state of queue) isReached[state] = 1
    for (let state = queue.pop(); state !== undefined; state = queue.pop()) {
      for (let at = into.starts[state] ?? 0; at < (into.starts[state + 1] ?? 0); at++) {
        const source = this.#from.at(into.edges[at] ?? 0)
        if (isReached[source] === 1) continue
        isReached[source] = 1
        queue.push(source)
      }
    }
    const stuck = isReached.indexOf(0)
    if (stuck >= 0) this.#violated.set('LIVELOCK', stuck)
  }

  #wayTo(state: number): string[] {
    const way: string[] = []
    for (let to = state; this.#parents.at(to) >= 0; to = this.#parents.at(to)) {
      const world = this.#worldOf(this.#parents.at(to))
      let label = 'an unknown move'
      movesOf(this.#setup, world, (name, _, change) => {
        const row = this.#parts.numbersOf(after(world, change))
        if (this.#rows.enter(row) === to) label = name
      })
      way.unshift(label)
    }
    return way
  }
}

/** The world after a move. */
function after(
  world: World,
  change: (w: { -readonly [Name in keyof World]: World[Name] }) => void,
): World {
  const next = { ...world }
  change(next)
  return canonical(next)
}

// Equal parts of worlds have equal numbers.
class Parts {
  readonly width: number
  readonly #iods: number
  readonly #byText = new Map<string, number>()
  readonly #byObject = new WeakMap<object, number>()
  readonly #objects: object[] = []
  readonly #row: Int32Array
  readonly #dead = { dead: true }

  constructor(iods: number) {
    this.#iods = iods
    this.width = 4 + 4 * iods
    this.#row = new Int32Array(this.width)
  }

  numbersOf(world: World): Int32Array {
    const row = this.#row
    row[0] = this.#numberOf(world.clients)
    row[1] = this.#numberOf(world.manager ?? this.#dead)
    row[2] = this.#numberOf(world.disk)
    row[3] = this.#numberOf(world.facts)
    for (let iod = 0, to = 4; iod < this.#iods; iod++) {
      row[to++] = this.#numberOf(world.views[iod] ?? this.#dead)
      row[to++] = this.#numberOf(world.sites[iod] ?? this.#dead)
      row[to++] = this.#numberOf(world.wires[iod] ?? this.#dead)
      row[to++] = this.#numberOf(world.talks[iod] ?? this.#dead)
    }
    return row
  }

  // The casts give back what `numbersOf` was given for the same place.
  worldOf(row: Int32Array): World {
    const manager = this.#objectOf(row, 1)
    const views: object[] = []
    const sites: object[] = []
    const wires: object[] = []
    const talks: object[] = []
    for (let iod = 0; iod < this.#iods; iod++) {
      if (manager !== this.#dead) views.push(this.#objectOf(row, 4 + 4 * iod))
      sites.push(this.#objectOf(row, 5 + 4 * iod))
      wires.push(this.#objectOf(row, 6 + 4 * iod))
      talks.push(this.#objectOf(row, 7 + 4 * iod))
    }
    const world: unknown = {
      clients: this.#objectOf(row, 0),
      manager: manager === this.#dead ? undefined : manager,
      disk: this.#objectOf(row, 2),
      facts: this.#objectOf(row, 3),
      views,
      sites,
      wires,
      talks,
    }
    return world as World
  }

  #objectOf(row: Int32Array, at: number): object {
    const object = this.#objects[row[at] ?? -1]
    assert(object !== undefined, 'a part without a number')
    return object
  }

  #numberOf(part: object): number {
    const known = this.#byObject.get(part)
    if (known !== undefined) return known
    const text = JSON.stringify(part)
    let number = this.#byText.get(text)
    if (number === undefined) {
      number = this.#objects.length
      this.#byText.set(text, number)
      this.#objects.push(part)
    }
    this.#byObject.set(part, number)
    return number
  }
}

// A list of numbers that grows.
class Numbers {
  count = 0
  #values = new Int32Array(1 << 16)

  push(value: number): void {
    if (this.count === this.#values.length) {
      const larger = new Int32Array(this.count * 2)
      larger.set(this.#values)
      this.#values = larger
    }
    this.#values[this.count++] = value
  }

  at(index: number): number {
    return this.#values[index] ?? 0
  }
}

// A set of rows of numbers, in the order in which they came.
class Rows {
  count = 0
  readonly #width: number
  #values: Int32Array
  #table = new Int32Array(1 << 17).fill(-1)

  constructor(width: number) {
    this.#width = width
    this.#values = new Int32Array(width << 14)
  }

  row(index: number): Int32Array {
    return this.#values.subarray(index * this.#width, (index + 1) * this.#width)
  }

  /** The place of a row, a new one at the end if it was not there. */
  enter(row: Int32Array): number {
    const mask = this.#table.length - 1
    let place = hashOf(row) & mask
    for (let known = this.#table[place] ?? -1; known >= 0; known = this.#table[place] ?? -1) {
      if (this.#isAt(known, row)) return known
      place = (place + 1) & mask
    }
    this.#table[place] = this.count
    this.#append(row)
    if (this.count * 2 > this.#table.length) this.#rehash()
    return this.count - 1
  }

  #isAt(index: number, row: Int32Array): boolean {
    const from = index * this.#width
    for (let at = 0; at < this.#width; at++) if (this.#values[from + at] !== row[at]) return false
    return true
  }

  #append(row: Int32Array): void {
    const from = this.count * this.#width
    if (from === this.#values.length) {
      const larger = new Int32Array(from * 2)
      larger.set(this.#values)
      this.#values = larger
    }
    this.#values.set(row, from)
    this.count++
  }

  #rehash(): void {
    this.#table = new Int32Array(this.#table.length * 2).fill(-1)
    const mask = this.#table.length - 1
    for (let index = 0; index < this.count; index++) {
      let place = hashOf(this.row(index)) & mask
      while ((this.#table[place] ?? -1) >= 0) place = (place + 1) & mask
      this.#table[place] = index
    }
  }
}

function hashOf(row: Int32Array): number {
  let hash = 0
  for (const number of row) {
    hash = Math.imul(hash ^ number, 0x9e37_79b1)
    hash ^= hash >>> 15
  }
  return Math.imul(hash, 0x85eb_ca6b) >>> 1
}

// For each key the places where it stands.
function groupedBy(keys: Numbers, count: number): { starts: Int32Array; edges: Int32Array } {
  const starts = new Int32Array(count + 1)
  for (let edge = 0; edge < keys.count; edge++) {
    const after1 = keys.at(edge) + 1
    starts[after1] = (starts[after1] ?? 0) + 1
  }
  for (let key = 0; key < count; key++)
    starts[key + 1] = (starts[key + 1] ?? 0) + (starts[key] ?? 0)
  const edges = new Int32Array(keys.count)
  const fill = starts.slice()
  for (let edge = 0; edge < keys.count; edge++) {
    const key = keys.at(edge)
    edges[fill[key] ?? 0] = edge
    fill[key] = (fill[key] ?? 0) + 1
  }
  return { starts, edges }
}
