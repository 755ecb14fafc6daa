// The table of an iod's operations: control by the manager, what clients of the same host ask for, and
// those that move or keep bytes.

import { bool, bytes, id, list, oneOf, optional, struct, text, u16, u32, u64 } from './codec.js'
import { COMMON } from './hello.js'
import { LIMITS } from './limits.js'
import { operation } from './operation.js'
import { intentCodec, openRecordCodec } from './records.js'

const empty = struct({})

/** 64 bits in decimal. */
const IDENTITY_BYTES = 20

const VERIFIER_BYTES = 8

/** Control operations of an iod, by name: the manager's, and the ones of every server. */
export const IOD = {
  ...COMMON,
  /** The first message of every connection of the manager. WANT: the records follow in chunks. */
  reconcile: operation({
    op: 16,
    from: 'manager',
    idempotent: true,
    request: struct({
      epoch: u64,
      epochId: id,
      version: u64,
      /** What the iod missed, carried out before it serves anybody under the new state. */
      intents: list(intentCodec, LIMITS.recordsPerChunk),
      /** Handles that are being cut now: their data requests wait. */
      held: list(u64, LIMITS.heldHandles),
    }),
    reply: struct({ answer: oneOf('same', 'want') }),
  }),
  /** A chunk of the open table; with `last` the chunks replace the table. */
  reconcileChunk: operation({
    op: 17,
    from: 'manager',
    idempotent: true,
    request: struct({
      epoch: u64,
      version: u64,
      first: bool,
      last: bool,
      records: list(openRecordCodec, LIMITS.recordsPerChunk),
    }),
    reply: empty,
  }),
  /** Each names the version of the open table that it leads to. */
  open: operation({
    op: 18,
    from: 'manager',
    idempotent: true,
    request: struct({ version: u64, record: openRecordCodec }),
    reply: empty,
  }),
  close: operation({
    op: 19,
    from: 'manager',
    idempotent: true,
    request: struct({ version: u64, handle: u64, capability: id }),
    /** From the last sizes the manager knows how long a file is that nobody writes any more. */
    reply: struct({
      /** Absent where it cannot be told, which must not keep an open from its end. */
      localSize: optional(u64),
      /** There is no datafile. */
      isMissing: bool,
    }),
  }),
  /** Data requests for the handle are answered BUSY until `truncate` or `release`; refused if no datafile can have this size. */
  hold: operation({
    op: 20,
    from: 'manager',
    idempotent: true,
    request: struct({ handle: u64, localSize: u64 }),
    reply: empty,
  }),
  release: operation({
    op: 21,
    from: 'manager',
    idempotent: true,
    request: struct({ handle: u64 }),
    reply: empty,
  }),
  truncate: operation({
    op: 22,
    from: 'manager',
    idempotent: true,
    request: struct({ sequence: u64, handle: u64, localSize: u64, hasData: bool }),
    reply: empty,
  }),
  remove: operation({
    op: 23,
    from: 'manager',
    idempotent: true,
    request: struct({ sequence: u64, handle: u64 }),
    reply: empty,
  }),
  localSize: operation({
    op: 24,
    from: 'manager',
    idempotent: true,
    request: struct({ handle: u64 }),
    reply: struct({ localSize: u64, isMissing: bool }),
  }),
  space: operation({
    op: 25,
    from: 'manager',
    idempotent: true,
    request: empty,
    reply: struct({
      total: u64,
      free: u64,
      /** Datafiles that clients use themselves now, each as often as one does. */
      direct: u32,
    }),
  }),
  /** A page of the datafiles that are there, behind a place, in the order of folders and handles. */
  datafiles: operation({
    op: 26,
    from: 'manager',
    idempotent: true,
    request: struct({ folder: u16, after: u64 }),
    reply: struct({
      handles: list(u64, LIMITS.datafilesPerPage),
      /** Files among them that are no datafiles, as paths below the data directory. */
      strangers: list(text(), LIMITS.strangersPerPage),
      /** Where the next page begins; absent at the end. */
      next: optional(struct({ folder: u16, after: u64 })),
    }),
  }),
  /** Sizes of datafiles, in the order in which they were asked for; absent where there is none. */
  pieces: operation({
    op: 27,
    from: 'manager',
    idempotent: true,
    request: struct({ handles: list(u64, LIMITS.namesPerPage) }),
    reply: struct({ sizes: list(optional(u64), LIMITS.namesPerPage) }),
  }),
  /** Puts datafiles that belong to nobody into quarantine; one that an open keeps stays. */
  quarantine: operation({
    op: 28,
    from: 'manager',
    idempotent: true,
    request: struct({ handles: list(u64, LIMITS.datafilesPerPage) }),
    reply: struct({ moved: list(u64, LIMITS.datafilesPerPage) }),
  }),
  /** Which opens it knows, in short: the checksum is that of all handles and capabilities in their order. */
  openTable: operation({
    op: 29,
    from: 'manager',
    idempotent: true,
    request: empty,
    reply: struct({ epoch: u64, version: u64, opens: u32, checksum: u32 }),
  }),
  /** Requests under an open with a token below `floor` are refused from now on. */
  fence: operation({
    op: 30,
    from: 'manager',
    idempotent: true,
    request: struct({ version: u64, handle: u64, capability: id, floor: u64 }),
    reply: empty,
  }),
  /** Asks for leave to open a datafile itself, from a client on the same host; it ends with the lease, or when it is told. */
  direct: operation({
    op: 31,
    from: 'client',
    idempotent: true,
    request: struct({
      /** By which both call the grant; of this connection, and chosen anew each time. */
      number: u32,
      handle: u64,
      capability: id,
      writes: bool,
    }),
    reply: struct({
      /** Why there is none, if there is none. */
      answer: oneOf('granted', 'missing', 'full', 'poisoned', 'elsewhere'),
      grant: optional(
        struct({
          /** Counted from the question. */
          leaseMs: u32,
          path: text(LIMITS.pathBytes),
          /** What is found there, in decimal. */
          device: text(IDENTITY_BYTES),
          inode: text(IDENTITY_BYTES),
          /** The iod's `PROOF_FILE`, which begins with `nonce` where client and iod see the same one. */
          proof: text(LIMITS.pathBytes),
          nonce: id,
          /** The write verifier in force. */
          verifier: bytes(VERIFIER_BYTES),
        }),
      ),
    }),
  }),
  /**
   * Answered when a grant of this connection is to end, or after a third of their lease. Those that are named go on, for
   * a lease that counts from the question; all others are over, and `endDirect` says when they are used no more. It has
   * no body, so that it takes no room from others while it waits.
   */
  watchDirect: operation({
    op: 32,
    from: 'client',
    idempotent: true,
    request: empty,
    reply: struct({ leaseMs: u32, renewed: list(u32, LIMITS.directFiles) }),
  }),
  /** These grants are used no more. */
  endDirect: operation({
    op: 33,
    from: 'client',
    idempotent: true,
    request: struct({ numbers: list(u32, LIMITS.directFiles) }),
    reply: empty,
  }),
  /** What a manager whose metadata were restored must come after; it may be asked before RECONCILE, and changes nothing. */
  survey: operation({
    op: 34,
    from: 'manager',
    idempotent: true,
    request: empty,
    reply: struct({
      /** Of its directory. */
      uuid: id,
      incarnation: u64,
      /** The newest epoch that it has obeyed. */
      epoch: u64,
      epochId: id,
      /** The highest handle of a datafile that is there or in quarantine, or of an open; 0 if there is none. */
      handle: u64,
    }),
  }),
} as const

/** Operations whose requests are data frames: handle, capability and pieces in the header, bytes behind it. */
export const DATA = {
  /** Writes the payload into the pieces. */
  write: 64,
  /** Reads the pieces; the reply ends where the datafile does. */
  read: 65,
  /** Makes the datafile durable. */
  flush: 66,
  /** Only the local size. */
  size: 67,
  /** Writes zeros from the end of the datafile towards `offset`, at most `payloadBytes`; asked again until the local size is there. */
  allocate: 68,
} as const

/** Whether an operation is one of `DATA`. */
export function isDataOperation(op: number): boolean {
  return op >= DATA.write && op <= DATA.allocate
}
