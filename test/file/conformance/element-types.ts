// What mpi4py's tests of I/O run over: all element types, with a file for each rank alone and one for all.
import * as assert from 'uvu/assert'
import type { Communicator } from '../../../lib/comm/communicator.js'
import { Datatype } from '../../../lib/datatype/datatype.js'
import type { Block } from '../../../lib/file/blocks.js'
import type { File } from '../../../lib/file/file.js'
import { Mode } from '../../../lib/file/mode.js'
import { type Conforms, ONE_STRIP, type Place, RANKS } from './case.js'

const { INT16, INT32, INT64, FLOAT32, FLOAT64 } = Datatype

/** Elements of each access. */
export const COUNT = 13

/** Access mode of each file. */
export const AMODE = Mode.RDWR | Mode.CREATE | Mode.DELETE_ON_CLOSE | Mode.UNIQUE_OPEN

/** An element type: its datatype, and arrays of it. */
export interface ElementType {
  readonly type: Datatype
  /** `length` elements of a value. */
  readonly filled: (length: number, value: number) => Block
}

const numbers =
  (type: Datatype, Kind: new (length: number) => Exclude<Block, BigInt64Array | BigUint64Array>) =>
  (): ElementType => ({ type, filled: (length, value) => new Kind(length).fill(value) })

/** Every type that has an array of its own. */
export const TYPES: readonly ElementType[] = [
  numbers(Datatype.INT8, Int8Array),
  numbers(Datatype.UINT8, Uint8Array),
  numbers(INT16, Int16Array),
  numbers(Datatype.UINT16, Uint16Array),
  numbers(INT32, Int32Array),
  numbers(Datatype.UINT32, Uint32Array),
  numbers(FLOAT32, Float32Array),
  numbers(FLOAT64, Float64Array),
]
  .map((make) => make())
  .concat([
    { type: INT64, filled: (n, value) => new BigInt64Array(n).fill(BigInt(value)) },
    { type: Datatype.UINT64, filled: (n, value) => new BigUint64Array(n).fill(BigInt(value)) },
  ])

/** Adds two cases of `body` for each element type: on a file of each rank alone, and on one of all. */
export function onTypes(
  conforms: Conforms,
  name: string,
  body: (file: File, element: ElementType, comm: Communicator) => Promise<void>,
): void {
  for (const element of TYPES) {
    const run = async (at: Place): Promise<void> => {
      await using file = await at.open('/io', AMODE)
      await file.setView({ etype: element.type })
      await body(file, element, at.comm)
    }
    const runAlone = async (each: Place): Promise<void> => {
      await using at = await each.alone()
      await run(at)
    }
    const options = { strips: ONE_STRIP, isRepeat: element.type !== INT32 }
    conforms(`${name}, ${element.type.name}, by each rank alone`, RANKS, runAlone, options)
    conforms(`${name}, ${element.type.name}, by all`, RANKS, run, options)
  }
}

/** The first 13 elements are 42, and the one behind them is what it was. */
export function check(element: ElementType, buffer: Block, value = 42): void {
  const expected = element.filled(COUNT + 1, 99)
  expected.set(element.filled(COUNT, value) as never)
  assert.equal(buffer, expected)
}
