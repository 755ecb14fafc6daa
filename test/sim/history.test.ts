import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { BLOCK_BYTES, contentOf } from './content.js'
import { type Change, FileHistory, History, writeId } from './history.js'
import { type Invariant, Violation } from './violation.js'

const test = suite('history of a file')

const LAYOUT = { stripSize: 4096, iodCount: 2, firstIod: 0, iodTotal: 2 }
const A = {}
const B = {}

test('before the first write a file is one hole, and may also be shorter', () => {
  const tale = new Tale()
  tale.reads(0, undefined)
  tale.reads(7, undefined, 0)
})

test('an acknowledged write is seen, and what was there before is not', () => {
  const tale = new Tale()
  tale.writes(1, A, [0, 1])
  tale.reads(0, 1)
  tale.breaks('I1', () => tale.reads(0, undefined))
  tale.breaks('I1', () => tale.reads(1, undefined, 0))
  tale.writes(2, B, [0])
  tale.reads(0, 2)
  tale.breaks('I4', () => tale.reads(0, 1))
})

test('while a write is under way, and for ever after one that failed, old and new are right', () => {
  const tale = new Tale()
  tale.writes(1, A, [0])
  const running = tale.begins(2, A, [0])
  for (const id of [1, 2]) tale.reads(0, id)
  tale.file.end(running, false)
  for (const id of [1, 2, 1]) tale.reads(0, id)
  tale.writes(3, B, [0])
  for (const id of [2, 3]) tale.reads(0, id)
  tale.breaks('I4', () => tale.reads(0, 1))
})

test('a failed write does not come after a later one of the same client: the fence sees to it', () => {
  const tale = new Tale()
  tale.file.end(tale.begins(1, A, [0]), false)
  tale.writes(2, A, [0])
  tale.breaks('I4', () => tale.reads(0, 1))
})

test('bytes of another file, another place, or of a write that had not begun are from nowhere', () => {
  const tale = new Tale()
  tale.writes(1, A, [0])
  tale.breaks('I3', () => tale.sees(0, contentOf(writeId(9, 9), [0])))
  tale.breaks('I3', () => tale.sees(0, contentOf(writeId(1, 1), [1])))
  const early = { who: 'r', invoked: tale.history.now(), ended: tale.history.now() }
  tale.writes(2, B, [0])
  tale.breaks('I3', () => tale.file.check(early, [0], contentOf(writeId(1, 2), [0])))
})

test('of a torn block each byte is one of those that are allowed, and no other', () => {
  const tale = new Tale()
  tale.writes(1, A, [0])
  tale.begins(2, A, [0])
  const torn = contentOf(writeId(1, 1), [0])
  torn.set(contentOf(writeId(1, 2), [0]).subarray(0, 20))
  tale.sees(0, torn)
  torn[40] = (torn[40] ?? 0) ^ 1
  tale.breaks('I3', () => tale.sees(0, torn))
})

test('a loss of power takes back what was not synced, on its iod, and nothing else', () => {
  const tale = new Tale()
  tale.writes(1, A, [0, 64])
  tale.history.powerLost(0)
  tale.reads(0, undefined)
  tale.breaks('I1', () => tale.reads(64, undefined))
  tale.writes(2, A, [0]).durable = tale.history.now()
  tale.history.powerLost(0)
  tale.breaks('I2', () => tale.reads(0, undefined))
})

test('a sync that succeeds after a loss of power says that nothing was lost', () => {
  const tale = new Tale()
  const change = tale.writes(1, A, [0])
  tale.history.powerLost(0)
  change.durable = tale.history.now()
  tale.breaks('I2', () => tale.reads(0, undefined))
})

test('a truncation makes a hole from its block on, durably, and one that failed may do so later', () => {
  const tale = new Tale()
  tale.writes(1, A, [0, 1])
  const cut = tale.file.cut('cut', 1)
  tale.reads(1, 1)
  tale.file.end(cut, true)
  tale.history.powerLost(0)
  tale.reads(0, 1)
  tale.breaks('I4', () => tale.reads(1, 1))
  tale.file.end(tale.file.cut('another', 0), false)
  tale.writes(2, A, [0])
  tale.reads(0, undefined)
})

test.run()

class Tale {
  readonly history = new History()
  readonly file = new FileHistory(this.history, 'f')

  constructor() {
    this.file.layout = LAYOUT
  }

  begins(sequence: number, client: object, blocks: readonly number[]): Change {
    return this.file.write(writeId(1, sequence), `write ${sequence}`, client, blocks)
  }

  writes(sequence: number, client: object, blocks: readonly number[]): Change {
    const change = this.begins(sequence, client, blocks)
    this.file.end(change, true)
    return change
  }

  reads(block: number, sequence: number | undefined, bytes = BLOCK_BYTES): void {
    const hole = new Uint8Array(bytes)
    this.sees(block, sequence === undefined ? hole : contentOf(writeId(1, sequence), [block]))
  }

  sees(block: number, bytes: Uint8Array): void {
    const look = { who: 'r', invoked: this.history.now(), ended: this.history.now() }
    this.file.check(look, [block], bytes)
  }

  breaks(invariant: Invariant, act: () => void): void {
    try {
      act()
    } catch (error) {
      if (!(error instanceof Violation)) throw error
      assert.is(error.invariant, invariant, error.message)
      return
    }
    assert.unreachable(`${invariant} is not noticed`)
  }
}
