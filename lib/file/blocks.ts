// Blocks of a file, one after the other, for `for await`: read from the individual pointer on, the next one while
// the last is looked at.

import { IoError, shown } from '../base/errors.js'
import { expectOptions, type OptionKeys } from '../base/options.js'
import { Datatype } from '../datatype/datatype.js'
import type { OpenFile } from './open-file.js'
import { accessAt } from './accesses.js'
import type { Status } from './status.js'

/** Elements of one block, in the kind of array that its datatype implies. */
export type Block =
  | Int8Array
  | Uint8Array
  | Int16Array
  | Uint16Array
  | Int32Array
  | Uint32Array
  | BigInt64Array
  | BigUint64Array
  | Float32Array
  | Float64Array

/** What blocks are made of. */
export interface BlockOptions {
  /** A basic type; bytes by default. */
  readonly datatype?: Datatype | undefined
  /** Elements of a block; the last one may have fewer. */
  readonly count: number
}

const KEYS: OptionKeys<BlockOptions> = { datatype: true, count: true }

type MakeBlock = new (length: number) => Block

/** One for each basic type. */
const ARRAYS: ReadonlyMap<Datatype, MakeBlock> = new Map<Datatype, MakeBlock>([
  [Datatype.BYTE, Uint8Array],
  [Datatype.CHAR, Uint8Array],
  [Datatype.INT8, Int8Array],
  [Datatype.UINT8, Uint8Array],
  [Datatype.INT16, Int16Array],
  [Datatype.UINT16, Uint16Array],
  [Datatype.INT32, Int32Array],
  [Datatype.UINT32, Uint32Array],
  [Datatype.INT64, BigInt64Array],
  [Datatype.UINT64, BigUint64Array],
  [Datatype.FLOAT32, Float32Array],
  [Datatype.FLOAT64, Float64Array],
])

interface Reading {
  readonly block: Block
  readonly status: Promise<Status>
}

/** Reads blocks from the individual pointer to the end of the file. What `File.blocks` says. */
export async function* blocksOf(
  file: OpenFile,
  options: BlockOptions,
): AsyncGenerator<Block, void> {
  expectOptions('blocks', options, KEYS)
  const { datatype = Datatype.BYTE, count } = options
  const make = makerOf(datatype)
  if (!Number.isSafeInteger(count) || count < 1)
    throw new IoError('MPI_ERR_COUNT', `blocks: ${shown(count)} is no number of elements`)
  file.expectOpen('blocks')
  file.expectOffsets('blocks')
  const etypes = (count * datatype.size) / file.view.view.etype.size
  let next = file.pointer.position
  const read = (): Reading => {
    const block = new make(count)
    const status = accessAt(file, { name: 'blocks', kind: 'read' }, next, {
      data: block,
      datatype,
    })
    // One that fails is told when its turn comes, if it does.
    status.catch(() => {})
    next += etypes
    return { block, status }
  }
  for (let reading = read(); ; ) {
    const { block, status } = reading
    const start = next - etypes
    const elements = (await status).elements(datatype)
    const isLast = elements < count
    if (elements === 0) return
    if (!isLast) reading = read()
    file.pointer.set(
      start + Math.ceil((elements * datatype.size * etypes) / (count * datatype.size)),
    )
    yield elements === count ? block : block.subarray(0, elements)
    if (isLast) return
  }
}

function makerOf(datatype: unknown): MakeBlock {
  const make = datatype instanceof Datatype ? ARRAYS.get(datatype) : undefined
  if (make !== undefined) return make
  throw new IoError('MPI_ERR_TYPE', 'blocks: their datatype is none of the basic ones')
}
