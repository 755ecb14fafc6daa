// The world that is searched: clients, one manager, iods and what is on the wires between them, as plain
// immutable values. What the servers decide is in `servers/*/*-steps.ts` and is used as it is; here is only what
// surrounds it: disks, connections, processes that die.

import type { ControlState } from '../../servers/iod/control-steps.js'
import type { StartState } from '../../servers/iod/start-steps.js'
import type { CutProgress } from '../../servers/manager/cut-steps.js'
import type { IodView } from '../../servers/manager/iod-steps.js'
import type { OpenProgress } from '../../servers/manager/open-steps.js'

/** Lease of an iod in the time of the model: `NOW` is the present lease, 0 is before it. */
export const LEASE = 1

/** The present moment. What counts from it holds; `passLease` makes it the past. */
export const NOW = 1

/** Capabilities of one client: it asks anew when a manager has died. */
export const TRIES_MAX = 4

/** What may go wrong, and how often. */
export interface Budget {
  readonly iodKills: number
  readonly managerKills: number
  readonly clientKills: number
  readonly partitions: number
  /** Calls of the manager that are given up although the connection lives. */
  readonly timeouts: number
  /** Questions of an iod that are given up although the manager lives. */
  readonly silences: number
  /** Opens that fail when everybody was told: the name was taken meanwhile. */
  readonly conflicts: number
  /** Truncations that are asked for. */
  readonly cuts: number
}

/** The rules of the protocol; each can be left out. */
export interface Rules {
  /** 1: RECONCILE first, with everything older fenced. */
  readonly reconcile: boolean
  /** 2: COMMIT and GO before listen(). */
  readonly commit: boolean
  /** 3: READY and heartbeats with versions; BEHIND without state. */
  readonly ready: boolean
  /** 4: opens and intents are durable. */
  readonly durable: boolean
  /** 5: leases of iods. */
  readonly lease: boolean
  /** One decision taken wrongly, as it was once or might be. */
  readonly mutant: Mutant | undefined
}

/** Single decisions that can be taken wrongly, each with a counterexample. */
export const MUTANTS = {
  'late-record': 'an open enters the table when every iod has answered, and leaves it likewise',
  'renew-on-receipt': 'what the manager says by itself renews the lease of the iod that hears it',
  'renew-behind': 'a heartbeat renews the lease of an iod that has missed a change',
  'close-twice': 'a second close of the same open is answered while the first one waits',
  'forget-closing': 'a close takes the record away instead of writing CLOSING',
  'adopt-unfenced':
    'GO replaces the table of an iod that listens, without fencing the manager off first',
  'missed-connected':
    'a call without an answer, and a change that is not told, leave the connection as it is',
  'late-session': 'an open that waited its turn begins although its session has ended',
  'hold-too-long':
    'a handle stays held until the truncation was told, not only until it was decided',
  'truncate-unheld': 'a truncation is decided without HOLD',
} as const

/** Name of a decision that is taken wrongly. */
export type Mutant = keyof typeof MUTANTS

/** A world to begin with. */
export interface Setup {
  readonly clients: number
  readonly iods: number
  /** Records in one chunk of RECONCILE. */
  readonly chunk: number
  readonly budget: Budget
  readonly rules: Rules
}

/** One client with one file. */
export interface Client {
  readonly phase: 'idle' | 'asking' | 'open' | 'closing' | 'closed' | 'failed' | 'dead'
  readonly capability: number
  /** Whether the manager has its request. */
  readonly isAsked: boolean
}

/** One open at the manager. */
export interface Entry {
  readonly capability: number
  readonly client: number
  readonly progress: OpenProgress
  /** What OPEN leads to, for each iod. */
  readonly versions: readonly number[]
  /** Its session has ended: it is closed when its turn comes. */
  readonly isCondemned: boolean
}

/** Something that is to be told to one iod. */
export interface Call {
  readonly kind: 'open' | 'withdraw' | 'end' | 'hold' | 'release' | 'truncate'
  readonly capability: number
  readonly iod: number
  readonly version: number
  readonly state: 'ready' | 'sent' | 'releasing'
  /** The connection on which it was sent. */
  readonly on: number
  readonly isResent: boolean
}

/** A write of the manager's store of which it does not know yet. */
export interface Confirm {
  readonly kind: 'recorded' | 'finished' | 'erased' | 'forgotten' | 'incarnation' | 'decided'
  readonly capability: number
  readonly iod: number
}

/** A running manager, but for its views of the iods. */
export interface Manager {
  readonly epoch: number
  readonly entries: readonly Entry[]
  readonly calls: readonly Call[]
  readonly confirms: readonly Confirm[]
  /** Clients whose open waits its turn. */
  readonly queue: readonly number[]
  /** For each iod, whether a connection is wanted. */
  readonly wants: readonly boolean[]
  /** Clients whose session has ended. */
  readonly ended: readonly number[]
  readonly cut: CutProgress | undefined
  /** Whether the handle is held, for iods that connect anew. */
  readonly isHeld: boolean
}

/** What of the manager survives it. */
export interface Disk {
  readonly epoch: number
  readonly incarnations: readonly number[]
  readonly records: readonly {
    readonly capability: number
    readonly client: number
    readonly state: 'opening' | 'open' | 'closing'
  }[]
  /** Truncations that an iod has not confirmed. */
  readonly intents: readonly { readonly iod: number; readonly sequence: number }[]
  /** Truncations decided so far. */
  readonly decided: number
}

/** What the manager says to an iod. */
export type Message =
  | {
      readonly kind: 'reconcile'
      readonly epoch: number
      readonly version: number
      readonly intents: readonly number[]
      readonly isHeld: boolean
    }
  | {
      readonly kind: 'chunk'
      readonly epoch: number
      readonly version: number
      readonly first: boolean
      readonly last: boolean
      readonly table: readonly number[]
    }
  | { readonly kind: 'open' | 'close'; readonly version: number; readonly capability: number }
  | { readonly kind: 'hold' | 'release' }
  | { readonly kind: 'truncate'; readonly sequence: number }

/** What an iod answers. */
export interface Reply {
  readonly kind: 'same' | 'want' | 'chunked' | 'done' | 'refused'
  /** The kind of the message that was done. */
  readonly to: Message['kind']
  readonly capability: number
}

/** A connection of the manager to an iod. Both ends may have given it up while it still delivers. */
export interface Connection {
  readonly id: number
  readonly epoch: number
  readonly generation: number
  /** The start of the iod to which it was made. */
  readonly incarnation: number
  /** The manager believes what comes over it. */
  readonly isBelieved: boolean
  /** The iod reads it. */
  readonly isRead: boolean
  readonly toIod: readonly Message[]
  readonly toManager: readonly Reply[]
  /** What RECONCILE offered, to be sent in chunks, and the intents it brought. */
  readonly table: readonly number[]
  readonly version: number
  readonly intents: readonly number[]
}

/** The answer to a question of an iod. */
export type Answer =
  | {
      readonly kind: 'told'
      readonly epoch: number
      readonly version: number
      readonly table: readonly number[]
      readonly intents: readonly number[]
      readonly isHeld: boolean
    }
  | { readonly kind: 'go' | 'again' | 'known' | 'unknown' | 'refused' }

/** A question of an iod to the manager. */
export interface Question {
  readonly kind: 'sync' | 'commit' | 'ready' | 'heartbeat'
  readonly incarnation: number
  readonly epoch: number
  readonly version: number
  readonly applied: number
  /** On the wire, with the manager, or answered. */
  readonly state: 'sent' | 'held' | 'answered'
  readonly answer: Answer | undefined
}

/** What an iod asks: one thing at a time, and perhaps one that was given up and still arrives. */
export interface Talk {
  readonly question: Question | undefined
  readonly late: Question | undefined
}

/** A running iod. */
export interface Process {
  readonly start: StartState
  readonly control: ControlState
  readonly table: readonly number[]
  /** Chunks so far. */
  readonly collected: readonly number[]
  /** The snapshot in hand. */
  readonly snapshot: readonly number[]
  readonly isSnapshotHeld: boolean
  readonly isHeld: boolean
}

/** One iod, with what survives it. */
export interface Site {
  readonly incarnation: number
  readonly obeyed: number
  /** The last truncation that was carried out. */
  readonly applied: number
  /** Truncations that were decided when the last write was taken. */
  readonly written: number
  readonly process: Process | undefined
}

/** What an observer of the whole remembers. */
export interface Facts {
  readonly budget: Budget
  /** For each iod, whether it is cut off from the manager. */
  readonly isCut: readonly boolean[]
  /** Capabilities whose end was acknowledged. */
  readonly ended: readonly number[]
  /** Capabilities of opens that have failed. */
  readonly failed: readonly number[]
  /** What has happened that may never happen. */
  readonly wrong: string
}

/** Everything. */
export interface World {
  readonly clients: readonly Client[]
  readonly manager: Manager | undefined
  readonly views: readonly IodView[]
  readonly disk: Disk
  readonly sites: readonly Site[]
  readonly wires: readonly (readonly Connection[])[]
  readonly talks: readonly Talk[]
  readonly facts: Facts
}
