// What goes wrong in one run: each seed turns on some of the kinds of faults, with rates of its own, so that every
// mixture of few and many comes up. A run without faults is among them.
import type { Random } from '../support/random.js'
import type { OperationClass, Pair } from './pairs.js'

/** Kinds of faults that happen at a moment, and end. */
export const EPISODES = {
  killIod: 'an iod is killed and started again',
  cutPower: 'the machine of an iod loses its power; what was not synced may be gone, or torn',
  stopIod: 'an iod stands still',
  killManager: 'the manager is killed and started again',
  stopManager: 'the manager stands still',
  cutManagerPower: 'the machine of the manager loses its power; what was not flushed is gone',
  rotMetadata: 'a value of the metadata has a wrong bit; later they are put right again',
  killRank: 'a rank dies; its job ends and begins again',
  stopClient: 'a client stands still',
  killClient: 'a client dies and leaves its files open',
  partition:
    'nothing passes between two hosts, in one direction or both; it arrives when that is over',
  reset: 'all connections of a host end',
  swapDirectories: "two iods are started on each other's directories",
  damageSuperblock: 'a superblock has wrong bits while its iod is down',
  flood: 'a client asks for much and reads no answers',
  stepClock: 'the date of a host jumps',
  forge: 'a client tries capabilities that it does not have',
  olderMetadata:
    'a manager is started on a copy of the metadata that is older than what all iods have obeyed',
} as const satisfies Readonly<Record<string, string>>

/** The name of such a kind. */
export type Episode = keyof typeof EPISODES

/** What goes wrong in one run. */
export interface Plan {
  readonly iods: number
  readonly ranks: number
  readonly jobs: number
  readonly clients: number
  readonly operations: number
  /** Mean time that a client thinks between two operations, in milliseconds. */
  readonly thinkMs: number
  readonly episodes: readonly Episode[]
  /** Two faults, one right after the other, again and again. */
  readonly pair?: Pair
  /** What clients mostly do; everything alike where nothing is named. */
  readonly focus?: OperationClass | undefined
  /** Mean time between two episodes. */
  readonly calmMs: number
  /** How long a server is away, at the most. */
  readonly outageMs: number
  /** Blocks of the files that are used: few of them are written again and again. */
  readonly blocks: number
  /** Whether clients close files while they still write to them. */
  readonly closesUnder: boolean
  readonly network: {
    /** Of each frame, at the most. */
    readonly delayMs: number
    /** Chances for each frame: its connection ends in the midst of it; it and all later ones vanish; it comes in two parts; a bit is wrong. */
    readonly cut: number
    readonly halfOpen: number
    readonly split: number
    readonly flip: number
    /** Chance that a connection is refused. */
    readonly refuse: number
  }
  readonly disk: {
    readonly delayMs: number
    /** Chances for each call. */
    readonly short: number
    readonly readError: number
    readonly writeError: number
    readonly syncError: number
    /** Pages of each iod; unlimited if undefined. */
    readonly pages: number | undefined
  }
  /** How long a commit of the metadata takes, at the most. */
  readonly commitMs: number
  /** Whether the dates of hosts differ. */
  readonly skewed: boolean
  /** Whether at the end all machines lose their power. */
  readonly endsDark: boolean
  /** What each iod may hold of requests as a whole; the usual limit if undefined. */
  readonly memoryBytes: number | undefined
}

/** Chances, one of which is taken where a kind is on. */
const RARE = [0.002, 0.005, 0.02] as const

/** The plan of a seed. */
export function planOf(random: Random, operationsMax: number): Plan {
  const isOn = swarm(random)
  const rate = (): number => (isOn() ? random.pick(RARE) : 0)
  const network = {
    delayMs: random.pick([0, 1, 5, 50]),
    cut: rate(),
    halfOpen: isOn() ? random.pick([0.001, 0.004]) : 0,
    split: isOn() ? random.pick([0.05, 0.3]) : 0,
    flip: rate(),
    refuse: isOn() ? random.pick([0.02, 0.2]) : 0,
  }
  const disk = {
    delayMs: random.pick([0, 0, 2, 40]),
    short: isOn() ? random.pick([0.05, 0.5]) : 0,
    readError: random.chance(0.1) ? random.pick(RARE) : 0,
    writeError: random.chance(0.1) ? random.pick(RARE) : 0,
    syncError: random.chance(0.15) ? random.pick([0.02, 0.1]) : 0,
    pages: random.chance(0.1) ? random.int(20, 120) : undefined,
  }
  const iods = random.int(1, 4)
  const episodes = (Object.keys(EPISODES) as Episode[]).filter((kind) => {
    if (kind === 'swapDirectories' && iods < 2) return false
    return isOn()
  })
  return {
    iods,
    ranks: random.int(1, 4),
    jobs: random.int(0, 1),
    clients: random.int(1, 3),
    operations: random.int(Math.ceil(operationsMax / 3), operationsMax),
    thinkMs: random.pick([1, 20, 300, 1500]),
    episodes,
    calmMs: random.pick([300, 1500, 6000]),
    outageMs: random.pick([200, 2000, 12_000, 25_000]),
    blocks: random.pick([64, 640, 640]),
    closesUnder: random.chance(0.3),
    network,
    disk,
    commitMs: random.pick([0, 5, 60]),
    skewed: isOn(),
    endsDark: random.chance(0.3),
    memoryBytes: random.chance(0.5) ? random.pick([1, 20_000]) : undefined,
  }
}

/** The plan of a pair: a calm world otherwise. */
export function planOfPair(pair: Pair): Plan {
  const isJob = pair.during === 'together'
  return {
    iods: 3,
    ranks: 4,
    jobs: isJob ? 1 : 0,
    clients: isJob ? 1 : 2,
    operations: 24,
    thinkMs: 20,
    episodes: [],
    pair,
    focus: pair.during,
    calmMs: 300,
    outageMs: 2000,
    blocks: 64,
    closesUnder: false,
    network: { delayMs: 5, cut: 0, halfOpen: 0, split: 0, flip: 0, refuse: 0 },
    disk: {
      delayMs: 2,
      short: 0,
      readError: 0,
      writeError: 0,
      syncError: 0,
      pages: undefined,
    },
    commitMs: 5,
    skewed: false,
    endsDark: false,
    memoryBytes: undefined,
  }
}

// How much goes wrong is a matter of the run: nothing, some, or nearly everything.
function swarm(random: Random): () => boolean {
  const share = random.pick([0, 0.15, 0.3, 0.3, 0.5, 0.8])
  return () => random.chance(share)
}
