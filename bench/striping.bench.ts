// What does it cost to split an access by part? Per strip for contiguous data, per piece for small pieces.
import { contiguous, RunList, type RunSource, sourceOf } from '../lib/base/regions.js'
import { StripeSplitter } from '../lib/layout/split.js'
import { type Layout, localOffsetOf, partOf } from '../lib/layout/striping.js'
import { addSync, createSuite, runSuite } from './support/suite.js'

const LAYOUT: Layout = { stripSize: 65536, iodCount: 4, firstIod: 0, iodTotal: 4 }

const PIECES = 1_000_000

const PIECE_BYTES = 8

const CONTIGUOUS_BYTES = 2 ** 32

const DATA_BYTES = PIECES * PIECE_BYTES

const regular = new RunList()
regular.addRun(0, PIECE_BYTES, 1024, PIECES)

const regularMemory = new RunList()
regularMemory.addRun(0, PIECE_BYTES, 24, PIECES)

/** Equal pieces with gaps that never repeat. */
const irregular = new RunList()
for (let i = 0, at = 0; i < PIECES; i++) {
  irregular.add(at, PIECE_BYTES)
  at += PIECE_BYTES * (2 + ((i * 7919) % 13))
}

const suite = createSuite('split by part', { ...LAYOUT, pieces: PIECES, pieceBytes: PIECE_BYTES })

addSync(suite, 'naive: part and local offset of 10^6 pieces', () => mapPieces())
addSync(suite, `contiguous, ${CONTIGUOUS_BYTES / LAYOUT.stripSize} strips`, () =>
  split(contiguous(0, CONTIGUOUS_BYTES), contiguous(0, CONTIGUOUS_BYTES)),
)
addSync(suite, 'contiguous, 16 strips', () => split(contiguous(0, 2 ** 20), contiguous(0, 2 ** 20)))
addSync(suite, '10^6 regular pieces, contiguous memory', () =>
  split(sourceOf(regular), contiguous(0, DATA_BYTES)),
)
addSync(suite, '10^6 regular pieces, regular memory', () =>
  split(sourceOf(regular), sourceOf(regularMemory)),
)
addSync(suite, 'contiguous file, 10^6 regular pieces of memory', () =>
  split(contiguous(0, DATA_BYTES), sourceOf(regularMemory)),
)
addSync(suite, '10^6 irregular pieces, contiguous memory', () =>
  split(sourceOf(irregular), contiguous(0, DATA_BYTES)),
)

verify()
await runSuite(suite)

function mapPieces(): number {
  let sum = 0
  for (let i = 0; i < PIECES; i++) sum += partOf(LAYOUT, i * 1024) + localOffsetOf(LAYOUT, i * 1024)
  return sum
}

/** Bytes of all accesses, so that nothing can be left out. */
function split(file: RunSource, memory: RunSource): number {
  const splitter = new StripeSplitter(LAYOUT, file, memory)
  let bytes = 0
  for (let access = splitter.next(); access !== undefined; access = splitter.next())
    bytes += access.bytes
  return bytes
}

/** Before anything is timed: every byte is there. */
function verify(): void {
  const bytes = split(sourceOf(irregular), sourceOf(regularMemory))
  if (bytes !== DATA_BYTES) throw new RangeError(`split: ${bytes} bytes instead of ${DATA_BYTES}`)
}
