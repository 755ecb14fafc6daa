// What does it cost to turn a datatype of 10^6 pieces into runs, and to visit all of them? Compared with the
// least that could be done: filling two typed arrays with 10^6 offsets and lengths. At the end the goals: time against
// that, the opening of a view against that of 10 pieces, and the memory held.
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { RunCursor, RunList, type RunSource } from '../lib/base/regions.js'
import { Datatype } from '../lib/datatype/datatype.js'
import { runsOf } from '../lib/datatype/flatten.js'
import { gatherRuns } from '../lib/datatype/pack.js'
import { checkView, View } from '../lib/datatype/view.js'
import {
  machine,
  ratiosOf,
  type Spread,
  spreadOf,
  spreadText,
  tableLines,
} from './support/figures.js'
import { addSync, createSuite, runSuite } from './support/suite.js'

const PIECES = 1_000_000

const PIECE_BYTES = 8

/** Calls of which the shortest counts. */
const CALLS = 10

/** The regular case: one run. */
const VECTOR = vectorOf(PIECES)

const SUBARRAY = subarrayOf()

/** The worst case: lengths and gaps that never repeat. */
const IRREGULAR_SPEC = {
  blocklengths: Array.from({ length: PIECES }, (_, i) => 1 + (i % 2)),
  displacements: Float64Array.from({ length: PIECES }, (_, i) => i * 24 + ((i * 7919) % 7) * 1),
  type: Datatype.BYTE,
}

const IRREGULAR = Datatype.hindexed(IRREGULAR_SPEC)

const collectGarbage = garbageCollector()

/** One figure against its goal. */
interface Measure {
  readonly name: string
  readonly value: Spread
  readonly unit: string
  readonly atMost: number
}

const suite = createSuite('flatten 10^6 pieces', { pieces: PIECES, pieceBytes: PIECE_BYTES })

const offsets = new Float64Array(PIECES)
const lengths = new Float64Array(PIECES)

addSync(suite, 'naive: fill two typed arrays', () => fillArrays())
addSync(suite, 'vector to runs', () => runsIn(runsOf(VECTOR, { count: 1 })))
addSync(suite, 'vector, every piece into two typed arrays', () =>
  expand(runsOf(VECTOR, { count: 1 })),
)
addSync(suite, 'vector, every piece through a cursor', () => visit(runsOf(VECTOR, { count: 1 })))
addSync(suite, 'subarray to runs', () => runsIn(runsOf(SUBARRAY, { count: 1 })))
addSync(suite, 'subarray, every piece into two typed arrays', () =>
  expand(runsOf(SUBARRAY, { count: 1 })),
)
addSync(suite, 'irregular hindexed, construct', () => Datatype.hindexed(IRREGULAR_SPEC))
addSync(suite, 'irregular hindexed to runs', () => runsIn(runsOf(IRREGULAR, { count: 1 })))
addSync(suite, 'irregular hindexed, every piece into two typed arrays', () =>
  expand(runsOf(IRREGULAR, { count: 1 })),
)
addSync(suite, 'one piece from the middle of a tiled view', () =>
  runsIn(new View({ displacement: 0, etype: Datatype.BYTE, filetype: IRREGULAR }).runs(10 ** 9, 2)),
)

const memory = new Uint8Array(VECTOR.trueExtent)
const packed = new Uint8Array(VECTOR.size)
const vectorRuns = new RunList()
runsOf(VECTOR, { count: 1 }).fill(vectorRuns, 1)
addSync(suite, 'gather 10^6 pieces of 8 bytes', () => gatherRuns(memory, vectorRuns, packed))

verify()
await runSuite(suite, { 'gather 10^6 pieces of 8 bytes': VECTOR.size })
reportMeasures(measures())

/** A cube in a cube: 10^4 runs of 100 pieces. */
function subarrayOf(): Datatype {
  return Datatype.subarray({
    sizes: [200, 100, 200],
    subsizes: [100, 100, 100],
    starts: [50, 0, 50],
    order: 'C',
    type: Datatype.resized(Datatype.FLOAT64, 0, 16),
  })
}

function garbageCollector(): () => void {
  setFlagsFromString('--expose-gc')
  return runInNewContext('gc') as () => void
}

function vectorOf(pieces: number): Datatype {
  return Datatype.vector(pieces, 1, 2, Datatype.FLOAT64)
}

function measures(): Measure[] {
  const smoke = suite.options.smoke
  const [rounds, opens] = smoke ? [1, 1] : [7, 500]
  const fill = (): unknown => fillArrays()
  const flatten = (type: Datatype) => (): unknown => expand(runsOf(type, { count: 1 }))
  const open = (pieces: number) => (): void => {
    for (let i = 0; i < opens; i++) openView(pieces)
  }
  return [
    {
      name: 'vector into typed arrays : filling them',
      value: inTurns(rounds, flatten(VECTOR), fill),
      unit: '×',
      atMost: 6,
    },
    {
      name: 'subarray into typed arrays : filling them',
      value: inTurns(rounds, flatten(SUBARRAY), fill),
      unit: '×',
      atMost: 6,
    },
    {
      name: 'opening a regular view, 10^6 pieces : 10',
      value: inTurns(rounds, open(PIECES), open(10)),
      unit: '×',
      atMost: 1.25,
    },
    {
      name: 'held while a vector of 10^6 pieces is flattened',
      value: heldKiB(rounds, () => vectorOf(PIECES)),
      unit: 'KiB',
      atMost: 64,
    },
    {
      name: 'held while a subarray of 10^6 pieces is flattened',
      value: heldKiB(rounds, subarrayOf),
      unit: 'KiB',
      atMost: 64,
    },
  ]
}

function reportMeasures(found: readonly Measure[]): void {
  if (suite.options.json) {
    console.log(JSON.stringify({ suite: 'flatten goals', ...machine(), results: found }))
    return
  }
  const rows = found.map(({ name, value, unit, atMost }) => [
    name,
    `${spreadText(value)} ${unit}`,
    `≤ ${atMost}`,
    value.median <= atMost ? 'pass' : 'SHORT',
  ])
  console.log(['', 'goals, medians of rounds in turn', ...tableLines(rows)].join('\n'))
}

/** Times of two, one after the other in each round, each first in every other one; of some calls the shortest, for what else a machine does only adds. */
function inTurns(rounds: number, ours: () => unknown, theirs: () => unknown): Spread {
  const times: [number[], number[]] = [[], []]
  const both = [ours, theirs] as const
  // The first calls of a process are not like the others: the compiler has not seen them.
  for (const run of both) for (let i = 0; i < 3; i++) run()
  for (let round = 0; round < rounds; round++)
    for (const index of round % 2 === 0 ? ([0, 1] as const) : ([1, 0] as const)) {
      times[index].push(leastTime(both[index]))
    }
  return ratiosOf(...times)
}

function leastTime(run: () => unknown): number {
  let least = Number.POSITIVE_INFINITY
  for (let i = 0; i < CALLS; i++) {
    const start = performance.now()
    run()
    least = Math.min(least, performance.now() - start)
  }
  return least
}

/** What a rank does when a view is set: the type is made and checked, and its first bytes are found. */
function openView(pieces: number): number {
  const filetype = vectorOf(pieces)
  const view = new View({ displacement: 0, etype: Datatype.FLOAT64, filetype })
  checkView(view, { isWritable: true })
  const list = new RunList(1)
  view.runs(0, 80).fill(list, 1)
  return list.bytes
}

/** KiB that are held when all pieces of a type have been visited, the type, its runs and their source among them. */
function heldKiB(rounds: number, make: () => Datatype): Spread {
  return spreadOf(
    Array.from({ length: rounds }, () => {
      const before = heldBytes()
      const source = runsOf(make(), { count: 1 })
      const list = new RunList(512)
      let pieces = 0
      for (let more = true; more; pieces += list.pieces) {
        list.clear()
        more = source.fill(list, 512)
      }
      const held = heldBytes() - before
      // They are in use until here.
      if (source.fill(list, 1) || pieces !== PIECES) throw new RangeError(`${pieces} pieces`)
      return Math.max(0, held) / 1024
    }),
  )
}

function heldBytes(): number {
  collectGarbage()
  const { heapUsed, arrayBuffers } = process.memoryUsage()
  return heapUsed + arrayBuffers
}

function fillArrays(): number {
  for (let i = 0; i < PIECES; i++) {
    offsets[i] = i * 2 * PIECE_BYTES
    lengths[i] = PIECE_BYTES
  }
  return offsets.length
}

/** All runs, a block at a time, as an access takes them. */
function runsIn(source: RunSource): number {
  const list = new RunList(512)
  let entries = 0
  for (let more = true; more; entries += list.entries) {
    list.clear()
    more = source.fill(list, 512)
  }
  return entries
}

/** Every piece, run by run: how inner loops are written. */
function expand(source: RunSource): number {
  const list = new RunList()
  let index = 0
  for (let more = true; more; ) {
    list.clear()
    more = source.fill(list, 512)
    for (let entry = 0; entry < list.entries; entry++) index = expandRun(list, entry, index)
  }
  return index
}

function expandRun(list: RunList, entry: number, first: number): number {
  const start = list.start(entry)
  const length = list.length(entry)
  const stride = list.stride(entry)
  const count = list.count(entry)
  for (let i = 0; i < count; i++) {
    offsets[first + i] = start + i * stride
    lengths[first + i] = length
  }
  return first + count
}

/** Every piece, through a cursor: for walks in lockstep with something else. */
function visit(source: RunSource): number {
  const cursor = new RunCursor(source)
  let index = 0
  while (cursor.left > 0) {
    offsets[index] = cursor.offset
    lengths[index] = cursor.left
    index++
    cursor.advance(cursor.left)
  }
  return index
}

/** Before anything is timed: every piece is there. */
function verify(): void {
  for (const [what, type] of [
    ['vector', VECTOR],
    ['subarray', SUBARRAY],
    ['irregular', IRREGULAR],
  ] as const) {
    const pieces = expand(runsOf(type, { count: 1 }))
    if (pieces !== PIECES) throw new RangeError(`${what}: ${pieces} pieces instead of ${PIECES}`)
  }
}
