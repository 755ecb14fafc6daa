// Every maximum on the wire, with its reason. A server checks them before it allocates anything.

/** Limits of the wire: both ends know them, and each has a test at it and one past it. */
export const LIMITS = {
  /** Data bytes of one request: bounds what a server holds for it. A larger operation is several requests. */
  payloadBytes: 16 * 1024 * 1024,
  /** Entries of a request's list of pieces: 96 KiB of description. */
  pieces: 4096,
  /** Regions that a request's pieces may stand for: bounds the time of one request on an iod. */
  regions: 4 * 1024 * 1024,
  /** Bytes of a control message: a chunk of a snapshot, a page of a directory. */
  controlBytes: 1024 * 1024,
  /** Bytes of a hello, which may come from anybody. */
  helloBytes: 1024,
  /** Bytes of one message between ranks; longer ones travel in several. */
  messageBytes: 16 * 1024 * 1024,
  /** Data bytes in flight on one connection. */
  inFlightBytes: 16 * 1024 * 1024,
  /** Data bytes in flight to one iod from one client, over all of its operations. */
  inFlightIodBytes: 64 * 1024 * 1024,
  /** Requests of one connection that have no reply yet. */
  inFlightRequests: 1024,
  /** Bytes of a path in UTF-8, as in POSIX. */
  pathBytes: 4096,
  /** Bytes of one name in a path, as in POSIX. */
  nameBytes: 255,
  /** Iods of one file system: a part of a file is numbered in 16 bits, and a bitmap of them stays small. */
  iods: 1024,
  /** Ranks of one job. */
  ranks: 131_072,
  /** Open records in one chunk of a snapshot: 512 records are some 40 KiB. */
  recordsPerChunk: 512,
  /** Files that an iod must hold, because they are being cut or must still be cut there: 512 KiB of handles. */
  heldHandles: 65_536,
  /** Open files of one session. */
  opensPerSession: 10_000,
  /** Views of an open whose shared pointer is kept: an operation that was called just before `setView` still finds its own. */
  viewsPerPointer: 4,
  /** Names in one page of a directory. */
  namesPerPage: 512,
  /** Datafiles in one page of an iod's: 32 KiB. */
  datafilesPerPage: 4096,
  /** Findings of one page of a check: each may hold a path, all of them fit into a control message. */
  findingsPerPage: 128,
  /** Files of a page of datafiles that are none: they leave room for other findings. */
  strangersPerPage: 32,
  /** Bytes of an address, a host name, a job id or a message of an error. */
  textBytes: 1024,
} as const satisfies Record<string, number>
