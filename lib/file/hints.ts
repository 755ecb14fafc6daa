// The one table of hints: keys, defaults, what is accepted. It feeds the parsing, `file.info`, the
// documentation and the tests. A hint never changes results; a key that is not here is ignored.

import { IoError } from '../base/errors.js'
import { STRIP_SIZE_MAX, STRIP_SIZE_MIN } from '../layout/striping.js'

/** Hints as a program gives them and as it gets them back: plain values by key. */
export type Info = Readonly<Record<string, string | number | boolean>>

interface HintEntry {
  /** What is in force where nothing is given; undefined where that depends on the file. */
  readonly preset: string | undefined
  /** Whether it must be equal on all ranks. */
  readonly same: boolean
  /** The value in force for a given one, or undefined to ignore it. */
  readonly accept: (value: string) => string | undefined
  readonly meaning: string
}

const wholeNumber =
  (low: number, high: number) =>
  (value: string): string | undefined => {
    if (!/^\d{1,15}$/.test(value.trim())) return undefined
    const number = Number(value)
    return number >= low && number <= high ? String(number) : undefined
  }

const oneOf =
  (...values: readonly string[]) =>
  (value: string): string | undefined => {
    const word = value.trim().toLowerCase()
    return values.includes(word) ? word : undefined
  }

/** 1 GiB: the most that an aggregator holds of a round; what is larger helps nobody. */
const ROUND_BYTES_MAX = 2 ** 30

/** Every hint that is known. */
export const HINTS = {
  striping_unit: {
    preset: undefined,
    same: true,
    accept: (value) => {
      const given = wholeNumber(STRIP_SIZE_MIN, STRIP_SIZE_MAX)(value)
      return given !== undefined && Number.isInteger(Math.log2(Number(given))) ? given : undefined
    },
    meaning: 'Bytes of a strip: a power of two from 4096 to 67108864. At creation only.',
  },
  striping_factor: {
    preset: undefined,
    same: true,
    accept: wholeNumber(1, 1024),
    meaning: 'Iods of the file; more than there are means all. At creation only.',
  },
  start_iodevice: {
    preset: undefined,
    same: true,
    accept: wholeNumber(0, 1023),
    meaning: 'Index of the iod that holds the first strip. At creation only.',
  },
  file_perm: {
    preset: undefined,
    same: true,
    accept: (value) => (/^0?[0-7]{1,4}$/.test(value.trim()) ? value.trim() : undefined),
    meaning: 'Permission bits of a new file, in octal.',
  },
  collective_buffering: {
    preset: 'true',
    same: true,
    accept: oneOf('true', 'false'),
    meaning: 'false = `romio_cb_read` and `romio_cb_write` disable.',
  },
  romio_cb_read: {
    preset: 'automatic',
    same: true,
    accept: oneOf('enable', 'disable', 'automatic'),
    meaning: 'Whether ranks read collectively for each other: enable, disable, automatic.',
  },
  romio_cb_write: {
    preset: 'automatic',
    same: true,
    accept: oneOf('enable', 'disable', 'automatic'),
    meaning: 'Whether ranks write collectively for each other: enable, disable, automatic.',
  },
  cb_nodes: {
    preset: undefined,
    same: true,
    accept: wholeNumber(0, 131_072),
    meaning:
      'Aggregators: ranks that move bytes for others. 0, or more than there are ranks, means all ranks; the default is one for each iod of the file. At open only.',
  },
  cb_config_list: {
    preset: '*:*',
    same: true,
    accept: (value) => value.trim(),
    meaning:
      'Hosts that carry aggregators, and how many each: `host:n`, `*` for any. At open only.',
  },
  cb_buffer_size: {
    preset: String(16 * 2 ** 20),
    same: true,
    accept: wholeNumber(1, ROUND_BYTES_MAX),
    meaning: 'Bytes of one round of an aggregator, up to 1073741824.',
  },
  romio_ds_read: {
    preset: 'automatic',
    same: false,
    accept: oneOf('enable', 'disable', 'automatic'),
    meaning: 'Whether reads take in gaps that cost less than a list: enable, disable, automatic.',
  },
  ind_rd_buffer_size: {
    preset: String(4 * 2 ** 20),
    same: false,
    accept: wholeNumber(1, ROUND_BYTES_MAX),
    meaning: 'Bytes of one read that takes in gaps, up to 1073741824.',
  },
  rankio_manager: {
    preset: undefined,
    same: true,
    accept: (value) => value,
    meaning: 'URL of the manager for a path without one. At open only.',
  },
} as const satisfies Record<string, HintEntry>

/** The key of a hint that is known. */
export type HintKey = keyof typeof HINTS

/** Accepted hints, as text by key. */
export type Hints = Readonly<Partial<Record<HintKey, string>>>

/** Takes what is known and legal of an info. MPI_ERR_ARG, MPI_ERR_INFO_KEY, MPI_ERR_INFO_VALUE for what is no info at all. */
export function acceptHints(info: Info | undefined): Hints {
  if (info === undefined) return {}
  if (typeof info !== 'object' || info === null)
    throw new IoError('MPI_ERR_ARG', 'info: not an object')
  const accepted: Partial<Record<HintKey, string>> = {}
  for (const [key, value] of Object.entries(info)) {
    const text = String(value)
    if (key.length > 256)
      throw new IoError(
        'MPI_ERR_INFO_KEY',
        `info: the key ${JSON.stringify(key.slice(0, 40))}… is longer than 256 characters`,
      )
    if (text.length > 1024)
      throw new IoError(
        'MPI_ERR_INFO_VALUE',
        `info: the value of ${key} is longer than 1024 characters`,
      )
    if (!isHintKey(key)) continue
    const taken = HINTS[key].accept(text)
    if (taken !== undefined) accepted[key] = taken
  }
  return accepted
}

/** The accepted hints, and what is in force where none was. */
export function hintsInForce(hints: Hints): Hints {
  const all: Partial<Record<HintKey, string>> = {}
  for (const key of Object.keys(HINTS).filter(isHintKey)) {
    const value = hints[key] ?? HINTS[key].preset
    if (value !== undefined) all[key] = value
  }
  return all
}

/** The hints that must be equal on all ranks, in one text to compare. */
export function sameHints(hints: Hints): string {
  const keys = Object.keys(HINTS).filter(isHintKey)
  return keys
    .filter((key) => HINTS[key].same && hints[key] !== undefined)
    .map((key) => `${key}=${hints[key]}`)
    .join('\n')
}

/** The number that a hint gives, or undefined. */
export function hintNumber(hints: Hints, key: HintKey): number | undefined {
  const text = hints[key]
  return text === undefined ? undefined : Number(text)
}

/** Ranks that move bytes for others in collectives: what `cb_nodes` gives, by default one for each iod of the file. */
export function aggregatorCount(hints: Hints, ranks: number, iodCount: number): number {
  const given = hintNumber(hints, 'cb_nodes') ?? Math.min(iodCount, ranks)
  return given === 0 || given > ranks ? ranks : given
}

function isHintKey(key: string): key is HintKey {
  return Object.hasOwn(HINTS, key)
}
