// How the commands about files reach a manager.

import type { Command } from 'commander'
import { checkedTiming, TIMING } from '../../lib/base/timing.js'
import { FileSystem, IoError } from '../../lib/index.js'
import { managerIn } from '../../lib/transport/address.js'
import { managerUrl } from './options.js'

/** A person who typed a wrong address should not wait for as long as a job waits for its servers. */
const IMPATIENT = checkedTiming({
  ...TIMING,
  heartbeatMs: 1_000,
  resolveMs: 2_000,
  silenceMs: 3_000,
  directLeaseMs: 2_000,
  operationMs: 5_000,
  syncMs: 4_000,
  listenMs: 4_000,
})

/** Adds the option that names the manager. */
export function addManagerOption(command: Command): Command {
  const text = 'its URL (default: RANKIO_MANAGER, else rankio://127.0.0.1:7300)'
  return command.option('--manager <url>', text, managerUrl)
}

/** Connects for a few short operations. Reason MANAGER_DOWN after some seconds. */
export async function connect(manager: string): Promise<FileSystem> {
  try {
    return await FileSystem.connect(manager, { timing: IMPATIENT })
  } catch (error) {
    const isDown = error instanceof IoError && error.context.reason === 'MANAGER_DOWN'
    if (!isDown || manager !== managerIn(process.env)) throw error
    const message = `${error.message}; its address is that of RANKIO_MANAGER`
    throw new IoError(error.code, message, { ...error.context, cause: error })
  }
}

/** Connects for operations that outlive the restart of a server; only the first contact is quick. */
export async function connectPatiently(manager: string): Promise<FileSystem> {
  await using first = await connect(manager)
  await first.status()
  return await FileSystem.connect(manager)
}
