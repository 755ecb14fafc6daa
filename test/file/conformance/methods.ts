// The twelve ways to access a file, each with memory and file with gaps and without: what is moved and what is left
// alone, accesses of nothing, holes, and the end of the file.
import * as assert from 'uvu/assert'
import type { Communicator } from '../../../lib/comm/communicator.js'
import { Datatype } from '../../../lib/datatype/datatype.js'
import type { File } from '../../../lib/file/file.js'
import { Mode } from '../../../lib/file/mode.js'
import type { Status } from '../../../lib/file/status.js'
import { type Case, casesInto, RANKS } from './case.js'

/** Every access method. */
export const METHOD_CASES: Case[] = []

const conforms = casesInto(METHOD_CASES)

const { INT32 } = Datatype

/** Integers of a rank, and of a hole at the end of the file. */
const [COUNT, HOLE] = [1500, 3]

/** What is in memory and not to be touched. */
const KEPT = -7

/** Six pairs of methods, and where an access begins that is to begin at an etype. */
const PAIRS = [
  ['readAt', 'writeAt', 'offset'],
  ['readAtAll', 'writeAtAll', 'offset'],
  ['read', 'write', 'own pointer'],
  ['readAll', 'writeAll', 'own pointer'],
  ['readShared', 'writeShared', 'shared pointer'],
  ['readOrdered', 'writeOrdered', 'shared pointer'],
] as const

type Pair = (typeof PAIRS)[number]

/** An integer, or one and a gap of the same size. */
const LAYOUTS = { dense: 1, gapped: 2 } as const

for (const pair of PAIRS) {
  for (const [inMemory, step] of Object.entries(LAYOUTS)) {
    for (const [inFile, stride] of Object.entries(LAYOUTS)) {
      const name = `${pair[0]} and ${pair[1]}, ${inMemory} in memory and ${inFile} in the file`
      conforms(name, RANKS, async (at) => {
        const { comm } = at
        const total = COUNT * comm.size
        await using file = await at.open('/methods', Mode.CREATE | Mode.RDWR)
        const view = { etype: INT32, filetype: Datatype.resized(INT32, 0, 4 * stride) }
        await file.setView(view)
        const mine = spread(values(COUNT * comm.rank, COUNT), step)
        const written = await move(file, pair, 'write', COUNT * comm.rank, mine, step)
        assert.equal([written.bytes, written.count(INT32)], [4 * COUNT, COUNT])
        await file.sync()
        const order = await checkFile(file, stride, total)
        await file.setSize(4 * stride * (total + HOLE))
        await file.setView(view)
        await checkRead(file, pair, comm, step, order)
        await checkNothing(file, pair, step)
        await checkEnd(file, pair, comm, step, total + HOLE)
      })
    }
  }
}

/** The file is all integers, with zeros in the gaps: tells the order in which the ranks have written. */
async function checkFile(file: File, stride: number, total: number): Promise<readonly number[]> {
  await file.setView()
  const all = new Int32Array(stride * (total - 1) + 1)
  await file.readAtAll(0, all)
  assert.ok(all.every((value, i) => i % stride === 0 || value === 0))
  const there = all.filter((_, i) => i % stride === 0)
  const order = Array.from({ length: total / COUNT }, (_, k) => (there[k * COUNT] ?? 0) / COUNT)
  assert.equal(there, Int32Array.from(order.flatMap((rank) => [...values(COUNT * rank, COUNT)])))
  assert.equal(
    order.toSorted((one, other) => one - other),
    order.map((_, rank) => rank),
  )
  return order
}

/** Each rank reads as much as it has written: at its own place, or one that is given to it. */
async function checkRead(
  file: File,
  pair: Pair,
  comm: Communicator,
  step: number,
  order: readonly number[],
): Promise<void> {
  const buffer = fresh(COUNT, step)
  const status = await move(file, pair, 'read', COUNT * comm.rank, buffer, step)
  assert.equal([status.count(INT32), status.elements(INT32)], [COUNT, COUNT])
  const owner = (buffer[0] ?? 0) / COUNT
  if (pair[0] !== 'readShared') assert.is(owner, order[comm.rank])
  assert.equal(buffer, spread(values(COUNT * owner, COUNT), step))
  await file.sync()
}

async function checkNothing(file: File, pair: Pair, step: number): Promise<void> {
  const before = fresh(4, step)
  for (const kind of ['read', 'write'] as const) {
    const status = await move(file, pair, kind, 0, before, step, 0)
    assert.equal([status.bytes, status.count(INT32), status.elements(INT32)], [0, 0, 0])
  }
  assert.equal(before, fresh(4, step))
  await file.sync()
}

/** A read of five integers where two are left, in a hole: there they are zeros, and the rest of memory is as it was. */
async function checkEnd(
  file: File,
  pair: Pair,
  comm: Communicator,
  step: number,
  end: number,
): Promise<void> {
  const buffer = fresh(5, step)
  if (pair[2] === 'shared pointer') await file.seekShared(end - 2)
  const status = await move(file, pair, 'read', end - 2, buffer, step)
  const counts = await comm.allgather(status.count(INT32))
  const count = counts[comm.rank] ?? 0
  // The shared pointer goes on by what was asked for: one rank has what is left.
  const [first, ...others] = counts.toSorted((one, other) => Number(other) - Number(one))
  assert.is(first, 2)
  assert.ok(others.every((each) => each === (pair[2] === 'shared pointer' ? 0 : 2)))
  const expected = fresh(5, step)
  for (let i = 0; i < count; i++) expected[i * step] = 0
  assert.equal(buffer, expected)
}

/** One access of all integers of `buffer`, or of `count`, from an etype on as far as the method lets one say. */
async function move(
  file: File,
  [read, write, place]: Pair,
  kind: 'read' | 'write',
  offset: number,
  data: Int32Array,
  step: number,
  count: number = Math.ceil(data.length / step),
): Promise<Status> {
  const datatype = Datatype.resized(INT32, 0, 4 * step)
  const method = kind === 'read' ? read : write
  const buffer = { data, datatype, count }
  if (method === 'readAt' || method === 'writeAt') return await file[method](offset, buffer)
  if (method === 'readAtAll' || method === 'writeAtAll') return await file[method](offset, buffer)
  if (place === 'own pointer') await file.seek(offset)
  return await file[method](buffer)
}

function values(first: number, count: number): Int32Array {
  return new Int32Array(count).map((_, i) => first + i)
}

function spread(dense: Int32Array, step: number): Int32Array {
  const buffer = fresh(dense.length, step)
  for (const [i, value] of dense.entries()) buffer[i * step] = value
  return buffer
}

function fresh(count: number, step: number): Int32Array {
  return new Int32Array(count * step).fill(KEPT)
}
