// What mpi4py's tests of I/O run over: all element types, with a file for each rank alone and one for all.
import type { Test } from 'uvu'
import * as assert from 'uvu/assert'
import type { Communicator } from '../../lib/comm/communicator.js'
import { Datatype } from '../../lib/datatype/datatype.js'
import type { Block } from '../../lib/file/blocks.js'
import { File } from '../../lib/file/file.js'
import { Mode } from '../../lib/file/mode.js'
import { onCluster } from '../support/ranks.js'

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

/** Adds a test of `body` on each element type, by each rank alone and by two and three ranks. */
export function onTypes(
  test: Test,
  name: string,
  body: (file: File, element: ElementType, comm: Communicator) => Promise<void>,
): void {
  test(`${name}, by each rank alone and by all`, async () => {
    await onCluster(3, async (comm) => {
      const alone = await comm.split(comm.rank)
      const pair = await comm.split(comm.rank < 2 ? 0 : (undefined as never))
      for (const [index, group] of [alone, pair, comm].entries()) {
        if (group === undefined) continue
        const path = `/io-${index}-${index === 0 ? comm.rank : ''}`
        await using file = await File.open(group, path, AMODE)
        for (const element of TYPES) {
          await file.setSize(0)
          await file.setView({ etype: element.type })
          await body(file, element, group)
          await file.sync()
        }
      }
    })
  })
}

/** The first 13 elements are 42, and the one behind them is what it was. */
export function check(element: ElementType, buffer: Block, value = 42): void {
  const expected = element.filled(COUNT + 1, 99)
  expected.set(element.filled(COUNT, value) as never)
  assert.equal(buffer, expected)
}
