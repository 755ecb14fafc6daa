// A cluster under load, looked at from outside: its servers as processes, its files, and what they hold.
import type { Timing } from '../../../lib/base/timing.js'
import { FileSystem } from '../../../lib/index.js'
import { type Cluster, startCluster } from '../../../servers/cluster.js'
import type { ServerName } from '../../../servers/cluster/servers.js'
import { until } from '../../support/assertions.js'
import { runCommand } from '../../support/command.js'
import { CELL_BYTES, seenIn } from './cells.js'
import { descriptorsOf, residentBytes } from './descriptors.js'
import { checkHistory, type Event, type Fault, type Known } from './history.js'
import { moment } from './log.js'

/** Iods of the cluster. */
export const IODS = 4

/** Every server. */
export const SERVERS: readonly ServerName[] = ['manager', 0, 1, 2, 3]

/** A minute and a half: leases, and what iods have missed, are through by then on a busy machine. */
const QUIET_MS = 90_000

/** Faults that are kept in words; all are counted. */
const FAULTS_SHOWN = 20

/** A cluster of processes under load. */
export class Arena implements AsyncDisposable {
  readonly cluster: Cluster
  readonly files: FileSystem
  /** What is wrong, in sentences. */
  readonly failures: string[] = []
  #known: Known = new Map()
  #sums = { writes: 0, acknowledged: 0, cellsRead: 0 }

  static async start(timing: Timing): Promise<Arena> {
    const cluster = await startCluster({ iods: IODS, timing })
    return new Arena(cluster, await FileSystem.connect(cluster.url, { timing }), timing)
  }

  readonly #timing: Timing

  private constructor(cluster: Cluster, files: FileSystem, timing: Timing) {
    this.cluster = cluster
    this.#timing = timing
    this.files = files
  }

  /** Counts of the histories so far. */
  get sums(): {
    readonly writes: number
    readonly acknowledged: number
    readonly cellsRead: number
  } {
    return this.#sums
  }

  /** Looks at what was done. */
  check(events: readonly Event[]): void {
    const { faults, after, writes, acknowledged, cellsRead } = checkHistory(this.#known, events)
    this.#known = after
    this.#sums = {
      writes: this.#sums.writes + writes,
      acknowledged: this.#sums.acknowledged + acknowledged,
      cellsRead: this.#sums.cellsRead + cellsRead,
    }
    this.fail(faults.map(({ kind, message }: Fault) => `${kind}: ${message}`))
  }

  /** Notes what is wrong. */
  fail(failures: readonly string[]): void {
    for (const failure of failures) {
      this.failures.push(failure)
      if (this.failures.length <= FAULTS_SHOWN) console.log(`FAIL ${failure}`)
    }
  }

  /** Reads every cell of every file as the last look of a history. */
  async readAll(names: readonly string[], firstFile: number, cells: number): Promise<void> {
    const events: Event[] = []
    // Who has opened a file keeps its session by one more connection, which must not be there at one time and not at another.
    const options = { timing: this.#timing }
    await using files = await FileSystem.connect(this.cluster.url, options)
    for (const [index, name] of names.entries()) {
      await using file = await files.open(name)
      const bytes = new Uint8Array(cells * CELL_BYTES)
      const began = moment()
      await file.read(bytes, 0, bytes.length, 0)
      const seen = seenIn(bytes, 0)
      const about = { file: firstFile + index, cell: 0, began, at: moment(), seen }
      events.push({ kind: 'read', who: 'the last look', ...about })
    }
    this.check(events)
  }

  /** Removes what is there, and what is known of it. */
  async removeAll(): Promise<void> {
    for (const { name } of await this.files.readdir('/')) await this.files.unlink(`/${name}`)
    this.#known = new Map()
  }

  /** Waits until nothing is open, nobody is missing and nothing is left to be done. */
  async quiet(): Promise<void> {
    let left = ''
    const look = async (): Promise<boolean> => {
      const { opens, intents, sessions, iods } = await this.files.status()
      const away = iods.filter(({ state }) => state !== 'up').map(({ index }) => index)
      left = JSON.stringify({ opens, intents, sessions, away })
      return opens === 0 && intents === 0 && sessions === 1 && away.length === 0
    }
    await until(look, QUIET_MS).catch((error: unknown) => {
      this.fail([`it does not become quiet: ${left}; ${String(error)}`])
    })
  }

  /** `rankio fsck` must find nothing. */
  async fsck(): Promise<void> {
    const { code, stdout, stderr } = await runCommand(['fsck', '--manager', this.cluster.url])
    const text = `${stdout.toString()}${stderr}`.trim()
    console.log(`fsck: ${text}`)
    if (code !== 0) this.fail([`fsck ended with ${code}: ${text}`])
  }

  /** What each server has open, in the order of `SERVERS`. */
  descriptors(): string[][] {
    return SERVERS.map((server) => descriptorsOf(this.cluster.pidOf(server)))
  }

  /** Memory of each server that is alive. */
  memory(): Map<ServerName, number> {
    const all = new Map<ServerName, number>()
    for (const server of SERVERS) {
      const bytes = this.#memoryOf(server)
      if (bytes !== undefined) all.set(server, bytes)
    }
    return all
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.files.close()
    await this.cluster.close()
  }

  #memoryOf(server: ServerName): number | undefined {
    try {
      return residentBytes(this.cluster.pidOf(server))
    } catch {
      // It is down.
      return undefined
    }
  }
}
