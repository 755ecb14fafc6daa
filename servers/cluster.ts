// A cluster on this host: one manager and its iods, as processes of their own or inside this one, in
// a directory that is temporary unless it is given. What tests, examples and `rankio run` stand on.

import { rmSync } from 'node:fs'
import { rm } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { IoError } from '../lib/base/errors.js'
import { expectOptions, type OptionKeys } from '../lib/base/options.js'
import { checkedTiming, type Timing, TIMING, TIMING_KEYS } from '../lib/base/timing.js'
import { DATA_FOLDER, datafilePath } from '../lib/protocol/data-directory.js'
import { ChildServer } from './cluster/child.js'
import { InsideServer } from './cluster/inside.js'
import { BeforeStart } from './cluster/before.js'
import {
  checkIods,
  CLUSTER_HOST,
  type ClusterPlan,
  expectMemory,
  freshPlan,
  IODS_DEFAULT,
  iodDirectory,
  iodtabPath,
  knownPlan,
  managerDirectory,
  writeIodtab,
} from './cluster/plan.js'
import { type Members, startAll, stopAll } from './cluster/members.js'
import { type PortRun, reservePorts } from './cluster/ports.js'
import { fileNameOf, managerUrl, nameOf, serverArgs, type ServerName } from './cluster/servers.js'
import {
  makeSocketDirectory,
  remakeSocketDirectory,
  removeSocketDirectory,
  socketPath,
} from './cluster/sockets.js'
import { makeTemporary, noteSockets, removeLeftClusters } from './cluster/temporary.js'
import { startIod, startManager } from './start.js'

/** Runs of ports that are tried when somebody else takes one of them meanwhile. */
const PORT_TRIES_MAX = 8

/** How a cluster is started. */
export interface ClusterOptions {
  /** Iods; 4, or as many as the directory has. More than before may be given, they are added. */
  readonly iods?: number
  /** Where its data are. Left out: a temporary directory that is removed at the end. */
  readonly directory?: string
  /** Runs the servers inside this process: for tests that must reach into them. */
  readonly inProcess?: boolean
  /** Port of the manager; its iods have the following ones. Left out: ports that are free. */
  readonly port?: number
  /** Times that differ from the usual ones. */
  readonly timing?: Partial<Timing>
  /** Takes each line that a server logs. */
  readonly log?: (line: string) => void
  /** Hears how a server process has ended, in words, that was up and was not asked to end. */
  readonly ended?: (server: ServerName, how: string) => void
}

const KEYS: OptionKeys<ClusterOptions> = {
  iods: true,
  directory: true,
  inProcess: true,
  port: true,
  timing: true,
  log: true,
  ended: true,
}

/** Where the parts of a cluster are, and who removes them at its end. */
interface Place {
  readonly plan: ClusterPlan
  readonly temporary: boolean
  readonly sockets: string | undefined
  readonly ports: PortRun | undefined
  /** Where no cluster has been before. */
  readonly before: BeforeStart | undefined
}

type Member = ChildServer | InsideServer

/** A running cluster. */
export class Cluster implements AsyncDisposable {
  readonly #place: Place
  readonly #members: Members<Member>
  #restarts = 0
  #closing: Promise<void> | undefined

  /** Use `startCluster`. */
  constructor(place: Place, members: Members<Member>) {
    this.#place = place
    this.#members = members
  }

  /** URL of the manager. */
  get url(): string {
    return managerUrl(this.#place.plan)
  }

  /** What a program needs in its environment to use this cluster. */
  get environment(): { readonly RANKIO_MANAGER: string } {
    return { RANKIO_MANAGER: this.url }
  }

  get directory(): string {
    return this.#place.plan.directory
  }

  get iodCount(): number {
    return this.#members.iods.length
  }

  /** Servers that were started again, by `restart`. */
  get restarts(): number {
    return this.#restarts
  }

  /** Whether it has ended, or is about to. */
  get isClosing(): boolean {
    return this.#closing !== undefined
  }

  /** The data directory of an iod. */
  iodDirectory(index: number): string {
    this.#member(index)
    return iodDirectory(this.directory, index)
  }

  /** Path of the bytes of one file on one iod; the file is there once something was written to it. */
  datafile(index: number, handle: number): string {
    return join(this.iodDirectory(index), DATA_FOLDER, datafilePath(handle))
  }

  /** Process id of a server. MPI_ERR_OTHER while it does not run. */
  pidOf(server: ServerName): number {
    const { name, pid } = this.#child(server)
    if (pid !== undefined) return pid
    throw new IoError('MPI_ERR_OTHER', `cluster: ${name} does not run`)
  }

  /** Ends a server by a signal, at once unless another is given; resolves when its process is gone. */
  async kill(server: ServerName, signal: NodeJS.Signals = 'SIGKILL'): Promise<void> {
    await this.#child(server).kill(signal)
  }

  /** Stops a server as Ctrl-Z does: its connections stand, but nothing is answered. */
  stop(server: ServerName): void {
    this.#child(server).signal('SIGSTOP')
  }

  /** Lets a stopped server go on. */
  continue(server: ServerName): void {
    this.#child(server).signal('SIGCONT')
  }

  /** Starts a server anew, with the same ports and data; resolves when it listens. One that runs is stopped first, in order. */
  async restart(server: ServerName): Promise<void> {
    const member = this.#member(server)
    await member.stop()
    // Nobody would stop it any more.
    if (this.#closing !== undefined) throw new IoError('MPI_ERR_OTHER', 'cluster: it was closed')
    remakeSocketDirectory(this.#place.sockets)
    await member.start()
    this.#restarts++
  }

  /** The last lines that a server has logged. */
  logs(server: ServerName): readonly string[] {
    return this.#member(server).lines
  }

  /** Stops all servers in order, and removes what is temporary. */
  async close(): Promise<void> {
    this.#closing ??= this.#close()
    await this.#closing
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }

  async #close(): Promise<void> {
    try {
      await stopAll(this.#members)
    } finally {
      await leavePlace(this.#place)
    }
  }

  #member(server: ServerName): Member {
    const { manager, iods } = this.#members
    const member = server === 'manager' ? manager : iods[server]
    if (member !== undefined) return member
    throw new IoError(
      'MPI_ERR_ARG',
      `cluster: it has ${this.iodCount} iods, none of index ${server}`,
    )
  }

  #child(server: ServerName): ChildServer {
    const member = this.#member(server)
    if (member instanceof ChildServer) return member
    const message = `cluster: ${member.name} is no process of its own; in process there is only restart`
    throw new IoError('MPI_ERR_UNSUPPORTED_OPERATION', message)
  }
}

/** Starts a cluster on this host; resolves when all of its servers listen. */
export async function startCluster(options: ClusterOptions = {}): Promise<Cluster> {
  expectOptions('startCluster', options, KEYS)
  expectOptions('startCluster: timing', options.timing ?? {}, TIMING_KEYS)
  const timing =
    options.timing === undefined ? TIMING : checkedTiming({ ...TIMING, ...options.timing })
  if (options.iods !== undefined) checkIods(options.iods)
  if (options.inProcess !== true) expectMemory(options.iods ?? IODS_DEFAULT)
  if (options.directory === undefined) await removeLeftClusters()
  for (let tries = 1; ; tries++) {
    const place = await preparePlace(options)
    const members = membersAt(place, timing, options)
    try {
      await startAll(members)
      return new Cluster(place, members)
    } catch (error) {
      // Why it cannot start is what the caller is told, whatever else fails then.
      await stopAll(members).catch(() => {})
      await leavePlace(place)
      place.before?.restore()
      // Somebody may take a port after it was found free.
      if (!isTaken(error) || place.ports === undefined || tries === PORT_TRIES_MAX) throw error
    }
  }
}

async function preparePlace(options: ClusterOptions): Promise<Place> {
  const temporary = options.directory === undefined
  const directory = temporary ? makeTemporary() : resolve(options.directory ?? '')
  try {
    const planned = await preparePlan(directory, options)
    const sockets = makeSocketDirectory()
    if (temporary) noteSockets(directory, sockets)
    return { ...planned, temporary, sockets }
  } catch (error) {
    if (temporary) rmSync(directory, { recursive: true, force: true })
    throw error
  }
}

async function preparePlan(
  directory: string,
  { iods, port }: ClusterOptions,
): Promise<Pick<Place, 'plan' | 'ports' | 'before'>> {
  const known = await knownPlan({ directory, iods, port })
  const count = iods ?? IODS_DEFAULT
  const isChosen = known === undefined && port === undefined
  const ports = isChosen ? await reservePorts(CLUSTER_HOST, count + 1) : undefined
  const plan = known ?? freshPlan(directory, count, port ?? ports?.first ?? 0)
  const before = known === undefined ? new BeforeStart(plan) : undefined
  try {
    writeIodtab(plan)
    return { plan, ports, before }
  } catch (error) {
    ports?.release()
    before?.restore()
    throw error
  }
}

// Not by rmSync: hundreds of folders one after the other keep this process busy for a second or more.
async function leavePlace({ plan, temporary, sockets, ports }: Place): Promise<void> {
  ports?.release()
  if (sockets !== undefined) removeSocketDirectory(sockets)
  if (temporary) await rm(plan.directory, { recursive: true, force: true })
}

function membersAt(place: Place, timing: Timing, options: ClusterOptions): Members<Member> {
  const { inProcess = false, log = (): void => {}, ended = (): void => {} } = options
  const memberOf = inProcess ? insideMember : childMember
  const about = { place, timing, log, ended }
  const iods = place.plan.iodPorts.map((_, server) => memberOf({ ...about, server }))
  return { manager: memberOf({ ...about, server: 'manager' }), iods }
}

interface MemberOptions {
  readonly server: ServerName
  readonly place: Place
  readonly timing: Timing
  readonly log: (line: string) => void
  readonly ended: (server: ServerName, how: string) => void
}

function childMember({ server, place, timing, log, ended }: MemberOptions): Member {
  const args = serverArgs(place.plan, server, place.sockets)
  const times = timing === TIMING ? [] : ['--timing', JSON.stringify(timing)]
  const ends = ['--report', '--until-stdin-ends']
  const removes = place.temporary ? ['--then-remove', place.plan.directory] : []
  const all = [...args, ...times, ...ends, ...removes]
  return new ChildServer(nameOf(server), all, log, (how) => ended(server, how))
}

function insideMember({ server, place, timing, log }: MemberOptions): Member {
  const { plan, sockets } = place
  const path = socketPath(sockets, fileNameOf(server))
  const shared = { host: CLUSTER_HOST, timing, ...(path === undefined ? {} : { unixPath: path }) }
  if (server === 'manager') {
    const { directory, managerPort: port } = plan
    const own = { directory: managerDirectory(directory), iodtab: iodtabPath(directory), port }
    return new InsideServer(
      nameOf(server),
      (to) => startManager({ ...shared, ...own, log: to }),
      log,
    )
  }
  const own = {
    directory: iodDirectory(plan.directory, server),
    index: server,
    manager: managerUrl(plan),
    port: plan.iodPorts[server] ?? 0,
  }
  return new InsideServer(nameOf(server), (to) => startIod({ ...shared, ...own, log: to }), log)
}

function isTaken(error: unknown): boolean {
  return error instanceof IoError && error.context.errno === 'EADDRINUSE'
}
