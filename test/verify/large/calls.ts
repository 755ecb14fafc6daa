// Single calls as large as calls get: bytes beyond 2^32, ten million pieces, a buffer beyond 2^31. What each moves is
// compared, and what this process and the iods need of memory meanwhile is told.
import { readFileSync, writeFileSync } from 'node:fs'
import * as assert from 'uvu/assert'
import type { Communicator } from '../../../lib/comm/communicator.js'
import { Datatype } from '../../../lib/datatype/datatype.js'
import { File } from '../../../lib/file/file.js'
import { Mode } from '../../../lib/file/mode.js'

const MIB = 2 ** 20

/** What an iod may have resident at its most; a rank, beyond what its program holds. */
export const IOD_BYTES_MAX: number = 128 * MIB
export const RANK_BYTES_MAX: number = 96 * MIB

/** Prime, so that no strip and no request begins where another has begun. */
const BLOCK_BYTES = 1_000_003

/** Blocks that are compared at a time. */
const BLOCKS_AT_ONCE = 16

const { BYTE, FLOAT64 } = Datatype

/** Where calls are made. */
export interface Stand {
  readonly comm: Communicator
  /** Whether the calls are those of one rank, or collective ones in rounds. */
  readonly isCollective: boolean
  readonly iodPids: readonly number[]
}

/** What a call has needed beyond what was there before it; undefined where the system does not tell. */
export interface Needed {
  readonly rank: number | undefined
  /** The most that an iod ever had. */
  readonly iod: number | undefined
}

/** One call that writes a block again and again, by a memory type of stride 0; then all of it is compared. */
export async function writeRepeated(stand: Stand, bytes: number): Promise<Needed> {
  const count = Math.ceil(bytes / BLOCK_BYTES)
  const block = new Uint8Array(BLOCK_BYTES).map((_, i) => Math.imul(i, 0x9e3779b1) >>> 13)
  const datatype = Datatype.hvector(count, BLOCK_BYTES, 0, BYTE)
  await using file = await openOn(stand)
  const peak = new Peak(stand)
  const call = stand.isCollective ? 'writeAtAll' : 'writeAt'
  const status = await file[call](0, { data: block, datatype, count: 1 })
  const needed = peak.take()
  assert.is(status.bytes, count * BLOCK_BYTES)
  assert.is(await file.getSize(), count * BLOCK_BYTES)
  const expected = Buffer.concat(Array.from({ length: BLOCKS_AT_ONCE }, () => block))
  const there = Buffer.alloc(expected.length)
  for (let at = 0; at < count; at += BLOCKS_AT_ONCE) {
    const wanted = Math.min(BLOCKS_AT_ONCE, count - at) * BLOCK_BYTES
    assert.is((await file.readAt(at * BLOCK_BYTES, there)).bytes, wanted)
    const isEqual = there.compare(expected, 0, wanted, 0, wanted) === 0
    assert.ok(isEqual, `something else is in the file behind ${at * BLOCK_BYTES}`)
  }
  return needed
}

/** One call each way of so many pieces of 8 bytes, with gaps of no regular length between. */
export async function movePieces(stand: Stand, count: number): Promise<Needed> {
  const displacements: number[] = []
  for (let i = 0, at = 0; i < count; i++) {
    displacements.push(at)
    at += 16 + 8 * (Math.imul(i, 0x9e3779b1) >>> 29)
  }
  const filetype = Datatype.hindexedBlock({ blocklength: 1, displacements, type: FLOAT64 })
  await using file = await openOn(stand)
  await file.setView({ etype: FLOAT64, filetype })
  return await moveThere(
    file,
    stand,
    new Float64Array(count).map((_, i) => i + 0.5),
  )
}

/** One call each way of a buffer of so many bytes. */
export async function moveBuffer(stand: Stand, bytes: number): Promise<Needed> {
  await using file = await openOn(stand)
  const words = new Float64Array(Math.ceil(bytes / 8))
  for (let i = 0; i < words.length; i++) words[i] = i
  return await moveThere(file, stand, words)
}

/** A few bytes of a buffer of so many, from its first to its last. */
export async function moveSparsely(stand: Stand, bytes: number): Promise<Needed> {
  await using file = await openOn(stand)
  // Pages that nobody touches are not there.
  const buffer = new Uint8Array(bytes)
  const [pieces, length] = [64, 1000]
  const stride = Math.floor((bytes - length) / (pieces - 1))
  const datatype = Datatype.hvector(pieces, length, stride, BYTE)
  const pieceOf = (i: number): Uint8Array => buffer.subarray(i * stride, i * stride + length)
  for (let i = 0; i < pieces; i++) pieceOf(i).fill(i + 1)
  pieceOf(0)[0] = 0xab
  const peak = new Peak(stand)
  const spec = { data: buffer, datatype, count: 1 }
  const [write, read] = waysOf(stand)
  assert.is((await file[write](0, spec)).bytes, pieces * length)
  for (let i = 0; i < pieces; i++) pieceOf(i).fill(0xee)
  assert.is((await file[read](0, spec)).bytes, pieces * length)
  assert.is(pieceOf(0)[0], 0xab)
  for (let i = 0; i < pieces; i++) {
    assert.ok(pieceOf(i).every((byte, at) => byte === i + 1 || i + at === 0))
    if (i > 0) assert.is(buffer[i * stride - 1], 0, 'nothing beside a piece was touched')
  }
  return peak.take()
}

/** Fails where a call has needed more than it may. */
export function expectBounded({ rank, iod }: Needed): void {
  if (rank !== undefined) assert.ok(rank <= RANK_BYTES_MAX, `the rank needed ${inMiB(rank)}`)
  if (iod !== undefined) assert.ok(iod <= IOD_BYTES_MAX, `an iod had ${inMiB(iod)}`)
}

/** Bytes in words. */
export function inMiB(bytes: number | undefined): string {
  return bytes === undefined ? 'an unknown size' : `${(bytes / MIB).toFixed(0)} MiB`
}

async function moveThere(file: File, stand: Stand, values: Float64Array): Promise<Needed> {
  const peak = new Peak(stand)
  const [write, read] = waysOf(stand)
  assert.is((await file[write](0, values)).bytes, values.byteLength)
  const first = values[0]
  values.fill(-1)
  assert.is((await file[read](0, values)).bytes, values.byteLength)
  const needed = peak.take()
  assert.is(values[0], first)
  for (let i = 1; i < values.length; i++)
    if (values[i] !== (first ?? 0) + i) assert.unreachable(`value ${i} is ${values[i]}`)
  return needed
}

function waysOf({ isCollective }: Stand): ['writeAt' | 'writeAtAll', 'readAt' | 'readAtAll'] {
  return isCollective ? ['writeAtAll', 'readAtAll'] : ['writeAt', 'readAt']
}

async function openOn({ comm, isCollective }: Stand): Promise<File> {
  const mode = Mode.RDWR | Mode.CREATE | Mode.DELETE_ON_CLOSE
  const way = isCollective ? 'enable' : 'automatic'
  const info = { rankio_direct: 'off', romio_cb_write: way, romio_cb_read: way }
  return await File.open(comm, `/large-${++files}`, mode, info)
}

let files = 0

/** The most memory from one moment to another. */
class Peak {
  readonly #stand: Stand
  readonly #before: number | undefined

  constructor(stand: Stand) {
    this.#stand = stand
    this.#before = this.#begin()
  }

  take(): Needed {
    const before = this.#before
    const most = bytesOf('self', 'VmHWM')
    const iods = this.#stand.iodPids.map((pid) => bytesOf(pid, 'VmHWM') ?? Number.NaN)
    const iod = Math.max(...iods)
    return {
      rank: before === undefined || most === undefined ? undefined : Math.max(0, most - before),
      iod: Number.isNaN(iod) ? undefined : iod,
    }
  }

  // From now on the kernel counts anew.
  #begin(): number | undefined {
    try {
      writeFileSync('/proc/self/clear_refs', '5')
    } catch {
      return undefined
    }
    return bytesOf('self', 'VmRSS')
  }
}

function bytesOf(pid: number | 'self', field: string): number | undefined {
  try {
    const status = readFileSync(`/proc/${pid}/status`, 'utf8')
    const [, kilobytes] = new RegExp(`^${field}:\\s+(\\d+) kB`, 'm').exec(status) ?? []
    return kilobytes === undefined ? undefined : Number(kilobytes) * 1024
  } catch {
    return undefined
  }
}
