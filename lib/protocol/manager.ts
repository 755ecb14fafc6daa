// The table of the manager's operations: what clients and iods may ask of it.

import { bool, id, list, oneOf, optional, struct, text, u8, u16, u32, u64 } from './codec.js'
import { fsckPageCodec, fsckPlaceCodec } from './findings.js'
import { COMMON } from './hello.js'
import { LIMITS } from './limits.js'
import { operation } from './operation.js'
import {
  attributesCodec,
  intentCodec,
  iodList,
  iodStatusCodec,
  layoutCodec,
  openRecordCodec,
  partBitmap,
} from './records.js'

const path = text(LIMITS.pathBytes)
const empty = struct({})

/** Bits of the flags of `open`. With ADVISORY an impossible layout is made possible instead of refused. */
export const OPEN_FLAGS = { CREATE: 1, EXCLUSIVE: 2, TRUNCATE: 4, ADVISORY: 8 } as const

/** The number of an iod or of a size that the manager is to choose. */
export const CHOOSE = 65_535

/** Bytes from one offset of the file to another, and whether nobody else may use them. */
const rangeShape = { from: u64, to: u64, exclusive: bool }

const snapshot = struct({
  epoch: u64,
  epochId: id,
  /** Version of the open table of this iod that the snapshot is. */
  version: u64,
  /** Of the first `iodtabCount` entries of the manager's iodtab: an iod remembers it, so that a re-ordered one is noticed. */
  iodtabHash: text(64),
  iodtabCount: u16,
  /** A first chunk; the rest is fetched with `snapshotChunk`. */
  records: list(openRecordCodec, LIMITS.recordsPerChunk),
  intents: list(intentCodec, LIMITS.recordsPerChunk),
  /** Handles that are being cut now: their data requests wait. */
  held: list(u64, LIMITS.heldHandles),
  more: bool,
})

/** Operations of the manager, by name. */
export const MANAGER = {
  ...COMMON,
  /** A rank joins its job; answered when all have. */
  join: operation({
    op: 16,
    from: 'client',
    idempotent: true,
    request: struct({
      job: text(LIMITS.jobNameBytes),
      rank: u32,
      size: u32,
      url: text(),
      hostId: text(),
    }),
    reply: struct({
      sessionId: id,
      ranks: list(struct({ url: text(), hostId: text() }), LIMITS.ranks),
    }),
  }),
  /** A session ends: its opens are closed. */
  leave: operation({ op: 17, from: 'client', idempotent: true, request: empty, reply: empty }),
  stat: operation({
    op: 20,
    from: 'client',
    idempotent: true,
    request: struct({ path }),
    reply: struct({ attributes: attributesCodec }),
  }),
  open: operation({
    op: 21,
    from: 'client',
    idempotent: false,
    request: struct({
      path,
      flags: u8,
      rights: u16,
      /** Permission bits and owner of a new file. */
      mode: u16,
      uid: u32,
      gid: u32,
      /** Layout of a new file; 0 = the manager's default, for `iodCount` too. */
      stripSize: u32,
      iodCount: u16,
      /** CHOOSE leaves it to the manager. */
      firstIod: u16,
    }),
    reply: struct({
      capability: id,
      layout: layoutCodec,
      attributes: attributesCodec,
      created: bool,
      iods: iodList,
    }),
  }),
  close: operation({
    op: 22,
    from: 'client',
    idempotent: true,
    request: struct({
      capability: id,
      size: optional(u64),
      mtimeMs: optional(u64),
      parts: partBitmap,
    }),
    reply: empty,
  }),
  /** A new capability in place of one that an iod does not know; the same one for each who asks. */
  reopen: operation({
    op: 23,
    from: 'client',
    idempotent: true,
    request: struct({ capability: id }),
    reply: struct({ capability: id }),
  }),
  mkdir: operation({
    op: 24,
    from: 'client',
    idempotent: false,
    request: struct({ path, mode: u16, uid: u32, gid: u32 }),
    reply: empty,
  }),
  rmdir: operation({
    op: 25,
    from: 'client',
    idempotent: false,
    request: struct({ path }),
    reply: empty,
  }),
  readdir: operation({
    op: 26,
    from: 'client',
    idempotent: true,
    request: struct({ path, after: text(LIMITS.nameBytes) }),
    reply: struct({
      entries: list(
        struct({ name: text(LIMITS.nameBytes), kind: oneOf('file', 'directory'), handle: u64 }),
        LIMITS.namesPerPage,
      ),
      more: bool,
    }),
  }),
  rename: operation({
    op: 27,
    from: 'client',
    idempotent: false,
    request: struct({ from: path, to: path }),
    reply: empty,
  }),
  unlink: operation({
    op: 28,
    from: 'client',
    idempotent: false,
    /** With a handle, only that file: another that took the name is spared. */
    request: struct({ path, handle: optional(u64) }),
    reply: empty,
  }),
  /** Sets the size of an open file, or of one by its path. */
  truncate: operation({
    op: 29,
    from: 'client',
    idempotent: false,
    request: struct({ path: optional(path), capability: optional(id), size: u64 }),
    reply: empty,
  }),
  setAttributes: operation({
    op: 30,
    from: 'client',
    idempotent: true,
    request: struct({
      path,
      mode: optional(u16),
      uid: optional(u32),
      gid: optional(u32),
      mtimeMs: optional(u64),
      atimeMs: optional(u64),
    }),
    reply: empty,
  }),
  statfs: operation({
    op: 31,
    from: 'client',
    idempotent: true,
    request: empty,
    reply: struct({ total: u64, free: u64, iodCount: u16 }),
  }),
  iods: operation({
    op: 32,
    from: 'client',
    idempotent: true,
    request: empty,
    reply: struct({ iods: iodList }),
  }),
  /** What of a file is on disk: recorded before `sync` is answered, so that a lost datafile is told from a hole. */
  noteData: operation({
    op: 33,
    from: 'client',
    idempotent: true,
    request: struct({ capability: id, parts: partBitmap }),
    reply: empty,
  }),
  status: operation({
    op: 34,
    from: 'client',
    idempotent: true,
    request: empty,
    reply: struct({
      fsid: id,
      epoch: u64,
      opens: u32,
      sessions: u32,
      jobs: struct({ count: u32, ranks: u64, connected: u64 }),
      reopens: u64,
      intents: u32,
      iods: list(iodStatusCodec, LIMITS.iods),
    }),
  }),
  /** Moves the shared pointer of an open, in etypes, and tells where it was before. */
  sharedPointer: operation({
    op: 35,
    from: 'client',
    idempotent: false,
    request: struct({
      capability: id,
      /** Views that the open has had before this one: each has a counter of its own. */
      view: u32,
      /** Where the pointer of this view begins. */
      start: u64,
      change: oneOf('get', 'set', 'add', 'subtract'),
      value: u64,
    }),
    reply: struct({ position: u64 }),
  }),
  /** Locks a range of a file for an atomic access; answered when it is granted. A repeat finds the same lock. */
  lock: operation({
    op: 36,
    from: 'client',
    idempotent: true,
    request: struct({ capability: id, lock: u32, ...rangeShape }),
    reply: struct({ token: u64 }),
  }),
  /** The token in force of the lock that has had `token`; its holder claims it by that, also from a manager that has started. */
  renewLock: operation({
    op: 37,
    from: 'client',
    idempotent: true,
    request: struct({
      capability: id,
      token: u64,
      claim: optional(struct({ lock: u32, ...rangeShape })),
    }),
    reply: struct({ token: u64 }),
  }),
  /**
   * Gives a lock back, or waits for it no longer. After an access of which it is not known whether all of it
   * has ended, `uncertain`, nobody gets the range before what is late of it is refused.
   */
  unlock: operation({
    op: 38,
    from: 'client',
    idempotent: true,
    request: struct({ capability: id, lock: u32, access: oneOf('clean', 'uncertain') }),
    reply: empty,
  }),
  /** Looks at one page of everything, and repairs what can be if that is wanted. */
  fsck: operation({
    op: 40,
    from: 'client',
    idempotent: false,
    request: struct({ place: fsckPlaceCodec, repair: bool }),
    reply: fsckPageCodec,
  }),

  /** An iod that has started asks for its state, before it listens. */
  sync: operation({
    op: 48,
    from: 'iod',
    idempotent: true,
    request: struct({
      fsid: id,
      index: u16,
      uuid: id,
      incarnation: u64,
      /** The newest epoch that it has obeyed. */
      epoch: u64,
      epochId: id,
      intentApplied: u64,
      iodtabHash: text(64),
      iodtabCount: u16,
      host: text(),
      port: u16,
    }),
    reply: snapshot,
  }),
  snapshotChunk: operation({
    op: 49,
    from: 'iod',
    idempotent: true,
    request: struct({ index: u16, version: u64, records: u32, intents: u32 }),
    reply: snapshot,
  }),
  /** The iod has applied a snapshot; GO if nothing has changed since, else the state anew. */
  commit: operation({
    op: 50,
    from: 'iod',
    idempotent: true,
    request: struct({ index: u16, uuid: id, incarnation: u64, version: u64, intentApplied: u64 }),
    reply: struct({ go: bool, state: optional(snapshot) }),
  }),
  /** The iod listens. */
  ready: operation({
    op: 51,
    from: 'iod',
    idempotent: true,
    request: struct({
      index: u16,
      uuid: id,
      incarnation: u64,
      epoch: u64,
      version: u64,
      hostId: text(),
      port: u16,
      unixPath: text(),
    }),
    reply: empty,
  }),
  heartbeat: operation({
    op: 52,
    from: 'iod',
    idempotent: true,
    request: struct({ index: u16, uuid: id, incarnation: u64, epoch: u64, version: u64 }),
    reply: struct({ known: bool }),
  }),
  /**
   * An iod, by an operator's word, takes a directory in place of the one that it had; first whether that is needed, then,
   * when there is nothing in it any more, that it is done. What was in the old one is lost.
   */
  replace: operation({
    op: 54,
    from: 'iod',
    idempotent: true,
    request: struct({
      index: u16,
      uuid: id,
      incarnation: u64,
      iodtabHash: text(64),
      iodtabCount: u16,
      host: text(),
      port: u16,
      isEmpty: bool,
    }),
    reply: struct({
      isNeeded: bool,
      /** Above all that the old one had. */
      incarnation: u64,
      /** Files of which the iod held a part with data. */
      files: u32,
    }),
  }),
  /** Which of these datafiles belong to nobody: neither a file nor an open has them, nor will ever. */
  audit: operation({
    op: 53,
    from: 'iod',
    idempotent: true,
    request: struct({
      index: u16,
      uuid: id,
      incarnation: u64,
      handles: list(u64, LIMITS.datafilesPerPage),
    }),
    reply: struct({ dead: list(u64, LIMITS.datafilesPerPage) }),
  }),
} as const
