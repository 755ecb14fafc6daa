// What ranks and aggregators send each other in a round: numbers of 8 bytes, little-endian as every platform
// of Node, then data. Only ranks of one job speak it; an aggregator checks it all the same.

import { errorOf, IoError } from '../base/errors.js'
import { RUN_FIELDS, RunList } from '../base/regions.js'
import type { Communicator } from '../comm/communicator.js'

/** A quarter of all tags: one for each round, of each of four kinds of messages. */
const ROUNDS = 2 ** 29

/** Numbers before the list of a request: rank, whether it is the last of the round, span, entries, bytes. */
const REQUEST_NUMBERS = 6

/** Numbers before the data of a reply: where the data end, whether the aggregator failed. */
const REPLY_NUMBERS = 2

const WIDTH = Float64Array.BYTES_PER_ELEMENT

/** Regions of a domain that a rank wants written or read, some or all of those of a round. */
export interface Request {
  readonly rank: number
  /** Whether no more of it comes in this round. */
  readonly isLast: boolean
  /** File offsets between which all of the rank's bytes lie, over all rounds. */
  readonly start: number
  readonly end: number
  /** Regions of the domain. */
  readonly list: RunList
}

/** What an aggregator answers. */
export interface Answer {
  /** Offset in the domain behind which there are no data; infinite where there are. */
  readonly end: number
  readonly failed: boolean
  readonly data: Uint8Array
}

/** The tag of requests of a round. */
export function requestTag(round: number): number {
  return round % ROUNDS
}

/** The tag of answers of a round. */
export function answerTag(round: number): number {
  return ROUNDS + (round % ROUNDS)
}

/** The tag of what ranks of one host hand to their leader in a round. */
export function handedTag(round: number): number {
  return 2 * ROUNDS + (round % ROUNDS)
}

/** The tag of what the leader gives back. */
export function handedBackTag(round: number): number {
  return 3 * ROUNDS + (round % ROUNDS)
}

/** The numbers of a request; what is to be written follows them. */
export function encodeRequest({ rank, isLast, start, end, list }: Request): Uint8Array {
  const numbers = new Float64Array(REQUEST_NUMBERS + list.entries * RUN_FIELDS)
  numbers.set([rank, isLast ? 1 : 0, start, end, list.entries, list.bytes])
  numbers.set(list.data.subarray(0, list.entries * RUN_FIELDS), REQUEST_NUMBERS)
  return new Uint8Array(numbers.buffer)
}

/** What a message says. Where nobody knows what was meant nobody can go on: the communicator fails with it. */
export function decoded<T>(comm: Communicator, decode: () => T): T {
  try {
    return decode()
  } catch (error) {
    if (error instanceof IoError) comm.fail(error)
    throw error
  }
}

/**
 * A request and its data, none of one that is answered with them; the list is moved by `shift`. Reason PROTOCOL, also
 * for fewer bytes than its list names: what is left in the window of an earlier call would be taken for the rest.
 */
export function decodeRequest(
  message: Uint8Array,
  shift: number,
  isAnswered: boolean,
): Request & { readonly data: Uint8Array } {
  const head = numbersOf(message, 0, REQUEST_NUMBERS)
  const [rank = 0, last = 0, start = 0, end = 0, entries = 0, bytes = 0] = head
  const runs = numbersOf(message, REQUEST_NUMBERS, entries * RUN_FIELDS)
  const list = new RunList(entries)
  for (let i = 0; i < runs.length; i += RUN_FIELDS)
    list.addRun((runs[i] ?? 0) + shift, runs[i + 1] ?? 0, runs[i + 2] ?? 0, runs[i + 3] ?? 0)
  const data = message.subarray((REQUEST_NUMBERS + runs.length) * WIDTH)
  if (list.bytes !== bytes || data.length !== (isAnswered ? 0 : bytes))
    throw errorOf('PROTOCOL', `exchange: ${data.length} bytes of ${bytes} from rank ${rank}`)
  return { rank, isLast: last === 1, start, end, list, data }
}

/** Bytes of an answer with so many bytes of data. */
export function answerBytes(bytes: number): number {
  return REPLY_NUMBERS * WIDTH + bytes
}

/** An answer: numbers, then room for `bytes` of data. Made in `memory`, which is long enough and its buffer's first. */
export function makeAnswer(
  end: number,
  failed: boolean,
  bytes: number,
  memory: Uint8Array,
): Answer & {
  readonly message: Uint8Array
} {
  const message = memory.subarray(0, answerBytes(bytes))
  new Float64Array(message.buffer, 0, REPLY_NUMBERS).set([end, failed ? 1 : 0])
  return { end, failed, data: message.subarray(REPLY_NUMBERS * WIDTH), message }
}

/** The answer that has come to a request of `bytes` bytes. Reason PROTOCOL. */
export function decodeAnswer(message: Uint8Array, bytes: number): Answer {
  const [end = 0, failed = 0] = numbersOf(message, 0, REPLY_NUMBERS)
  const data = message.subarray(REPLY_NUMBERS * WIDTH)
  return checkedAnswer({ end, failed: failed === 1, data }, bytes)
}

/** An answer that brings what was asked for, or nothing where it has failed. Reason PROTOCOL. */
export function checkedAnswer(answer: Answer, bytes: number): Answer {
  const { failed, data } = answer
  if (data.length !== (failed ? 0 : bytes))
    throw errorOf('PROTOCOL', `exchange: ${data.length} bytes for ${bytes}`)
  return answer
}

/** `count` numbers of a message from number `at` on. Reason PROTOCOL. */
export function numbersOf(
  { buffer, byteOffset, length }: Uint8Array,
  at: number,
  count: number,
): Float64Array {
  if (!(count >= 0 && (at + count) * WIDTH <= length))
    throw errorOf('PROTOCOL', `exchange: a message of ${length} bytes that ends too early`)
  return new Float64Array(buffer, byteOffset + at * WIDTH, count)
}
