// A cluster that goes on after the command that started it has ended: servers as processes without a
// parent, with logs in files, ended by id and start time.

import { type ChildProcess, spawn } from 'node:child_process'
import { closeSync, openSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { IoError } from '../../lib/base/errors.js'
import { sleep } from '../../lib/base/runtime.js'
import { nodeClock } from '../../lib/base/runtime-node.js'
import { MANAGER_PORT, textOf } from '../../lib/transport/address.js'
import { makeDirectory } from '../common/directory.js'
import { ioErrorOf } from '../common/errno.js'
import { COMMAND, nodeFlags, reportOf, upOrError } from './child.js'
import { startOf } from './identity.js'
import {
  CLUSTER_HOST,
  type ClusterPlan,
  freshPlan,
  IODS_DEFAULT,
  knownPlan,
  type PlanRequest,
  writeIodtab,
} from './plan.js'
import { fileNameOf, managerUrl, nameOf, serverArgs, type ServerName } from './servers.js'
import { makeSocketDirectory, removeSocketDirectory } from './sockets.js'
import {
  type DetachedCluster,
  type DetachedServer,
  isAlive,
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
}

/** What is started. */
export interface DetachedRequest extends PlanRequest {
  /** What this iod held is given up if its directory is not the right one. */
  readonly acceptDataLoss?: number | undefined
  /** The manager's metadata are a copy that may be older than what the iods hold. */
  readonly restored?: boolean
}

/** Starts a cluster in a directory; resolves when all of its servers listen. MPI_ERR_OTHER if it runs already. */
export async function startDetached(request: DetachedRequest): Promise<DetachedCluster> {
  const { directory, iods = IODS_DEFAULT, port = MANAGER_PORT } = request
  const { acceptDataLoss, restored = false } = request
  refuseSecond(directory)
  makeDirectory(join(directory, 'log'))
  const plan = (await knownPlan(request)) ?? freshPlan(directory, iods, port)
  writeIodtab(plan)
  const place = { plan, sockets: makeSocketDirectory(), acceptDataLoss, restored }
  const running: DetachedServer[] = []
  try {
    // One whose metadata were restored asks the iods before it is up.
    const manager = startOne(place, 'manager')
    if (!restored) running.push(await manager)
    const iodsStarted = plan.iodPorts.map((_, index) => startOne(place, index))
    const started = await Promise.allSettled([...(restored ? [manager] : []), ...iodsStarted])
    for (const one of started) if (one.status === 'fulfilled') running.push(one.value)
    for (const one of started) if (one.status === 'rejected') throw one.reason
    const state = { url: managerUrl(plan), sockets: place.sockets ?? '', servers: running }
    writeState(directory, state)
    return state
  } catch (error) {
    // Why it cannot start is what the caller is told, whatever else fails then.
    await stopServers(running).catch(() => {})
    removeSockets(place.sockets ?? '')
    throw error
  }
}

/** Stops the cluster of a directory; resolves with the number of servers that were running. */
export async function stopDetached(directory: string): Promise<number> {
  const state = requireState(directory)
  const running = await stopServers(state.servers)
  removeSockets(state.sockets)
  removeState(directory)
  return running
}

/** What is known of the cluster of a directory. MPI_ERR_OTHER where none was started. */
export function requireState(directory: string): DetachedCluster {
  const state = readState(directory)
  if (state !== undefined) return state
  throw new IoError('MPI_ERR_OTHER', `${directory}: no cluster runs there`)
}

function refuseSecond(directory: string): void {
  const state = readState(directory)
  if (state === undefined) return
  const alive = state.servers.filter(isAlive)
  if (alive.length === 0) {
    // It died with its host, or was killed: its sockets are in nobody's way any more.
    removeSockets(state.sockets)
    return
  }
  const some = alive.length < state.servers.length ? `${alive.length} servers of it run` : 'it runs'
  throw new IoError('MPI_ERR_OTHER', `${directory}: ${some} already, at ${state.url}`)
}

async function startOne(
  { plan, sockets, acceptDataLoss, restored }: Place,
  server: ServerName,
): Promise<DetachedServer> {
  const log = join(plan.directory, 'log', `${fileNameOf(server)}.log`)
  const word = [
    ...(server === acceptDataLoss ? ['--accept-data-loss'] : []),
    ...(server === 'manager' && restored ? ['--restored'] : []),
  ]
  const child = spawnInto(log, [...serverArgs(plan, server, sockets), ...word, '--report'])
  try {
    await upOrError(nameOf(server), child, reportOf(child), () => `it ended; ${log} says why`)
  } catch (error) {
    child.kill('SIGKILL')
    throw error
  } finally {
    child.stdout?.destroy()
    child.unref()
  }
  const pid = child.pid ?? 0
  const port = server === 'manager' ? plan.managerPort : (plan.iodPorts[server] ?? 0)
  const address = textOf({ kind: 'tcp', host: CLUSTER_HOST, port })
  return { name: nameOf(server), pid, start: startOf(pid) ?? '', address, log }
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
async function stopServers(servers: readonly DetachedServer[]): Promise<number> {
  const [manager, ...iods] = servers
  const stopped = await Promise.allSettled(iods.map(stopServer))
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
  if (!isAlive(server)) return
  try {
    process.kill(server.pid, signal)
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ESRCH') return
    throw ioErrorOf(error, `${server.name}: process ${server.pid} cannot be ended`)
  }
}

// The path comes from a file: only what looks like one of ours is removed.
function removeSockets(sockets: string): void {
  const isOurs =
    /^[0-9a-f]{8}$/.test(basename(sockets)) && basename(dirname(sockets)).startsWith('rankio')
  if (isOurs) removeSocketDirectory(sockets)
}
