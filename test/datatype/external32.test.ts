// Memory in big-endian: whole elements, whatever lies between them.
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { collect } from '../../lib/base/regions.js'
import { memoryAccessOf } from '../../lib/datatype/buffer.js'
import { Datatype } from '../../lib/datatype/datatype.js'
import { fromExternal32, toExternal32 } from '../../lib/datatype/external32.js'

const test = suite('external32')

const { INT16, INT32, FLOAT64, BYTE } = Datatype

test('what is written is a copy in one piece, and the memory stays as it was', () => {
  const values = Int32Array.of(1, 0x0102_0304, -2)
  const before = values.slice()
  const memory = toExternal32(memoryAccessOf(values))
  assert.equal([...memory.bytes], [0, 0, 0, 1, 1, 2, 3, 4, 0xff, 0xff, 0xff, 0xfe])
  assert.equal(collect(memory.runs()).regions().next().value, { offset: 0, length: 12 })
  assert.equal(values, before)
})

test('memory whose elements are bytes is not copied', () => {
  const memory = memoryAccessOf(Uint8Array.of(1, 2, 3))
  assert.is(toExternal32(memory), memory)
})

test('of memory with gaps only the data go, and only the data are changed', () => {
  const type = Datatype.struct([
    { count: 1, displacement: 0, type: INT16 },
    { count: 2, displacement: 4, type: BYTE },
    { count: 1, displacement: 8, type: FLOAT64 },
  ])
  const data = new Uint8Array(32).map((_, at) => at)
  const given = { data, count: 2, datatype: type }
  const { bytes } = toExternal32(memoryAccessOf(given))
  const one = [1, 0, 4, 5, 15, 14, 13, 12, 11, 10, 9, 8]
  assert.equal([...bytes], [...one, ...one.map((byte) => byte + 16)])
  const there = data.slice()
  fromExternal32(memoryAccessOf({ ...given, data: there }), 24)
  const places = [1, 0, 2, 3, 4, 5, 6, 7, 15, 14, 13, 12, 11, 10, 9, 8]
  const back = (from: number): number[] => places.map((place) => from + place)
  assert.equal([...there], [...back(0), ...back(16)])
})

test('a read that ends inside an element changes the whole ones before it only', () => {
  const data = new Uint8Array(16).map((_, at) => at)
  fromExternal32(memoryAccessOf({ data, datatype: INT32 }), 7)
  assert.equal([...data], [3, 2, 1, 0, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15])
  const gapped = new Uint8Array(16).map((_, at) => at)
  const datatype = Datatype.resized(INT32, 0, 8)
  fromExternal32(memoryAccessOf({ data: gapped, count: 2, datatype }), 6)
  assert.equal([...gapped], [3, 2, 1, 0, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15])
})

test.run()
