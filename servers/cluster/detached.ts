// A cluster that goes on after the command that started it has ended: servers as processes without a
// parent, with logs in files, ended by id and start time.

import { type ChildProcess, spawn } from 'node:child_process'
import { closeSync, openSync } from 'node:fs'
import { dirname } from 'node:path'
import { IoError } from '../../lib/base/errors.js'
import { sleep } from '../../lib/base/runtime.js'
import { nodeClock } from '../../lib/base/runtime-node.js'
import { MANAGER_PORT, textOf } from '../../lib/transport/address.js'
import { makeDirectory } from '../common/directory.js'
import { ioErrorOf } from '../common/errno.js'
import { BeforeStart } from './before.js'
import { COMMAND, nodeFlags, reportOf, upOrError } from './child.js'
import { startOf } from './identity.js'
import {
  CLUSTER_HOST,
  type ClusterPlan,
  expectMemory,
  freshPlan,
  IODS_DEFAULT,
  iodtabPath,
  knownPlan,
  logDirectory,
  type PlanRequest,
  writeIodtab,
} from './plan.js'
import { isInUse } from './ports.js'
import { logPath, managerUrl, nameOf, serverArgs, type ServerName } from './servers.js'
import { makeSocketDirectory, remakeSocketDirectory, removeSocketsOf } from './sockets.js'
import {
  type DetachedCluster,
  type DetachedServer,
  isAlive,
  lifeOf,
  readState,
  removeState,
  writeState,
} from './state.js'

/** 20 s: what servers that stop in order may take before they are killed. */
const STOP_MS = 20_000

const LOOK_MS = 20

interface Place {
  readonly plan: ClusterPlan
  readonly sockets: string | undefined
  readonly acceptDataLoss: number | undefined
  readonly restored: boolean
  readonly signal: AbortSignal
  /** What must stay where it is although the start has failed: logs that alone say why, and servers that cannot be ended. */
  readonly remains: Set<string>
}

/** What is started. */
export interface DetachedRequest extends PlanRequest {
  /** What this iod held is given up if its directory is not the right one. */
  readonly acceptDataLoss?: number | undefined
  /** The manager's metadata are a copy that may be older than what the iods hold. */
  readonly restored?: boolean
  /** Aborted: what was started is stopped again, and its reason thrown. */
  readonly signal: AbortSignal
}

/** A cluster that runs on its own, and what was done for it. */
export interface DetachedStart {
  readonly cluster: DetachedCluster
  /** In words, the servers that were started: all, or those that were missing. */
  readonly started: readonly string[]
}

/**
 * Starts a cluster in a directory, or what is missing of one that runs; resolves when all of its servers listen.
 * MPI_ERR_OTHER if all of it runs already.
 */
export async function startDetached(request: DetachedRequest): Promise<DetachedStart> {
  const { directory } = request
  const state = readState(directory)
  if (state?.servers.some(isAlive) === true) return await startMissing(request, state)
  // It died with its host, or was killed: its sockets are in nobody's way any more.
  if (state !== undefined) removeSocketsOf(state.sockets)
  return await startWhole(request)
}

async function startWhole(request: DetachedRequest): Promise<DetachedStart> {
  const { directory, iods = IODS_DEFAULT, port = MANAGER_PORT, signal } = request
  const { acceptDataLoss, restored = false } = request
  const known = await knownPlan(request)
  expectMemory(known?.iodPorts.length ?? iods)
  const plan = known ?? freshPlan(directory, iods, port)
  expectIod(acceptDataLoss, plan.iodPorts.length)
  const before = new BeforeStart(plan)
  const about = { plan, acceptDataLoss, restored, signal, remains: new Set<string>() }
  try {
    await expectFreePorts(plan, await knownPlan({ directory, iods: undefined, port: undefined }))
    makeDirectory(logDirectory(directory))
    writeIodtab(plan)
    return await startAllIn(about)
  } catch (error) {
    if (known === undefined && about.remains.size === 0) before.restore()
    throw error
  }
}

async function startAllIn(about: Omit<Place, 'sockets'>): Promise<DetachedStart> {
  const place = { ...about, sockets: makeSocketDirectory() }
  try {
    const servers = ['manager', ...about.plan.iodPorts.keys()] as const
    return await startIn(place, new Map(servers.map((server) => [server, undefined])))
  } catch (error) {
    removeSocketsOf(place.sockets ?? '')
    throw error
  }
}

function expectIod(index: number | undefined, count: number): void {
  if (index === undefined || index < count) return
  const message = `cluster: it has ${count} iods, none of index ${index} whose data could be given up`
  throw new IoError('MPI_ERR_ARG', message)
}

// Before they are written down: a directory keeps the ports that it begins with, and could not be started with others.
async function expectFreePorts(plan: ClusterPlan, before: ClusterPlan | undefined): Promise<void> {
  const { managerPort, iodPorts } = plan
  for (const [index, port] of [managerPort, ...iodPorts].entries()) {
    if (before !== undefined && index <= before.iodPorts.length) continue
    if (!(await isInUse(CLUSTER_HOST, port))) continue
    const name = nameOf(index === 0 ? 'manager' : index - 1)
    const message = `cluster: ${name}: cannot listen on ${CLUSTER_HOST}:${port}: the address is in use`
    throw new IoError('MPI_ERR_ARG', message, { errno: 'EADDRINUSE' })
  }
}

// As whoever starts it expects: the servers that run are left alone, their clients notice nothing.
async function startMissing(
  request: DetachedRequest,
  { url, sockets, servers }: DetachedCluster,
): Promise<DetachedStart> {
  const { directory, acceptDataLoss, restored = false, signal } = request
  const plan = await knownPlan(request)
  const refused = (why: string): IoError =>
    new IoError('MPI_ERR_OTHER', `${directory}: it runs already, at ${url}${why}`)
  if (plan === undefined) throw refused(`; its iodtab ${iodtabPath(directory)} is gone`)
  const count = servers.length - 1
  expectIod(acceptDataLoss, count)
  if (plan.iodPorts.length !== count)
    throw refused(` with ${count} iods; \`rankio cluster stop\` it before others are added`)
  if (servers.every(isAlive)) throw refused('')
  const accepted = acceptDataLoss === undefined ? undefined : servers[acceptDataLoss + 1]
  if (accepted !== undefined && isAlive(accepted))
    throw refused(`, with ${accepted.name}, whose data are in use and need not be given up`)
  if (restored && servers.slice(0, 1).every(isAlive))
    throw refused(', with the manager, whose metadata are in use')
  const folder = sockets === '' ? undefined : sockets
  remakeSocketDirectory(folder)
  const remains = new Set<string>()
  const place = { plan, sockets: folder, acceptDataLoss, restored, signal, remains }
  const known = servers.map((server, at): [ServerName, DetachedServer | undefined] => {
    return [at === 0 ? 'manager' : at - 1, isAlive(server) ? server : undefined]
  })
  return await startIn(place, new Map(known))
}

// Starts those of which no process is known, and writes down what runs then.
async function startIn(
  place: Place,
  servers: ReadonlyMap<ServerName, DetachedServer | undefined>,
): Promise<DetachedStart> {
  const { plan, sockets, restored, signal } = place
  const missing = [...servers.keys()].filter((server) => servers.get(server) === undefined)
  const started = new Map<ServerName, DetachedServer>()
  const start = async (server: ServerName): Promise<void> => {
    signal.throwIfAborted()
    started.set(server, await startOne(place, server))
  }
  try {
    // One whose metadata were restored asks the iods before it is up.
    const isFirst = missing[0] === 'manager' && !restored
    if (isFirst) await start('manager')
    const results = await Promise.allSettled(missing.slice(isFirst ? 1 : 0).map(start))
    signal.throwIfAborted()
    for (const result of results) if (result.status === 'rejected') throw result.reason
    const running = [...servers].flatMap(([name, server]) => server ?? started.get(name) ?? [])
    const cluster = { url: managerUrl(plan), sockets: sockets ?? '', servers: running }
    writeState(plan.directory, cluster)
    return { cluster, started: missing.map(nameOf) }
  } catch (error) {
    // Why it cannot start is what the caller is told, whatever else fails then.
    await stopServers(
      ['manager' as const, ...plan.iodPorts.keys()].map((name) => started.get(name)),
    ).catch((failure: unknown) => place.remains.add(String(failure)))
    signal.throwIfAborted()
    throw error
  }
}

/** Stops the cluster of a directory; resolves with the number of servers that were running. */
export async function stopDetached(directory: string): Promise<number> {
  const state = requireState(directory)
  const running = await stopServers(state.servers)
  removeSocketsOf(state.sockets)
  removeState(directory)
  return running
}

/** What is known of the cluster of a directory. MPI_ERR_OTHER where none was started. */
export function requireState(directory: string): DetachedCluster {
  const state = readState(directory)
  if (state !== undefined) return state
  throw new IoError('MPI_ERR_OTHER', `${directory}: no cluster runs there`)
}

async function startOne(
  { plan, sockets, acceptDataLoss, restored, signal, remains }: Place,
  server: ServerName,
): Promise<DetachedServer> {
  const log = logPath(plan.directory, server)
  const word = [
    ...(server === acceptDataLoss ? ['--accept-data-loss'] : []),
    ...(server === 'manager' && restored ? ['--restored'] : []),
  ]
  const child = spawnInto(log, [...serverArgs(plan, server, sockets), ...word, '--report'])
  const end = (): unknown => child.kill('SIGKILL')
  signal.addEventListener('abort', end)
  try {
    await upOrError(nameOf(server), child, reportOf(child), () => {
      if (!signal.aborted) remains.add(log)
      return `it ended; ${log} says why`
    })
  } catch (error) {
    end()
    throw error
  } finally {
    signal.removeEventListener('abort', end)
    child.stdout?.destroy()
    child.unref()
  }
  const pid = child.pid ?? 0
  const port = server === 'manager' ? plan.managerPort : (plan.iodPorts[server] ?? 0)
  const address = textOf({ kind: 'tcp', host: CLUSTER_HOST, port })
  return { name: nameOf(server), pid, start: startTold(pid), address, log }
}

// It runs: that nobody may look at it must not end it.
function startTold(pid: number): string {
  try {
    return startOf(pid) ?? ''
  } catch {
    return ''
  }
}

function spawnInto(log: string, args: readonly string[]): ChildProcess {
  let file: number
  try {
    file = openSync(log, 'a', 0o600)
  } catch (error) {
    throw ioErrorOf(error, `log ${log}: it cannot be opened`)
  }
  try {
    return spawn(process.execPath, [...nodeFlags(), COMMAND, ...args], {
      cwd: dirname(log),
      detached: true,
      stdio: ['ignore', 'pipe', file],
    })
  } finally {
    closeSync(file)
  }
}

// The iods first, then the manager: none of them has to notice that its manager is gone. Who cannot be stopped keeps
// nobody else running.
async function stopServers([manager, ...iods]: readonly (
  | DetachedServer
  | undefined
)[]): Promise<number> {
  const running = iods.filter((server) => server !== undefined)
  const stopped = await Promise.allSettled(running.map(stopServer))
  if (manager !== undefined) stopped.push(...(await Promise.allSettled([stopServer(manager)])))
  let count = 0
  for (const result of stopped) {
    if (result.status === 'rejected') throw result.reason
    if (result.value) count++
  }
  return count
}

async function stopServer(server: DetachedServer): Promise<boolean> {
  if (!isAlive(server)) return false
  send(server, 'SIGTERM')
  // One that was stopped by SIGSTOP would never see the other.
  send(server, 'SIGCONT')
  if (!(await ends(server))) {
    send(server, 'SIGKILL')
    await ends(server)
  }
  return true
}

async function ends(server: DetachedServer): Promise<boolean> {
  const deadline = nodeClock.now() + STOP_MS
  while (isAlive(server)) {
    if (nodeClock.now() >= deadline) return false
    // Not our child any more: nobody tells when it ends.
    await sleep(nodeClock, LOOK_MS)
  }
  return true
}

function send(server: DetachedServer, signal: NodeJS.Signals): void {
  // Looked at again each time: the id may belong to somebody else by now.
  const life = lifeOf(server)
  if (life === 'gone') return
  if (life === 'unknown')
    throw new IoError(
      'MPI_ERR_ACCESS',
      `${server.name}: process ${server.pid} is not ended: the operating system does not tell whether it is still this server`,
    )
  try {
    process.kill(server.pid, signal)
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ESRCH') return
    throw ioErrorOf(error, `${server.name}: process ${server.pid} cannot be ended`)
  }
}
