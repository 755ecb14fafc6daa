// Faults that are made on purpose: places in the code where a process may be killed. A process without
// `RANKIO_FAULTS` pays one look at an undefined variable for each; what happens there is decided elsewhere.

/** Every place where a process may be killed, and what was the last thing that it did, or would do next. */
export const FAULT_POINTS = {
  'disk.makeDirectory': 'A directory is about to be made.',
  'disk.create': 'A file is about to be opened that is made if it is missing.',
  'disk.created': 'It was opened; its name is on no disk yet.',
  'disk.write': 'Bytes are about to be written to a file.',
  'disk.written': 'They are in the page cache.',
  'disk.sync': 'A file is about to be made durable.',
  'disk.synced': 'It is durable.',
  'disk.truncate': 'A file is about to be cut or extended.',
  'disk.truncated': 'It was, in the page cache.',
  'disk.remove': 'A file is about to lose its name.',
  'disk.removed': 'It has; the directory is not yet durable.',
  'disk.rename': 'A file is about to get another name.',
  'disk.renamed': 'It has; neither directory is durable yet.',
  'disk.syncDirectory': 'The names in a directory are about to be made durable.',
  'disk.syncedDirectory': 'They are durable.',
  'store.commit': 'A transaction is about to be given to the store.',
  'store.batched': 'All of its changes were handed over, and nothing was committed.',
  'store.committed': 'It is committed and durable.',
  'request.send': 'A request is about to be sent.',
  'request.arrived': 'A request was read whole, and nothing was done for it.',
  'answer.send': 'The answer to a request is about to be sent; what it says is done.',
  'answer.arrived': 'An answer was read whole, and nobody was told.',
  'socket.written': 'Frames, or a part of a large one, were handed to the operating system.',
} as const satisfies Readonly<Record<string, string>>

/** The variable of the environment that names the folder with the orders to a server. */
export const FAULTS_VARIABLE = 'RANKIO_FAULTS'

/** The name of such a place. */
export type FaultPoint = keyof typeof FAULT_POINTS

/**
 * Mistakes that can be planted, one at a time: what the simulator must notice. Each is one place in the code, where
 * what is right is left out.
 */
export const PLANTED_BUGS = {
  ackEarly: 'a write is acknowledged before it is complete',
  shortWrite: 'a short write is taken for a whole one',
  unordered: 'requests to one datafile are carried out in any order',
  anyCapability: 'a capability is not checked',
  noReconcile: 'a connection to an iod begins without RECONCILE',
  listenFirst: 'an iod listens, and serves, before it has asked for its state',
  noCommit: 'an iod listens without COMMIT and GO',
  oldAnswers: 'answers of an older start of an iod are believed',
  noAbort: 'a failed open leaves the iods alone that were asked',
  keptDescriptor: 'an iod keeps the descriptor of an open that came to nothing',
  handleAgain: 'a handle is given twice',
  noReplies: 'what is sent again is done again',
  noFence: 'an older connection of a client is not fenced off',
  checkOnce: 'an open is checked when a request arrives, and not when it is carried out',
  sameEpoch: 'a new manager has the epoch of the one before it',
  unsyncedNames: 'the name of a datafile is not made durable',
  forgivenSync: 'a failed flush is tried again and believed',
  anySlot: 'a slot of a superblock is taken without its checksum',
  twoSteps: 'a rename is two transactions',
  behindIsStale: 'an iod that is behind is taken for one that does not know the open',
  newRequestId: 'a request that is sent again has another number',
  noHeartbeat: 'an iod sends no heartbeats',
  unboundedQueue: 'answers are queued without end',
  noAgreement: 'the ranks of a collective do not agree',
} as const satisfies Readonly<Record<string, string>>

/** The name of a mistake. */
export type PlantedBug = keyof typeof PLANTED_BUGS

/** What is done at the places. */
export interface Faults {
  /** The mistake that is made, in a simulator only. */
  readonly planted?: PlantedBug

  /** A process has come to a place; `op` is the operation of a request or an answer. May not return. */
  reach(point: FaultPoint, op?: number): void
}

/** Undefined unless this process was started to fail. */
export let faults: Faults | undefined

/** Decides for this process what is done at the places; undefined ends it. */
export function setFaults(chosen: Faults | undefined): void {
  faults = chosen
}
