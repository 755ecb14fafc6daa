// What a check of a whole file system may find: the one table of it, and what is done about each.

import { bytes, list, oneOf, optional, struct, text, u16, u32, u64, type ValueOf } from './codec.js'
import { LIMITS } from './limits.js'

/** What is wrong, in words, and what a repair does about it. */
export interface FindingRow {
  readonly means: string
  /** 'nothing' is left to the operator. */
  readonly repair: string
}

/** Everything that may be found. */
export const FINDINGS = {
  DANGLING_NAME: {
    means: 'a name stands for a file or directory that is not there',
    repair: 'the name is removed',
  },
  WRONG_KIND: {
    means: 'a name says file where there is a directory, or the other way round',
    repair: 'the name says what is there',
  },
  WRONG_PARENT: {
    means: 'a directory names another parent than the one that holds its name',
    repair: 'it names the one that holds its name',
  },
  NAMELESS: {
    means: 'a file or directory has lost its name',
    repair: 'it gets a name in /lost+found',
  },
  TOO_MANY_NAMES: {
    means: 'a file or directory has more than one name',
    repair: 'one name stays, a directory keeps that in its parent',
  },
  UNUSED: {
    means: 'a file without a name is kept by no open',
    repair: 'it is removed, as its last close would have done',
  },
  LOST_PIECE: {
    means: 'an iod has lost a datafile that held bytes of a file',
    repair: 'nothing: a read of them fails, restore or remove the file',
  },
  WRONG_SIZE: {
    means: 'the size of a closed file is not what its datafiles say',
    repair: 'the size becomes what they say; if a datafile has lost its end, it stays lost',
  },
  OPEN_WITHOUT_FILE: {
    means: 'an open of a file that is not there',
    repair: 'it is closed',
  },
  OPEN_WITHOUT_SESSION: {
    means: 'an open of a job that has ended',
    repair: 'it is closed',
  },
  OPEN_OF_OTHER_LAYOUT: {
    means: 'an open with another layout than its file',
    repair: 'nothing: its job must close it',
  },
  ORPHAN_DATAFILE: {
    means: 'a datafile whose file is gone',
    repair: 'it goes into quarantine',
  },
  MISPLACED_DATAFILE: {
    means: 'a datafile on an iod that holds no part of its file',
    repair: 'it goes into quarantine',
  },
  UNKNOWN_HANDLE: {
    means: 'a datafile of a file that the manager has never made: its metadata are older',
    repair: 'nothing: restore newer metadata, or start it once with --restored',
  },
  STRANGER: {
    means: 'something among the datafiles that is none',
    repair: 'nothing: move it away',
  },
  OTHER_OPENS: {
    means: 'an iod knows other opens than the manager',
    repair: 'it is given the whole table anew',
  },
  IOD_AWAY: {
    means: 'an iod could not be asked, so that nothing is known of its datafiles',
    repair: 'nothing: start it, and check again',
  },
} as const satisfies Readonly<Record<string, FindingRow>>

/** The name of a finding. */
export type FindingKind = keyof typeof FINDINGS

const KINDS = Object.keys(FINDINGS) as [FindingKind, ...FindingKind[]]

/** One thing that is wrong. */
export const findingCodec = struct({
  kind: oneOf(...KINDS),
  iod: optional(u16),
  /** The file, directory or datafile; 0 where it is about none. */
  handle: u64,
  /** Its name, or that of a stranger; empty where there is none. */
  path: text(LIMITS.pathBytes),
  /** More about it, or empty. */
  detail: text(),
  /** Whether it was repaired just now. */
  repaired: oneOf('no', 'mended', 'quarantined'),
})

/** One thing that is wrong. */
export type Finding = ValueOf<typeof findingCodec>

/** Where a page of a check begins: names, inodes, files, opens, then the datafiles of each iod. */
export const fsckPlaceCodec = struct({
  stage: oneOf('names', 'inodes', 'files', 'opens', 'datafiles'),
  /** Of the datafiles. */
  iod: u16,
  folder: u16,
  /** The last file, open or datafile that was looked at. */
  handle: u64,
  /** The key of the last name that was looked at. */
  name: bytes(512),
})

/** Where a page of a check begins. */
export type FsckPlace = ValueOf<typeof fsckPlaceCodec>

/** Where a check begins. */
export const FSCK_START: FsckPlace = {
  stage: 'names',
  iod: 0,
  folder: 0,
  handle: 0,
  name: new Uint8Array(0),
}

/** A page of a check. */
export const fsckPageCodec = struct({
  findings: list(findingCodec, LIMITS.findingsPerPage),
  /** Names, files, opens or datafiles that were looked at. */
  checked: u32,
  /** Where the next page begins; absent at the end. */
  next: optional(fsckPlaceCodec),
})

/** A page of a check. */
export type FsckPage = ValueOf<typeof fsckPageCodec>
