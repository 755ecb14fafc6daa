// What ranks of one host hand to the leader that sends for them, and what it gives back: numbers of 8 bytes,
// little-endian as in `exchange.ts`, then data. A leader checks it.

import { errorOf } from '../base/errors.js'
import { RUN_FIELDS, RunList } from '../base/regions.js'
import { type Answer, checkedAnswer, numbersOf } from './exchange.js'

/** Numbers of a handover: rank, whether it is the last of the round, span, parts, bytes of data. */
const HANDED_NUMBERS = 6

/** Numbers of each part before its runs: domain, entries, bytes. */
const PART_NUMBERS = 3

/** Numbers of what is given back for each part: where the data end, whether the aggregator failed, bytes. */
const BACK_NUMBERS = 3

const WIDTH = Float64Array.BYTES_PER_ELEMENT

/** Regions of one domain that a rank wants written or read. */
export interface HandedPart {
  readonly domain: number
  /** Regions of the domain. */
  readonly list: RunList
}

/** Regions of some domains, and what is to be written there. */
export interface Handed {
  readonly rank: number
  /** Whether no more of it comes in this round. */
  readonly isLast: boolean
  /** File offsets between which all of the rank's bytes lie, over all rounds. */
  readonly start: number
  readonly end: number
  readonly parts: readonly HandedPart[]
}

/** The numbers of a handover; the data of all parts, `bytes` of them, follow. */
export function encodeHanded(
  { rank, isLast, start, end, parts }: Handed,
  bytes: number,
): Uint8Array {
  let size = HANDED_NUMBERS
  for (const { list } of parts) size += PART_NUMBERS + list.entries * RUN_FIELDS
  const numbers = new Float64Array(size)
  numbers.set([rank, isLast ? 1 : 0, start, end, parts.length, bytes])
  let at = HANDED_NUMBERS
  for (const { domain, list } of parts) {
    numbers.set([domain, list.entries, list.bytes], at)
    at += PART_NUMBERS
    numbers.set(list.data.subarray(0, list.entries * RUN_FIELDS), at)
    at += list.entries * RUN_FIELDS
  }
  return new Uint8Array(numbers.buffer)
}

/** A handover and its data, one part after the other; none of one that is answered with them. Reason PROTOCOL. */
export function decodeHanded(
  message: Uint8Array,
  isAnswered: boolean,
): Handed & { readonly data: Uint8Array } {
  const head = numbersOf(message, 0, HANDED_NUMBERS)
  const [rank = 0, last = 0, start = 0, end = 0, count = 0, bytes = 0] = head
  const parts: HandedPart[] = []
  let at = HANDED_NUMBERS
  let listed = 0
  for (let i = 0; i < count; i++) {
    const [domain = 0, entries = 0, wanted = 0] = numbersOf(message, at, PART_NUMBERS)
    at += PART_NUMBERS
    const runs = numbersOf(message, at, entries * RUN_FIELDS)
    at += runs.length
    const list = new RunList(entries)
    for (let k = 0; k < runs.length; k += RUN_FIELDS)
      list.addRun(runs[k] ?? 0, runs[k + 1] ?? 0, runs[k + 2] ?? 0, runs[k + 3] ?? 0)
    if (list.bytes !== wanted) throw broken(`${list.bytes} bytes of ${wanted}`, rank)
    listed += wanted
    parts.push({ domain, list })
  }
  const data = message.subarray(at * WIDTH)
  if (data.length !== bytes || bytes !== (isAnswered ? 0 : listed))
    throw broken(`${data.length} bytes of data for ${listed}`, rank)
  return { rank, isLast: last === 1, start, end, parts, data }
}

/** What is given back, an answer for each part: numbers, then the data of each. */
export function encodeBack(answers: readonly Answer[]): Uint8Array[] {
  const numbers = new Float64Array(answers.length * BACK_NUMBERS)
  for (const [i, { end, failed, data }] of answers.entries())
    numbers.set([end, failed ? 1 : 0, data.length], i * BACK_NUMBERS)
  return [new Uint8Array(numbers.buffer), ...answers.map(({ data }) => data)]
}

/** The answers that were given back, to parts of `wanted` bytes each. Reason PROTOCOL. */
export function decodeBack(message: Uint8Array, wanted: readonly number[]): Answer[] {
  const numbers = numbersOf(message, 0, wanted.length * BACK_NUMBERS)
  let at = numbers.byteLength
  const answers: Answer[] = []
  for (const [i, due] of wanted.entries()) {
    const [end = 0, failed = 0, bytes = 0] = numbers.subarray(i * BACK_NUMBERS)
    const data = message.subarray(at, at + bytes)
    at += bytes
    answers.push(checkedAnswer({ end, failed: failed === 1, data }, due))
  }
  if (at !== message.length)
    throw errorOf('PROTOCOL', `exchange: ${message.length} bytes given back for ${at}`)
  return answers
}

function broken(what: string, rank: number): Error {
  return errorOf('PROTOCOL', `exchange: ${what} from rank ${rank} of this host`)
}
