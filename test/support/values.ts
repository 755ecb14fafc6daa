// Values for any codec of the protocol, made from its own description: its reader is given a source
// that makes up whatever is read. So an operation that is added is tested without a word more.
import { ByteReader } from '../../lib/base/bytes.js'
import { IoError } from '../../lib/base/errors.js'
import { type Codec, encode } from '../../lib/protocol/codec.js'
import { Random } from './random.js'

/** How often another value is tried where a codec refuses what was made up: a word of one only, for example. */
const ATTEMPTS = 1000

/** Of so many values the one with the longest bytes is the sample. */
const SAMPLES = 20

/** A value of `codec`, drawn from `random`. */
export function valueOf<T>(codec: Codec<T>, random: Random): T {
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    try {
      return codec.read(new Inventor(random))
    } catch (error) {
      if (!(error instanceof IoError)) throw error
    }
  }
  throw new RangeError('no value of this codec could be made up')
}

/** The value of `codec` that golden bytes are made of: the same each time, with lists and options filled. */
export function sampleOf<T>(codec: Codec<T>): T {
  let best = valueOf(codec, new Random(0))
  for (let seed = 1; seed < SAMPLES; seed++) {
    const other = valueOf(codec, new Random(seed))
    if (encode(codec, other).length > encode(codec, best).length) best = other
  }
  return best
}

// Bytes are small, so that they are words, flags and booleans as well; a list has a few entries.
class Inventor extends ByteReader {
  readonly #random: Random

  constructor(random: Random) {
    super(new Uint8Array(0))
    this.#random = random
  }

  override get left(): number {
    return Number.MAX_SAFE_INTEGER
  }

  override u8(): number {
    return this.#random.int(0, 1)
  }

  override u16(): number {
    return this.#random.int(0, 0xffff)
  }

  override u32(): number {
    return this.#random.int(0, 3)
  }

  override u64(): number {
    return this.#random.int(0, this.#random.pick([255, 2 ** 32, Number.MAX_SAFE_INTEGER]))
  }

  override raw(length: number): Uint8Array {
    return this.#random.bytes(length)
  }

  override lengthPrefixed(lengthMax: number): Uint8Array {
    return this.#random.bytes(this.#random.int(0, Math.min(4, lengthMax)))
  }

  override string(lengthMax: number): string {
    return this.#random
      .pick(['', 'a', '/data/file', 'grün', '😀 und mehr'])
      .slice(0, Math.floor(lengthMax / 4))
  }
}
