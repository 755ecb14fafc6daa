// Buffers: what is one, which datatype it implies, and which of its bytes an access touches.
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import type { ErrorCode } from '../../lib/base/errors.js'
import { collect } from '../../lib/base/regions.js'
import { memoryAccessOf } from '../../lib/datatype/buffer.js'
import { Datatype } from '../../lib/datatype/datatype.js'
import { throws } from '../support/assertions.js'
import { property } from '../support/random.js'
import { bytesOf, randomPair } from './typemap.js'

const test = suite('buffer')

const RANDOM_RUNS = 1000

const { BYTE, INT32, FLOAT64 } = Datatype

const IMPLIED: readonly [ArrayBufferView | ArrayBuffer, Datatype][] = [
  [new Int8Array(3), Datatype.INT8],
  [new Uint8Array(3), BYTE],
  [new Uint8ClampedArray(3), BYTE],
  [Buffer.alloc(3), BYTE],
  [new Int16Array(3), Datatype.INT16],
  [new Uint16Array(3), Datatype.UINT16],
  [new Int32Array(3), INT32],
  [new Uint32Array(3), Datatype.UINT32],
  [new BigInt64Array(3), Datatype.INT64],
  [new BigUint64Array(3), Datatype.UINT64],
  [new Float32Array(3), Datatype.FLOAT32],
  [new Float64Array(3), FLOAT64],
  [new ArrayBuffer(3), BYTE],
  [new DataView(new ArrayBuffer(3)), BYTE],
]

for (const [data, type] of IMPLIED) {
  test(`${data.constructor.name} implies ${type.name}, and all of it is meant`, () => {
    const access = memoryAccessOf(data)
    assert.is(access.type, type)
    assert.equal([access.count, access.length], [3, 3 * type.size])
    assert.equal(access.region, { offset: 0, length: 3 * type.size })
  })
}

test('a subarray is respected, and its bytes are the memory itself', () => {
  const whole = Float64Array.from([0, 1, 2, 3, 4])
  const access = memoryAccessOf(whole.subarray(1, 3))
  assert.equal([access.bytes.byteOffset, access.bytes.length, access.count], [8, 16, 2])
  access.bytes.fill(0)
  assert.equal([...whole], [0, 0, 0, 3, 4])
})

test('offset counts elements of data, and bytes for ArrayBuffer and DataView', () => {
  assert.equal(memoryAccessOf({ data: new Int16Array(10), offset: 3 }).region, {
    offset: 6,
    length: 14,
  })
  assert.equal(memoryAccessOf({ data: new ArrayBuffer(10), offset: 3 }).region, {
    offset: 3,
    length: 7,
  })
  assert.equal(memoryAccessOf({ data: new DataView(new ArrayBuffer(10)), offset: 10 }).region, {
    offset: 10,
    length: 0,
  })
})

test('count counts items of the datatype', () => {
  const access = memoryAccessOf({
    data: new Float64Array(10),
    count: 3,
    datatype: Datatype.contiguous(2, FLOAT64),
  })
  assert.equal([access.length, access.count], [48, 3])
  assert.is(memoryAccessOf({ data: new Uint8Array(8), count: 2, datatype: INT32 }).length, 8)
  assert.is(memoryAccessOf({ data: new Float64Array(8), offset: 2n, count: 3n }).length, 24)
})

test('the last item needs only its data', () => {
  const column = Datatype.vector(4, 1, 5, FLOAT64)
  const access = memoryAccessOf({
    data: new Float64Array(20),
    offset: 4,
    count: 1,
    datatype: column,
  })
  assert.equal(
    [...collect(access.runs()).regions()].map(({ offset }) => offset / 8),
    [4, 9, 14, 19],
  )
})

const FITTING: readonly [string, number, Datatype, number][] = [
  ['whole extents', 24, Datatype.resized(INT32, 0, 12), 2],
  ['a last item without its gap', 16, Datatype.resized(INT32, 0, 12), 2],
  ['interleaved columns', 80, Datatype.resized(Datatype.vector(5, 1, 4, INT32), 0, 4), 4],
  ['no memory', 0, INT32, 0],
  ['items without data', 24, Datatype.resized(Datatype.contiguous(0, INT32), 0, 8), 3],
]

for (const [name, length, datatype, expected] of FITTING) {
  test(`without a count, ${name}: ${expected} items fit`, () => {
    assert.is(memoryAccessOf({ data: new Uint8Array(length), datatype }).count, expected)
  })
}

test('negative displacements are legal where all bytes are inside, for offset moves the origin', () => {
  const backwards = Datatype.hvector(3, 1, -8, INT32)
  const access = memoryAccessOf({
    data: new Int32Array(5),
    offset: 4,
    count: 1,
    datatype: backwards,
  })
  assert.equal(
    [...collect(access.runs()).regions()].map(({ offset }) => offset),
    [16, 8, 0],
  )
  throws(
    () => memoryAccessOf({ data: new Int32Array(5), offset: 3, count: 1, datatype: backwards }),
    'MPI_ERR_BUFFER',
  )
})

const detached = new Float64Array(4)
structuredClone(detached.buffer, { transfer: [detached.buffer] })
const five = new Uint8Array(5)

const WRONG: readonly [string, ErrorCode, unknown][] = [
  ['nothing', 'MPI_ERR_BUFFER', undefined],
  ['null', 'MPI_ERR_BUFFER', null],
  ['a plain array', 'MPI_ERR_BUFFER', [1, 2, 3]],
  ['a string', 'MPI_ERR_BUFFER', 'abc'],
  ['an object without data', 'MPI_ERR_BUFFER', { count: 1 }],
  ['an object with wrong data', 'MPI_ERR_BUFFER', { data: [1], count: -1 }],
  ['detached memory', 'MPI_ERR_BUFFER', detached],
  ['a negative offset', 'MPI_ERR_BUFFER', { data: five, offset: -1 }],
  ['half an offset', 'MPI_ERR_BUFFER', { data: five, offset: 0.5, count: -1 }],
  ['an offset past the end', 'MPI_ERR_BUFFER', { data: five, offset: 6 }],
  ['a wrong datatype', 'MPI_ERR_TYPE', { data: five, datatype: 'INT32' }],
  ['a null datatype', 'MPI_ERR_TYPE', { data: five, datatype: null, count: -1 }],
  ['a negative count', 'MPI_ERR_COUNT', { data: five, count: -1 }],
  ['half a count', 'MPI_ERR_COUNT', { data: five, count: 1.5 }],
  ['memory that is no whole number of items', 'MPI_ERR_ARG', { data: five, datatype: INT32 }],
  ['memory smaller than one item', 'MPI_ERR_ARG', { data: five, datatype: FLOAT64 }],
  [
    'items that do not move, without a count',
    'MPI_ERR_ARG',
    { data: five, datatype: Datatype.resized(BYTE, 0, 0) },
  ],
  ['memory too small for the count', 'MPI_ERR_BUFFER', { data: five, count: 6 }],
  ['memory too small behind the offset', 'MPI_ERR_BUFFER', { data: five, offset: 1, count: 5 }],
  ['memory far too small', 'MPI_ERR_BUFFER', { data: five, count: 2 ** 52, datatype: FLOAT64 }],
]

for (const [name, code, spec] of WRONG) {
  test(`${name} is ${code}`, () => {
    throws(() => Reflect.apply(memoryAccessOf, undefined, [spec]), code)
  })
}

test('a datatype that is none is not said to be missing', () => {
  const { message } = throws(
    () => Reflect.apply(memoryAccessOf, undefined, [{ data: five, datatype: 'INT32' }]),
    'MPI_ERR_TYPE',
  )
  assert.is(message, 'buffer: what was given as its datatype is no datatype')
})

test('a count of 0 needs no memory', () => {
  const access = memoryAccessOf({ data: new Uint8Array(0), count: 0, datatype: FLOAT64 })
  assert.equal([access.length, collect(access.runs()).entries], [0, 0])
})

property(
  test,
  'the bytes touched are those of the typemap, and all inside',
  RANDOM_RUNS,
  (random) => {
    const { type, map } = randomPair(random, random.int(0, 3))
    const count = random.int(0, 3)
    const memory = new Uint8Array(random.int(0, 400))
    const offset = random.int(0, Math.min(100, memory.length))
    const expected = bytesOf(map, count, offset)
    const isInside = expected.every((at) => at >= 0 && at < memory.length)
    const resolve = (): ReturnType<typeof memoryAccessOf> =>
      memoryAccessOf({ data: memory, offset, count, datatype: type })
    if (!isInside) {
      throws(resolve, 'MPI_ERR_BUFFER')
      return
    }
    const access = resolve()
    const runs = collect(access.runs())
    const touched = [...runs.regions()].flatMap((region) =>
      Array.from({ length: region.length }, (_, i) => region.offset + i),
    )
    assert.equal(touched, expected)
    assert.is(access.length, expected.length)
    if (access.region !== undefined && expected.length > 0) {
      assert.equal(access.region, { offset: expected[0], length: expected.length })
    }
  },
)

test.run()
