// Every maximum, with its reason: what a message may hold, which is checked before anything is allocated
// for it, and then what one process keeps.

/** All limits but times: each has a test at it and one past it. */
export const LIMITS = {
  /** Data bytes of one request: bounds what a server holds for it. A larger operation is several requests. */
  payloadBytes: 16 * 1024 * 1024,
  /**
   * Data bytes of one request of a client whose payload carries a checksum: neither end does anything with them before it
   * has them all, so that shorter ones let checksums, network and datafiles work at the same time.
   */
  checkedBytes: 512 * 1024,
  /** Entries of a request's list of pieces: 96 KiB of description. */
  pieces: 4096,
  /** Regions that a request's pieces may stand for: bounds the time of one request on an iod. */
  regions: 4 * 1024 * 1024,
  /** Bytes of a control message: a chunk of a snapshot, a page of a directory. */
  controlBytes: 1024 * 1024,
  /** Bytes of a hello, which may come from anybody. */
  helloBytes: 1024,
  /** Data bytes in flight on one connection. */
  inFlightBytes: 16 * 1024 * 1024,
  /** Requests of one connection that have no reply yet. */
  inFlightRequests: 1024,
  /** Requests of a client to one server that must be done once, from the oldest without its reply to the newest. */
  onceWindow: 256,
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
  /** Datafiles whose cut an iod still owes because the disk has refused it. */
  owedCuts: 4096,
  /** Of these, those that the superblock of an iod takes where the file for them cannot be written: 3 KiB of its 4. */
  owedCutsInSuperblock: 128,
  /** Files that an iod must hold, because they are being cut or must still be cut there: 512 KiB of handles. */
  heldHandles: 65_536,
  /** Open files of one session. */
  opensPerSession: 10_000,
  /** Views of an open whose shared pointer is kept: an operation that was called just before `setView` still finds its own. */
  viewsPerPointer: 4,
  /** Range locks of one open, held and waited for: who comes later asks again. */
  locksPerOpen: 4096,
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
  /** Bytes of the name that a launcher gives to a job. */
  jobNameBytes: 256,
  /** WebSocket fragments of one message: one of a million empty ones has an end. */
  fragments: 8192,
  /** Reads of the system that one message may be collected from: nor may it trickle in byte by byte. */
  bufferedChunks: 65_536,
  /** Bytes of the path of a unix socket: Node 20 cuts longer ones off without a word. */
  unixPathBytes: 103,
  /** Bytes of a message between ranks that travel without being asked for. */
  eagerBytes: 64 * 1024,
  /** Bytes of such messages from one rank to another that nobody has taken yet. */
  rankWindowBytes: 1024 * 1024,
  /** Bytes of the head of a message between ranks: its length is one byte on the wire. */
  rankHeadBytes: 255,
  /** Bytes of the name of a collective operation. */
  operationNameBytes: 64,
  /** Finished collectives of a communicator whose names a rank keeps, to tell one that is far behind. */
  collectivesRemembered: 4096,
  /** Freed communicators, two contexts each, whose late messages a rank still knows to drop. */
  contextsRemembered: 65_536,
  /** Renewals of a capability in one operation. */
  reopens: 3,
  /** Bytes of requests and answers that a server holds as a whole, of all peers together: beyond that they wait. */
  heldBytes: 512 * 1024 * 1024,
  /** Requests that wait for such memory, one a connection: the next one is BUSY. */
  waitingRequests: 1024,
  /** Bytes behind a request that waits which a server keeps of one connection before it reads no further. */
  keptBytes: 64 * 1024,
  /** Open files of a file system. */
  opens: 1_000_000,
  /** Connections of one listener whose handshake has not come: the oldest makes room for the next. */
  handshakes: 2048,
  /** Connections of one server. */
  connections: 20_000,
  /** Connections of one server from one host, which so leaves room for others. */
  hostConnections: 15_000,
  /** Clients that have left whose last connection a server remembers, to refuse an older one. */
  connGensRemembered: 65_536,
  /** Replies of a client that a server keeps: twice the window, since those of a window may end in any order. */
  repliesPerClient: 512,
  /** Clients whose replies a server keeps. */
  repliedClients: 16_384,
  /** Jobs whose ranks meet or run at a time: each has some KiB of addresses. */
  jobs: 10_000,
  /** Former capabilities of one open that the manager still recognises: whoever has one asks soon after the first. */
  formerCapabilities: 64,
  /** Names in a path. */
  pathDepth: 128,
  /** Datafiles that an iod has open at a time. */
  descriptors: 800,
  /** Datafiles that could not be made durable and that an iod tells apart; beyond them it treats all as such. */
  poisonedDatafiles: 4096,
  /** Datafiles that have failed in the middle of a reply and are read whole since. */
  carefulDatafiles: 1024,
  /** Datafiles that a client has open for itself at a time, and of one iod over one connection. */
  directFiles: 256,
} as const satisfies Record<string, number>
