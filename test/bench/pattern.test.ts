// Where transfers lie, and bytes that tell who wrote them.
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import {
  bytesPerTask,
  checkTransfer,
  fillTransfer,
  offsetsOf,
  type Pattern,
  spoil,
} from '../../bench/support/pattern.js'

const SHARED: Pattern = {
  tasks: 3,
  blockSize: 100,
  transferSize: 50,
  segments: 2,
  filePerTask: false,
}

const test = suite('bench/support/pattern')

test('in a shared file the blocks of the ranks follow each other, segment by segment', () => {
  assert.equal([...offsetsOf(SHARED, 0)], [0, 50, 300, 350])
  assert.equal([...offsetsOf(SHARED, 2)], [200, 250, 500, 550])
})

test('all ranks together touch each byte of a shared file once', () => {
  const offsets = [0, 1, 2].flatMap((rank) => [...offsetsOf(SHARED, rank)])
  const expected = Array.from({ length: 12 }, (_, i) => i * 50)
  assert.equal(
    offsets.sort((a, b) => a - b),
    expected,
  )
  assert.is(bytesPerTask(SHARED), 200)
})

test('a file of its own is filled from its start', () => {
  assert.equal([...offsetsOf({ ...SHARED, filePerTask: true }, 2)], [0, 50, 100, 150])
})

test('transfers differ by place, rank and round', () => {
  const filled = (offset: number, rank: number, round: number): string => {
    const bytes = new Uint8Array(19)
    fillTransfer(bytes, offset, rank, round)
    return bytes.join()
  }
  const all = [filled(0, 0, 0), filled(2 ** 33, 0, 0), filled(0, 1, 0), filled(0, 0, 1)]
  assert.is(new Set(all).size, 4)
})

test('a read that does nothing, or ends one byte early, does not pass', () => {
  const expected = new Uint8Array(1000)
  fillTransfer(expected, 64, 1, 2)
  const actual = expected.slice()
  spoil(actual, expected)
  assert.throws(() => checkTransfer(actual, expected, 'nothing'), /nothing: byte 0/)
  actual.set(expected.subarray(0, 999))
  assert.throws(() => checkTransfer(actual, expected, 'early'), /early: byte 999/)
  actual.set(expected)
  checkTransfer(actual, expected, 'all')
})

test.run()
