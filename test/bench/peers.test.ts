// The C programs beside which we are measured: that they do what they say, and compare what they move.
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { Peers } from '../../bench/support/peers.js'
import {
  byteAt,
  collPerf,
  cyclic,
  hpio,
  iorEasy,
  iorHard,
  placeOf,
  type Shape,
  shiftOf,
  tileIo,
} from '../../bench/support/shapes.js'
import { unlessMissing } from '../support/optional.js'

const test = suite('bench/peers')
const peers = new Peers()
process.once('exit', () => peers[Symbol.dispose]())
const ifC = unlessMissing(test, peers.streamMissing)
const ifMpi = unlessMissing(test, peers.romioMissing)

for (const mode of ['tcp', 'unix'] as const) {
  ifC(`a stream over ${mode} has a rate, and CPU of both ends`, async () => {
    const { MiBps, cpuSecondsPerGiB } = await peers.stream(mode, 65_536, 2 ** 22)
    assert.ok(MiBps > 0)
    assert.ok(cpuSecondsPerGiB > 0)
    assert.ok((await peers.ping(mode, 64, 50)) > 0)
  })
}

ifC('memcpy has a rate; more at a time than its span is refused', async () => {
  assert.ok((await peers.copy(4096, 2 ** 22)) > 0)
  let text = ''
  await peers.copy(2 ** 27, 2 ** 27).catch((error: Error) => (text = error.message))
  assert.match(text, 'a copy has at most')
})

const SHAPES: readonly Shape[] = [
  cyclic(2, 64, 100),
  collPerf(2, [4, 6, 8]),
  tileIo({
    columns: 2,
    rows: 1,
    sizeX: 6,
    sizeY: 5,
    elementBytes: 3,
    overlapX: 2,
    overlapY: 0,
  }),
  hpio({ ranks: 2, count: 7, size: 12, spacing: 5, inFile: true, inMemory: true }),
  iorHard({ ranks: 2, calls: 3 }),
  iorEasy({ ranks: 2, calls: 3, transferSize: 1000 }),
]

for (const shape of SHAPES)
  for (const how of ['independent', 'collective'] as const)
    ifMpi(`MPI-IO writes the bytes of ${shape.name}, ${how}, where we would`, async () => {
      const directory = mkdtempSync(join(tmpdir(), 'romio-'))
      try {
        const { writeMiBps, readMiBps } = await peers.romio({ shape, how, directory })
        assert.ok(writeMiBps > 0 && readMiBps > 0)
        for (let rank = 0; rank < shape.ranks; rank++) expectBytes(directory, shape, rank)
      } finally {
        rmSync(directory, { recursive: true, force: true })
      }
    })

test.run()

// The timed pass writes round 1; one buffer serves all of its calls, so only the first can be known.
function expectBytes(directory: string, shape: Shape, rank: number): void {
  const access = shape.of(rank)
  const name = `romio-${shape.name.replaceAll(/\W+/g, '-')}`
  const file = shape.filePerRank ? `${name}.${String(rank).padStart(8, '0')}` : name
  const bytes = readFileSync(join(directory, file))
  const { length, inner, outer } = access.file
  for (let at = 0; at < length * inner.count * outer.count; at++) {
    const place = placeOf(access.file, at) + shiftOf(access, 0)
    assert.is(bytes[place], byteAt(place, 1), `rank ${rank}, byte ${at}`)
  }
}
