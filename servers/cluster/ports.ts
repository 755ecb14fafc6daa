// Ports of a cluster: consecutive, free, and below the range from which the system gives ports to
// outgoing connections, since a dead iod's port must still be free when it comes back.

import { createSocket, type Socket } from 'node:dgram'
import { readFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { IoError } from '../../lib/base/errors.js'
import { ioErrorOf } from '../common/errno.js'

/** 10,000: above the ports that are registered most densely, and above our own defaults. */
const PORT_MIN = 10_000

/** 32,768: where the system's range begins on Linux unless it is configured. */
const EPHEMERAL_DEFAULT = { from: 32_768, to: 60_999 }

/** Ports that must be there to choose from; fewer, and the other side of the system's range is taken. */
const CHOICE_MIN = 1000

const TRIES_MAX = 200

/** Consecutive ports that were free, kept from every other cluster of this host until they are released. */
export interface PortRun {
  readonly first: number
  /** Gives the ports free; idempotent. */
  readonly release: () => void
}

/** Finds `count` consecutive free ports on `host`. */
export async function reservePorts(host: string, count: number): Promise<PortRun> {
  const { from, to } = choice()
  for (let tries = 0; tries < TRIES_MAX; tries++) {
    const first = from + Math.floor(Math.random() * Math.max(1, to - from - count + 2))
    // One after the other: the first port that is taken ends a try.
    const run = await tryRun(host, first, count)
    if (run !== undefined) return run
  }
  throw new IoError('MPI_ERR_OTHER', `cluster: no ${count} consecutive free ports on ${host}`)
}

async function tryRun(host: string, first: number, count: number): Promise<PortRun | undefined> {
  const guards: Socket[] = []
  const release = (): void => {
    for (const guard of guards.splice(0)) guard.close()
  }
  for (let port = first; port < first + count; port++) {
    const guard = await takeGuard(host, port)
    if (guard !== undefined) guards.push(guard)
    if (guard === undefined || !(await isFree(host, port))) {
      release()
      return undefined
    }
  }
  return { first, release }
}

// The UDP port of the same number, which nobody else of ours needs, is the lock: it excludes processes
// that look for ports at the same moment, and ends with its process, however that ends.
function takeGuard(host: string, port: number): Promise<Socket | undefined> {
  return new Promise((resolve) => {
    const guard = createSocket(host.includes(':') ? 'udp6' : 'udp4')
    guard.once('error', () => {
      guard.close()
      resolve(undefined)
    })
    guard.bind({ address: host, port, exclusive: true }, () => {
      guard.unref()
      resolve(guard)
    })
  })
}

/** Whether somebody listens on a port. */
export async function isInUse(host: string, port: number): Promise<boolean> {
  return (await listenError(host, port))?.code === 'EADDRINUSE'
}

async function isFree(host: string, port: number): Promise<boolean> {
  const error = await listenError(host, port)
  if (error === undefined) return true
  if (error.code === 'EADDRINUSE' || error.code === 'EACCES') return false
  throw ioErrorOf(error, `cluster: it cannot listen on ${host}`)
}

function listenError(host: string, port: number): Promise<NodeJS.ErrnoException | undefined> {
  return new Promise((resolve) => {
    const server = createServer()
    server.once('error', resolve)
    server.listen({ host, port, exclusive: true }, () => server.close(() => resolve(undefined)))
  })
}

function choice(): { readonly from: number; readonly to: number } {
  const ephemeral = ephemeralPorts()
  if (ephemeral.from - PORT_MIN >= CHOICE_MIN) return { from: PORT_MIN, to: ephemeral.from - 1 }
  if (65_535 - ephemeral.to >= CHOICE_MIN) return { from: ephemeral.to + 1, to: 65_535 }
  // The system leaves no room: better a risk after a crash than no cluster.
  return { from: PORT_MIN, to: EPHEMERAL_DEFAULT.from - 1 }
}

function ephemeralPorts(): { readonly from: number; readonly to: number } {
  try {
    const text = readFileSync('/proc/sys/net/ipv4/ip_local_port_range', 'utf8')
    const [from, to] = text.trim().split(/\s+/).map(Number)
    return from === undefined || to === undefined ? EPHEMERAL_DEFAULT : { from, to }
  } catch {
    // Not Linux: its range lies above the default's beginning on every other system that Node knows.
    return EPHEMERAL_DEFAULT
  }
}
