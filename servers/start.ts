// Starts the two servers in this process, on real disks and sockets: what `rankio manager` and
// `rankio iod` do, and what a cluster inside one process is made of.

import { readFileSync } from 'node:fs'
import { IoError } from '../lib/base/errors.js'
import { expectOptions, type OptionKeys } from '../lib/base/options.js'
import type { Address, Runtime } from '../lib/base/runtime.js'
import { nodeDescriptorLimit } from '../lib/base/runtime-node.js'
import { type Timing, TIMING } from '../lib/base/timing.js'
import { LIMITS } from '../lib/protocol/limits.js'
import { parseUrl, textOf } from '../lib/transport/address.js'
import { nodeRuntime } from '../lib/transport/runtime.js'
import { abandonDataDirectory, prepareDataDirectory } from './common/data-directory.js'
import { ioErrorOf } from './common/errno.js'
import { lockDirectory } from './common/lock.js'
import { lineLog, type Log } from './common/log.js'
import { expectUnixPlace, unixAddress } from './common/unix-socket.js'
import { RunningIod } from './iod/startup.js'
import { parseIodtab } from './manager/iodtab.js'
import { Manager } from './manager/manager.js'

/** Where a server listens unless it is told otherwise. */
const HOST_DEFAULT = '127.0.0.1'

/** What both servers may be told. */
export interface ServerStart {
  /** Its directory; made if it is missing. */
  readonly directory: string
  readonly timing?: Timing
  readonly runtime?: Runtime
  readonly log?: Log
}

/** How a manager is started. */
export interface ManagerStart extends ServerStart {
  /** Path of the iodtab. */
  readonly iodtab: string
  /** An operator's word that the metadata are a copy that may be older than what iods hold. */
  readonly restored?: boolean
  readonly host?: string
  readonly port: number
  /** Path of a unix socket to listen on as well, in a directory that is there. */
  readonly unixPath?: string
}

/** How an iod is started. */
export interface IodStart extends ServerStart {
  /** Its line in the iodtab, from 0. */
  readonly index: number
  /** URL of its manager. */
  readonly manager: string
  readonly host?: string
  readonly port: number
  /** Path of a unix socket to listen on as well, in a directory that is there. */
  readonly unixPath?: string
  /** An operator's word that what this iod held may be given up, if the directory is not the one that the manager knows. */
  readonly acceptDataLoss?: boolean
}

const SERVER_KEYS = {
  directory: true,
  timing: true,
  runtime: true,
  log: true,
  host: true,
  port: true,
  unixPath: true,
} as const

const MANAGER_KEYS: OptionKeys<ManagerStart> = { ...SERVER_KEYS, iodtab: true, restored: true }

const IOD_KEYS: OptionKeys<IodStart> = {
  ...SERVER_KEYS,
  index: true,
  manager: true,
  acceptDataLoss: true,
}

/** A running server of this process. */
export interface RunningServer extends AsyncDisposable {
  readonly port: number
  close(): Promise<void>
}

/** Starts a manager; resolves when it listens. */
export async function startManager(
  options: ManagerStart,
): Promise<RunningServer & { readonly manager: Manager }> {
  expectOptions('startManager', options, MANAGER_KEYS)
  const { directory, iodtab: iodtabSource, host = HOST_DEFAULT, port, unixPath } = options
  expectHost('startManager', host)
  const { restored = false } = options
  const { runtime, timing, log } = surroundings('manager', options)
  // What the environment asks for in vain is said before anything is made.
  const transport = await runtime.network.kind?.()
  const iodtab = await parseIodtab(readText(iodtabSource), iodtabSource)
  if (unixPath !== undefined) await expectUnixPlace(unixPath)
  prepareDataDirectory(directory, 'manager')
  // An iod has no use for LMDB, which takes half of the time that a server needs to be loaded.
  const { openLmdbStore } = await import('./manager/store/lmdb.js')
  // The store locks the directory.
  const store = await openLmdbStore(directory)
  let manager: Manager
  try {
    manager = await Manager.start({ runtime, timing, log, store, iodtab, iodtabSource, restored })
  } catch (error) {
    await store.close()
    throw error
  }
  try {
    const bound = await manager.listen({ kind: 'tcp', host, port })
    if (unixPath !== undefined) await manager.listen(unixAddress(unixPath))
    log.info('listening', { address: textOf(bound), transport })
    const close = async (): Promise<void> => await manager.close()
    return { manager, port: portOf(bound), close, [Symbol.asyncDispose]: close }
  } catch (error) {
    await manager.close()
    throw error
  }
}

/** Starts an iod; resolves when it has its state and listens. */
export async function startIod(
  options: IodStart,
): Promise<RunningServer & { readonly incarnation: number }> {
  expectOptions('startIod', options, IOD_KEYS)
  const { directory, index, host = HOST_DEFAULT, port, unixPath } = options
  expectHost('startIod', host)
  // At least as many are left for connections.
  const descriptors = Math.min(LIMITS.descriptors, Math.floor(nodeDescriptorLimit() / 2))
  const around = { ...surroundings(`iod ${index}`, options), descriptors }
  await around.runtime.network.kind?.()
  if (unixPath !== undefined) await expectUnixPlace(unixPath)
  const found = prepareDataDirectory(directory, 'iod')
  const lock = await lockDirectory(directory)
  try {
    if (unixPath !== undefined) unixAddress(unixPath)
    const { acceptDataLoss = false } = options
    const manager = parseUrl(options.manager)
    const config = { index, directory, manager, listen: { host, port }, acceptDataLoss }
    const iod = await RunningIod.start(
      unixPath === undefined ? config : { ...config, unixPath },
      around,
    )
    const close = async (): Promise<void> => {
      try {
        await iod.close()
      } finally {
        await lock.release()
      }
    }
    return { port: iod.port, incarnation: iod.incarnation, close, [Symbol.asyncDispose]: close }
  } catch (error) {
    // An iod that was refused has left nothing there.
    abandonDataDirectory(directory, found)
    await lock.release()
    throw error
  }
}

function surroundings(
  server: string,
  { runtime = nodeRuntime(), timing = TIMING, log }: ServerStart,
): { runtime: Runtime; timing: Timing; log: Log } {
  return {
    runtime,
    timing,
    log: log ?? lineLog(server, runtime.clock, (line) => void process.stderr.write(line)),
  }
}

// A system takes no host for all addresses of this one; who wants that says 0.0.0.0 or ::.
function expectHost(routine: string, host: string): void {
  if (host === '') throw new IoError('MPI_ERR_ARG', `${routine}: its host is empty`)
}

function readText(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch (error) {
    throw ioErrorOf(error, `iodtab ${path}: it cannot be read`)
  }
}

function portOf(address: Address): number {
  if (address.kind === 'tcp') return address.port
  throw new IoError('MPI_ERR_INTERN', 'a TCP address was expected')
}
