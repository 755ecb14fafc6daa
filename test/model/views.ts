// The whole of the pure layers together: random memory type, view and layout, against a file of plain bytes.
// What is written through the view is what a loop over the typemaps writes, and reads back the same.
import * as assert from 'uvu/assert'
import { memoryAccessOf } from '../../lib/datatype/buffer.js'
import { gatherRuns, scatterRuns } from '../../lib/datatype/pack.js'
import { checkView, View } from '../../lib/datatype/view.js'
import { StripeSplitter } from '../../lib/layout/split.js'
import { fileOffsetOf, type Layout } from '../../lib/layout/striping.js'
import { basicPair, bytesOf, type Pair, randomFiletype, randomPair } from '../datatype/typemap.js'
import type { Random } from '../support/random.js'

const MEMORY_SIZE = 6000

const ORIGIN = 2000

/** Bytes of a strip: accesses lie within one, or go over its end. */
const STRIP_SIZES = [4096, 65_536, 2 ** 20]

interface Access {
  readonly layout: Layout
  readonly view: View
  readonly etypeOffset: number
  readonly memory: Pair
  readonly count: number
  /** File offset and memory offset of each byte, in order, by plain loops. */
  readonly fileBytes: readonly number[]
  readonly memoryBytes: readonly number[]
}

/** A random memory type that stays inside of the memory, and a view that may be written. */
function randomAccess(random: Random): Access {
  for (;;) {
    const access = tryAccess(random)
    if (access !== undefined) return access
  }
}

function tryAccess(random: Random): Access | undefined {
  const etype = basicPair(random.int(0, 11))
  const filetype = randomFiletype(random, etype, true)
  if (filetype.type.size === 0) return undefined
  const memory = random.chance(0.3) ? etype : randomPair(random, random.int(0, 3))
  const count = random.int(0, 5)
  const memoryBytes = bytesOf(memory.map, count, ORIGIN)
  if (memoryBytes.some((at) => at < 0 || at >= MEMORY_SIZE)) return undefined
  const stripSize = random.pick(STRIP_SIZES)
  const displacement = random.pick([0, 5, stripSize - 6, 100_000])
  const etypeOffset = random.pick([0, random.int(0, 50), random.int(0, 3000)])
  const skip = etypeOffset * etype.type.size
  const tiles = Math.ceil((skip + memoryBytes.length) / filetype.type.size)
  const fileBytes = bytesOf(filetype.map, tiles, displacement).slice(
    skip,
    skip + memoryBytes.length,
  )
  const iodCount = random.int(1, 4)
  return {
    layout: { stripSize, iodCount, firstIod: 0, iodTotal: iodCount },
    view: new View({ displacement, etype: etype.type, filetype: filetype.type }),
    etypeOffset,
    memory,
    count,
    fileBytes,
    memoryBytes,
  }
}

/** A file over iods, each datafile a sparse map from local offset to byte. */
class StripedModel {
  readonly bytes = new Map<number, number>()
  readonly #layout: Layout

  constructor(layout: Layout) {
    this.#layout = layout
  }

  /** Writes or reads along a view, part by part, as the striped driver does. */
  access(kind: 'read' | 'write', access: Access, memory: Uint8Array): void {
    const { memory: pair, count, view, etypeOffset } = access
    const user = memoryAccessOf({
      data: memory,
      offset: ORIGIN,
      count,
      datatype: pair.type,
    })
    const splitter = new StripeSplitter(
      this.#layout,
      view.runs(etypeOffset, user.length),
      user.runs(),
    )
    for (let part = splitter.next(); part !== undefined; part = splitter.next()) {
      const packed = new Uint8Array(part.bytes)
      const places = [...part.local.regions()].flatMap((region) =>
        Array.from({ length: region.length }, (_, i) =>
          fileOffsetOf(this.#layout, part?.part ?? 0, region.offset + i),
        ),
      )
      if (kind === 'write') {
        gatherRuns(user.bytes, part.memory, packed)
        for (const [i, place] of places.entries()) this.bytes.set(place, packed[i] ?? 0)
      } else {
        for (const [i, place] of places.entries()) packed[i] = this.bytes.get(place) ?? 0
        scatterRuns(packed, 0, user.bytes, part.memory)
      }
    }
  }
}

/**
 * Draws a triple of memory type, view and layout, writes through it, and reads back: every byte of the file and of the
 * memory is where the typemaps say. Returns the bytes that moved.
 */
export function checkTriple(random: Random): number {
  const access = randomAccess(random)
  checkView(access.view, { isWritable: true })
  const memory = random.bytes(MEMORY_SIZE)
  const file = new StripedModel(access.layout)
  file.access('write', access, memory)
  const expected = new Map(
    access.fileBytes.map((place, n) => [place, memory[access.memoryBytes[n] ?? 0] ?? 0]),
  )
  assert.is(file.bytes.size, expected.size)
  for (const [place, byte] of expected) assert.is(file.bytes.get(place), byte)
  const reread = new Uint8Array(MEMORY_SIZE)
  file.access('read', access, reread)
  const touched = new Set(access.memoryBytes)
  for (let at = 0; at < MEMORY_SIZE; at++) {
    const want = touched.has(at) ? memory[at] : 0
    if (reread[at] !== want) assert.is(reread[at], want, `memory at ${at}`)
  }
  return access.fileBytes.length
}
