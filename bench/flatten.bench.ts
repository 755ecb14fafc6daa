// What does it cost to turn a datatype of 10^6 pieces into runs, and to visit all of them? Compared with the
// least that could be done: filling two typed arrays with 10^6 offsets and lengths.
import { RunCursor, RunList, type RunSource } from '../lib/base/regions.js'
import { Datatype } from '../lib/datatype/datatype.js'
import { runsOf } from '../lib/datatype/flatten.js'
import { gatherRuns } from '../lib/datatype/pack.js'
import { View } from '../lib/datatype/view.js'
import { addSync, createSuite, runSuite } from './support/suite.js'

const PIECES = 1_000_000

const PIECE_BYTES = 8

/** The regular case: one run. */
const VECTOR = Datatype.vector(PIECES, 1, 2, Datatype.FLOAT64)

/** A cube in a cube: 10^4 runs of 100 pieces. */
const SUBARRAY = Datatype.subarray({
  sizes: [200, 100, 200],
  subsizes: [100, 100, 100],
  starts: [50, 0, 50],
  order: 'C',
  type: Datatype.resized(Datatype.FLOAT64, 0, 16),
})

/** The worst case: lengths and gaps that never repeat. */
const IRREGULAR_SPEC = {
  blocklengths: Array.from({ length: PIECES }, (_, i) => 1 + (i % 2)),
  displacements: Float64Array.from({ length: PIECES }, (_, i) => i * 24 + ((i * 7919) % 7) * 1),
  type: Datatype.BYTE,
}

const IRREGULAR = Datatype.hindexed(IRREGULAR_SPEC)

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
