// The one table of hints: keys, defaults, what is accepted and when. It feeds the parsing, `file.info`, the
// documentation and the tests. A hint never changes results; a key that is not here is ignored.

import { isConfigList } from '../access/aggregators.js'
import type { Choice, CollectiveSettings } from '../access/plan.js'
import { IoError, asText } from '../base/errors.js'
import type { DirectChoice } from '../driver/direct.js'
import type { Sieving } from '../driver/driver.js'
import { STRIP_SIZE_MAX, STRIP_SIZE_MIN } from '../layout/striping.js'
import { LIMITS } from '../protocol/limits.js'

/** Hints as a program gives them and as it gets them back: plain values by key. */
export type Info = Readonly<Record<string, string | number | boolean>>

interface HintEntry {
  /** What is in force where nothing is given; undefined where that depends on the file, or where nothing is then. */
  readonly preset: string | undefined
  /** Whether it must be equal on all ranks. */
  readonly same: boolean
  /** What takes it: the creation of a file, its open, these and `setInfo` and `setView`, or nothing: it is told only. */
  readonly taken: 'creation' | 'open' | 'always' | 'never'
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

const listOf =
  (...values: readonly string[]) =>
  (value: string): string | undefined =>
    value.split(',').every((word) => values.includes(word.trim())) ? value : undefined

const always = (value: string | undefined) => (): string | undefined => value

const kept = (value: string): string => value

/** 1 GiB: the most that an aggregator holds of a round; what is larger helps nobody. */
const ROUND_BYTES_MAX = 2 ** 30

/** Some 24 days: the most that a timer of the platform can wait. */
const TIMEOUT_MS_MAX = 2 ** 31 - 1

/** Every hint that is known: the standard's, ROMIO's and those of this library. */
export const HINTS = {
  access_style: {
    preset: undefined,
    same: false,
    taken: 'always',
    accept: listOf(
      'read_once',
      'write_once',
      'read_mostly',
      'write_mostly',
      'sequential',
      'reverse_sequential',
      'random',
    ),
    meaning: 'Words of the standard, with commas; kept, without effect.',
  },
  collective_buffering: {
    preset: 'true',
    same: true,
    taken: 'always',
    accept: oneOf('true', 'false'),
    meaning: 'false = `romio_cb_read` and `romio_cb_write` disable.',
  },
  cb_buffer_size: {
    preset: String(16 * 2 ** 20),
    same: true,
    taken: 'always',
    accept: wholeNumber(1, ROUND_BYTES_MAX),
    meaning: 'Bytes of one round of an aggregator, up to 1073741824.',
  },
  cb_nodes: {
    preset: undefined,
    same: true,
    taken: 'open',
    accept: (value) =>
      /^-\d{1,15}$/.test(value.trim()) ? '0' : wholeNumber(0, LIMITS.ranks)(value),
    meaning:
      'Aggregators: ranks that move bytes for others. 0 or less, or more than there are ranks, means all ranks; the default is one for each iod of the file.',
  },
  cb_config_list: {
    preset: '*:*',
    same: true,
    taken: 'open',
    accept: (value) => (isConfigList(value) ? value.trim() : undefined),
    meaning:
      'Hosts that carry aggregators, and how many each: `host:n` with commas between, `*` for any; an open fails where no rank is on one.',
  },
  file_perm: {
    preset: undefined,
    same: true,
    taken: 'creation',
    accept: (value) => (/^0?[0-7]{1,4}$/.test(value.trim()) ? value.trim() : undefined),
    meaning: 'Permission bits of a new file, in octal; 644 if not given.',
  },
  filename: {
    preset: undefined,
    same: false,
    taken: 'never',
    accept: always(undefined),
    meaning: 'The name at the manager.',
  },
  io_node_list: {
    preset: undefined,
    same: false,
    taken: 'never',
    accept: always(undefined),
    meaning: 'Indices of the iods of the file, in the order of its strips.',
  },
  nb_proc: {
    preset: undefined,
    same: true,
    taken: 'open',
    accept: wholeNumber(1, LIMITS.ranks),
    meaning: 'Processes that will use the file; kept, without effect.',
  },
  num_io_nodes: {
    preset: undefined,
    same: false,
    taken: 'never',
    accept: always(undefined),
    meaning: 'Iods of the file system.',
  },
  striping_factor: {
    preset: undefined,
    same: true,
    taken: 'creation',
    accept: wholeNumber(1, LIMITS.iods),
    meaning: 'Iods of the file; more than there are means all, as by default.',
  },
  striping_unit: {
    preset: undefined,
    same: true,
    taken: 'creation',
    accept: (value) => {
      const given = wholeNumber(STRIP_SIZE_MIN, STRIP_SIZE_MAX)(value)
      return given !== undefined && Number.isInteger(Math.log2(Number(given))) ? given : undefined
    },
    meaning: 'Bytes of a strip: a power of two from 4096 to 67108864; 65536 if not given.',
  },
  start_iodevice: {
    preset: undefined,
    same: true,
    taken: 'creation',
    accept: wholeNumber(0, LIMITS.iods - 1),
    meaning: 'Index of the iod that holds the first strip; the manager chooses if it is not given.',
  },
  romio_cb_read: {
    preset: 'automatic',
    same: true,
    taken: 'always',
    accept: oneOf('enable', 'disable', 'automatic'),
    meaning: 'Whether ranks read collectively for each other: enable, disable, automatic.',
  },
  romio_cb_write: {
    preset: 'automatic',
    same: true,
    taken: 'always',
    accept: oneOf('enable', 'disable', 'automatic'),
    meaning: 'Whether ranks write collectively for each other: enable, disable, automatic.',
  },
  romio_no_indep_rw: {
    preset: 'false',
    same: true,
    taken: 'open',
    // ROMIO knows these two words only, in small letters.
    accept: (value) => (value === 'true' || value === 'false' ? value : undefined),
    meaning: 'true = `romio_cb_read` and `romio_cb_write` enable, whatever they were given.',
  },
  romio_ds_read: {
    preset: 'automatic',
    same: false,
    taken: 'always',
    accept: oneOf('enable', 'disable', 'automatic'),
    meaning: 'Whether reads take in gaps that cost less than a list: enable, disable, automatic.',
  },
  romio_ds_write: {
    preset: 'disable',
    same: false,
    taken: 'always',
    accept: always('disable'),
    meaning: 'Whatever is given, writes leave gaps alone.',
  },
  ind_rd_buffer_size: {
    preset: String(4 * 2 ** 20),
    same: false,
    taken: 'always',
    accept: wholeNumber(1, ROUND_BYTES_MAX),
    meaning: 'Bytes of one read that takes in gaps, up to 1073741824.',
  },
  ind_wr_buffer_size: {
    preset: String(512 * 1024),
    same: false,
    taken: 'always',
    accept: wholeNumber(1, ROUND_BYTES_MAX),
    meaning: 'Kept, without effect.',
  },
  romio_synchronized_flush: {
    preset: 'enabled',
    same: false,
    taken: 'never',
    accept: always(undefined),
    meaning: '`sync` is also a barrier.',
  },
  romio_visibility_immediate: {
    preset: 'true',
    same: false,
    taken: 'never',
    accept: always(undefined),
    meaning: 'A write that was acknowledged is visible to all.',
  },
  romio_filesystem_type: {
    preset: 'rankio: striped over iods',
    same: false,
    taken: 'never',
    accept: always(undefined),
    meaning: 'The driver in words.',
  },
  rankio_manager: {
    preset: undefined,
    same: true,
    taken: 'open',
    accept: kept,
    meaning: 'URL of the manager for a path without one; `RANKIO_MANAGER` if not given.',
  },
  rankio_operation_timeout: {
    preset: '120000',
    same: false,
    taken: 'always',
    accept: wholeNumber(1, TIMEOUT_MS_MAX),
    meaning: 'Milliseconds of one request with all its repeats, up to 2147483647.',
  },
  rankio_direct: {
    preset: 'read',
    same: false,
    taken: 'always',
    accept: oneOf('off', 'read', 'rw'),
    meaning:
      'What goes past an iod on the same host, straight to its datafile: off, read, rw = writes as well.',
  },
  rankio_combine: {
    preset: 'automatic',
    same: true,
    taken: 'always',
    accept: oneOf('enable', 'disable', 'automatic'),
    meaning:
      'Whether the ranks of a host send to aggregators of other hosts together: enable, disable, automatic.',
  },
  rankio_transport: {
    preset: undefined,
    same: false,
    taken: 'never',
    accept: always(undefined),
    meaning:
      'How the connections of this rank receive: streaming, or stock where Node does not allow that or `RANKIO_TRANSPORT` says so.',
  },
  rankio_collective_timeout: {
    preset: '0',
    same: false,
    taken: 'always',
    accept: wholeNumber(0, TIMEOUT_MS_MAX),
    meaning:
      'Milliseconds that a collective waits for ranks that are alive, up to 2147483647; 0 = no limit.',
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
  // Entries of a Map or a list are no properties, so that all hints would be lost without a word.
  if (Symbol.iterator in info)
    throw new IoError(
      'MPI_ERR_ARG',
      'info: a plain object is wanted, such as Object.fromEntries(…)',
    )
  const accepted: Partial<Record<HintKey, string>> = {}
  for (const [key, value] of Object.entries(info)) {
    const text = asText(value)
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

/** What an info has in vain: keys that are not known, and values that are not legal. What is told only may be given again. */
export function ignoredHints(info: Info = {}): Info {
  const accepted = acceptHints(info)
  const isToldOnly = (key: string): boolean => isHintKey(key) && HINTS[key].taken === 'never'
  return Object.fromEntries(
    Object.entries(info).filter(([key]) => !Object.hasOwn(accepted, key) && !isToldOnly(key)),
  )
}

/** Of accepted hints those that an open file takes. */
export function changeable(hints: Hints): Hints {
  return Object.fromEntries(
    Object.entries(hints).filter(([key]) => isHintKey(key) && HINTS[key].taken === 'always'),
  )
}

/** The accepted hints, and what is in force where none was; those that others decide have the value that follows. */
export function hintsInForce(hints: Hints): Hints {
  const all: Partial<Record<HintKey, string>> = {}
  for (const key of Object.keys(HINTS).filter(isHintKey)) {
    const value = hints[key] ?? HINTS[key].preset
    if (value !== undefined) all[key] = value
  }
  const both = (choice: Choice): Hints => ({
    ...all,
    romio_cb_read: choice,
    romio_cb_write: choice,
  })
  // The last word is ROMIO's: its promise that all access is collective is looked at after the others.
  if (all.romio_no_indep_rw === 'true') return both('enable')
  return all.collective_buffering === 'false' ? both('disable') : all
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

/**
 * Ranks that move bytes for others in collectives: as many as `cb_nodes` gives, by default one for each iod of
 * the file, of those that `cb_config_list` allows. `candidates` are these.
 */
export function aggregatorsOf(
  hints: Hints,
  candidates: readonly number[],
  ranks: number,
  iodCount: number,
): number[] {
  const given = hintNumber(hints, 'cb_nodes') ?? Math.min(iodCount, ranks)
  return candidates.slice(0, given === 0 || given > ranks ? ranks : given)
}

/** How the ranks of a file move bytes together, as the hints say. */
export function collectiveSettings(
  hints: Hints,
  aggregators: readonly number[],
): CollectiveSettings {
  const { romio_cb_read, romio_cb_write, rankio_combine, cb_buffer_size } = hintsInForce(hints)
  return {
    aggregators,
    bufferSize: Number(cb_buffer_size),
    combine: choiceOf(rankio_combine),
    read: choiceOf(romio_cb_read),
    write: choiceOf(romio_cb_write),
  }
}

/** How reads treat the gaps between their regions, as the hints say. */
export function sievingOf(hints: Hints): Sieving {
  const { romio_ds_read, ind_rd_buffer_size } = hintsInForce(hints)
  return { choice: choiceOf(romio_ds_read), windowBytes: Number(ind_rd_buffer_size) }
}

/** Which accesses may go past the iods, as the hints say. */
export function directOf(hints: Hints): DirectChoice {
  const { rankio_direct } = hintsInForce(hints)
  return rankio_direct === 'read' || rankio_direct === 'rw' ? rankio_direct : 'off'
}

function choiceOf(hint: string | undefined): Choice {
  return hint === 'enable' || hint === 'disable' ? hint : 'automatic'
}

function isHintKey(key: string): key is HintKey {
  return Object.hasOwn(HINTS, key)
}
