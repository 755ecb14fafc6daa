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
const ifCalls = unlessMissing(test, peers.callsMissing)
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
  assert.match(await refusalOf(peers.copy(2 ** 27, 2 ** 27)), 'a copy has at most')
})

ifC(
  'pieces are gathered and sent, each way in a time; what fills no window is refused',
  async () => {
    for (const total of [4096, 2 ** 20]) {
      const { gather, copy, send, writev, gatherAndSend } = await peers.gaps(512, total)
      for (const ms of [gather, copy, send, writev, gatherAndSend]) assert.ok(ms > 0)
    }
    assert.match(await refusalOf(peers.gaps(24, 2 ** 20)), 'do not hold pieces of 24')
    assert.match(await refusalOf(peers.gaps(512, 2 ** 20 + 512)), 'windows of 131072 bytes')
  },
)

for (const kind of ['write', 'read'] as const)
  for (const how of ['independent', 'collective'] as const)
    ifCalls(`little calls in C ${kind}, ${how}, what they compare, at a rate`, async () => {
      const about = { kind, how, bytes: 4096, calls: 50, stripBytes: 65_536 }
      const { MiBps, cpuSecondsPerCall } = await peers.calls(about, 4)
      assert.ok(MiBps > 0)
      assert.ok(cpuSecondsPerCall > 0)
    })

ifCalls('little calls in C are as large as a message may be, and not larger', async () => {
  const about = { kind: 'write', how: 'collective', calls: 3, stripBytes: 65_536 } as const
  assert.ok((await peers.calls({ ...about, bytes: 16_384 }, 16)).MiBps > 0)
  assert.match(await refusalOf(peers.calls({ ...about, bytes: 32_768 }, 4)), 'at most 16384 bytes')
  assert.match(await refusalOf(peers.calls({ ...about, bytes: 4096 }, 17)), 'and 16 servers')
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

async function refusalOf(run: Promise<unknown>): Promise<string> {
  return await run.then(
    () => '',
    (error: Error) => error.message,
  )
}

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
