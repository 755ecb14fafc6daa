// The checker of histories sees each planted violation, and nothing in what is right.
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { Random } from '../support/random.js'
import { CELL_BYTES, cellsOf, seenIn, type Seen } from './load/cells.js'
import {
  checkHistory,
  type Event,
  type FaultKind,
  type Known,
  writeNumber,
  WRITES_MAX,
  writerOf,
} from './load/history.js'

const test = suite('history')

const A1 = writeNumber(1, 0)
const A2 = writeNumber(1, 1)
const B1 = writeNumber(2, 0)
const NOTHING: Known = new Map()

test('a number of a write tells its writer, and a writer has no more numbers than it may', () => {
  assert.equal([A1, A2, B1].map(writerOf), [1, 1, 2])
  assert.is(writerOf(writeNumber(1, WRITES_MAX - 1)), 1)
  assert.throws(() => writeNumber(1, WRITES_MAX))
})

test('bytes tell the write they are of, cell by cell, and holes are seen', () => {
  const bytes = new Uint8Array(4 * CELL_BYTES)
  bytes.set(cellsOf(A1, 7, 2))
  bytes.set(cellsOf(B1, 10, 1), 3 * CELL_BYTES)
  assert.equal(seenIn(bytes, 7), [
    { cells: 2, writes: [A1] },
    { cells: 1, writes: [0] },
    { cells: 1, writes: [B1] },
  ])
})

test('a write is seen after its acknowledgement, either way before', () => {
  const events = [...writes(A1, 10, 20), ...writes(A2, 30, 40)]
  right([...events, reads(5, 6, 0), reads(5, 15, A1), reads(15, 16, 0), reads(21, 22, A1)])
  right([...events, reads(35, 36, A1), reads(35, 36, A2), reads(41, 42, A2)])
})

test('a hole where something was acknowledged is lost', () => {
  wrong('lost', [...writes(A1, 10, 20), reads(21, 22, 0)])
})

test('something older than what was acknowledged is a rollback', () => {
  wrong('rollback', [...writes(A1, 10, 20), ...writes(B1, 21, 30), reads(31, 32, A1)])
})

test('of two writes at the same time either may stay, whichever was acknowledged first', () => {
  const events = [...writes(A1, 10, 30), ...writes(B1, 20, 25)]
  right([...events, reads(40, 41, A1)])
  right([...events, reads(40, 41, B1)])
})

test('what was synced and is gone is told as such; a sync that began before the write covers nothing', () => {
  const sync = (began: number): Event => ({ kind: 'synced', writer: 1, file: 0, began, at: 30 })
  wrong('synced lost', [...writes(A1, 10, 20), sync(20), reads(31, 32, 0)])
  wrong('lost', [...writes(A1, 10, 20), sync(15), reads(31, 32, 0)])
})

test('bytes of another place, another file, of nobody, or of a write that has not begun are from thin air', () => {
  wrong('thin air', [...writes(A1, 10, 20), reads(21, 22, B1)])
  wrong('thin air', [...writes(A1, 10, 20), { ...reads(21, 22, A1), file: 1 }])
  wrong('thin air', [...writes(A1, 10, 20), { ...reads(21, 22, A1), cell: 1 }])
  wrong('thin air', [...writes(A1, 30, 40), reads(21, 22, A1)])
})

test('a write whose rank was killed may take effect at any time, and need not', () => {
  const events = [...writes(A1, 10, 20), begins(B1, 21), ...writes(A2, 30, 40)]
  right([...events, reads(41, 42, A2), reads(43, 44, B1)])
  wrong('rollback', [...events, reads(41, 42, A1)])
})

test('a torn block is right while both writes may be there, and never with a byte of nobody', () => {
  const bytes = cellsOf(A1, 0, 1)
  bytes.set(cellsOf(B1, 0, 1).subarray(0, 100))
  const torn = seenIn(bytes, 0)
  assert.is(torn[0]?.odd?.length, 1)
  const events = [...writes(A1, 10, 20), begins(B1, 15)]
  right([...events, sees(21, 22, torn)])
  bytes[110] = (bytes[110] ?? 0) ^ 1
  wrong('torn', [...events, sees(21, 22, seenIn(bytes, 0))])
  const later = [...writes(A1, 10, 20), ...writes(B1, 21, 25), sees(26, 27, torn)]
  assert.equal(kinds(NOTHING, later), ['rollback', 'torn'])
})

test('what one history leaves is what the next begins with, and no more', () => {
  const { after } = checkHistory(NOTHING, [
    ...writes(A1, 10, 20),
    ...writes(A2, 30, 40),
    begins(B1, 35),
  ])
  assert.equal(
    after.get('0/0')?.map(({ write }) => write),
    [A2, B1],
  )
  assert.equal(kinds(after, [reads(50, 51, A2), reads(50, 51, B1)]), [])
  assert.equal(kinds(after, [reads(50, 51, A1)]), ['thin air'])
  assert.equal(kinds(after, [reads(50, 51, 0)]), ['thin air'])
})

test('whatever a real register does is right, and each older value planted into it is found', () => {
  const random = new Random()
  for (let round = 0; round < 200; round++) {
    const events: Event[] = []
    const acknowledged = [0]
    for (let step = 1; step < 12; step++) {
      const at = step * 10
      const write = writeNumber(3, step)
      events.push(...writes(write, at, at + random.int(1, 9)))
      acknowledged.push(write)
      if (random.chance()) events.push(reads(at + 9, at + 9, write))
    }
    const order = random.shuffle(events)
    assert.equal(kinds(NOTHING, order), [], `seed ${random.seed}`)
    const old = random.pick(acknowledged.slice(0, -1))
    assert.equal(kinds(NOTHING, [...order, reads(500, 501, old)]), [
      old === 0 ? 'lost' : 'rollback',
    ])
  }
})

test.run()

function begins(write: number, at: number): Event {
  return { kind: 'write', write, file: 0, cell: 0, cells: 1, at }
}

function writes(write: number, began: number, ended: number): Event[] {
  return [begins(write, began), { kind: 'acknowledged', write, at: ended }]
}

function reads(began: number, at: number, write: number): Event & { readonly kind: 'read' } {
  return sees(began, at, [{ cells: 1, writes: [write] }])
}

function sees(began: number, at: number, seen: readonly Seen[]): Event & { readonly kind: 'read' } {
  return { kind: 'read', who: 'rank 1', file: 0, cell: 0, began, at, seen }
}

function kinds(before: Known, events: readonly Event[]): FaultKind[] {
  return checkHistory(before, events).faults.map(({ kind }) => kind)
}

function right(events: readonly Event[]): void {
  assert.equal(kinds(NOTHING, events), [])
}

function wrong(kind: FaultKind, events: readonly Event[]): void {
  assert.equal(kinds(NOTHING, events), [kind])
}
