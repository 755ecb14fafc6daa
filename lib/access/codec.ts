// What ranks tell each other before a collective access, and what rank 0 answers, as bytes: a structured
// clone of the same costs as much as the messages themselves.

import { deserialize, serialize } from 'node:v8'
import { ByteReader, ByteWriter } from '../base/bytes.js'
import { errorOf } from '../base/errors.js'
import type { Packing } from '../comm/values.js'
import type { Failure } from './outcome.js'
import type { Decision, Opening } from './plan.js'
import type { SmallAccess } from './small.js'

/** What rank 0 answers: what all do, or what it has done for them. */
export type Verdict = Exclude<Decision, { readonly how: 'small' }> | Done

/** What rank 0 has moved of a rank's bytes; `data` is what it has read for it. */
export interface Done {
  readonly how: 'done'
  readonly bytes: number
  readonly data: Uint8Array | undefined
}

const HOW = ['failed', 'nothing', 'direct', 'rounds', 'done'] as const

/** Numbers of a message up to so many bytes are put together in memory that stays. */
const KEPT_BYTES = 4096

/** Numbers of an opening besides its list of domains and what is small. */
const OPENING_BYTES = 64

const kept = new ByteWriter(KEPT_BYTES)

/** Bits of an opening. */
const FAILED = 1
const INTERLEAVED = 2
const SMALL = 4

/** How openings travel. */
export const OPENING: Packing<Opening> = {
  pack: (opening) => {
    const { failure, bytes, start, end, pieces, messages, isInterleaved, touching, small } = opening
    const to = writerOf(OPENING_BYTES + 4 * (touching?.length ?? 0) + headBytesOf(small))
    const flags =
      (failure === undefined ? 0 : FAILED) |
      (isInterleaved ? INTERLEAVED : 0) |
      (small === undefined ? 0 : SMALL)
    to.u8(flags).u64(bytes).u64(start).u64(end).u64(pieces).u64(messages)
    to.u32(touching?.length ?? 0)
    if (touching !== undefined) for (const count of touching) to.u32(count)
    if (failure !== undefined) to.lengthPrefixed(serialize(failure))
    if (small === undefined) return [to.copy()]
    packSmall(to, small)
    const parts = [to.copy()]
    for (const { data } of small) if (data !== undefined) parts.push(data)
    return parts
  },
  unpack: (bytes) => {
    const from = new ByteReader(bytes)
    const flags = from.u8()
    const [all, start, end, pieces] = [from.u64(), from.u64(), from.u64(), from.u64()]
    const messages = from.u64()
    const count = from.u32()
    const touching = count === 0 ? undefined : new Uint32Array(count)
    for (let i = 0; i < count && touching !== undefined; i++) touching[i] = from.u32()
    const failure = (flags & FAILED) === 0 ? undefined : failureFrom(from)
    const small = (flags & SMALL) === 0 ? undefined : smallFrom(from)
    from.end()
    const isInterleaved = (flags & INTERLEAVED) !== 0
    return { failure, bytes: all, start, end, pieces, messages, isInterleaved, touching, small }
  },
}

/** How verdicts travel. */
export const VERDICT: Packing<Verdict> = {
  pack: (verdict) => {
    const to = writerOf(verdict.how === 'rounds' ? 32 + 4 * verdict.touching.length : 0)
    to.u8(HOW.indexOf(verdict.how))
    if (verdict.how === 'failed') to.lengthPrefixed(serialize(verdict.failure))
    if (verdict.how === 'rounds') {
      to.u64(verdict.start)
        .u64(verdict.end)
        .u8(verdict.isCombined ? 1 : 0)
      for (const count of verdict.touching) to.u32(count)
    }
    if (verdict.how === 'done') {
      to.u8(verdict.data === undefined ? 0 : 1).u64(verdict.bytes)
      if (verdict.data !== undefined) return [to.copy(), verdict.data]
    }
    return [to.copy()]
  },
  unpack: (bytes) => {
    const from = new ByteReader(bytes)
    const how = HOW[from.u8()]
    switch (how) {
      case 'failed':
        return { how, failure: failureFrom(from) }
      case 'rounds': {
        const [start, end] = [from.u64(), from.u64()]
        const isCombined = from.u8() === 1
        const touching = Uint32Array.from({ length: from.left / 4 }, () => from.u32())
        return { how, start, end, touching, isCombined }
      }
      case 'done': {
        const hasData = from.u8() === 1
        const moved = from.u64()
        const data = hasData ? from.raw(moved) : undefined
        from.end()
        return { how, bytes: moved, data }
      }
      case 'nothing':
      case 'direct':
        return { how }
      default:
        throw errorOf('PROTOCOL', 'collective: a decision that is not known')
    }
  },
}

// What is packed is copied out before anything else is: one writer serves all. More than it is for would stay with it.
function writerOf(bytes: number): ByteWriter {
  return bytes > KEPT_BYTES ? new ByteWriter(bytes) : kept.clear()
}

function headBytesOf(small: readonly SmallAccess[] | undefined): number {
  let bytes = 4
  for (const { regions } of small ?? []) bytes += 9 + 8 * regions.length
  return bytes
}

// The data of all follow behind.
function packSmall(to: ByteWriter, accesses: readonly SmallAccess[]): void {
  to.u32(accesses.length)
  for (const { rank, regions, data } of accesses) {
    to.u32(rank).u32(regions.length)
    for (const number of regions) to.u64(number)
    to.u8(data === undefined ? 0 : 1)
  }
}

function smallFrom(from: ByteReader): SmallAccess[] {
  const accesses: { rank: number; regions: Float64Array; bytes: number; hasData: boolean }[] = []
  for (let left = from.u32(); left > 0; left--) {
    const rank = from.u32()
    const regions = new Float64Array(from.u32())
    let bytes = 0
    for (let i = 0; i < regions.length; i++) {
      const number = from.u64()
      regions[i] = number
      if (i % 2 === 1) bytes += number
    }
    accesses.push({ rank, regions, bytes, hasData: from.u8() === 1 })
  }
  return accesses.map(({ rank, regions, bytes, hasData }) => {
    return { rank, regions, bytes, data: hasData ? from.raw(bytes) : undefined }
  })
}

function failureFrom(from: ByteReader): Failure {
  // Packed by `serialize` of a failure on another rank of this job.
  return deserialize(from.lengthPrefixed(from.left)) as Failure
}
