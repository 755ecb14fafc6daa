// `rankio manager`: runs a manager in the foreground.

import { resolve } from 'node:path'
import type { Command } from 'commander'
import { MANAGER_PORT } from '../../lib/transport/address.js'
import { fileNameOf } from '../cluster/servers.js'
import { startManager } from '../start.js'
import { example } from './command.js'
import { notEmpty } from './options.js'
import { addPortOption, addServeOptions, serve, type ServeOptions, serveStart } from './serve.js'

interface ManagerOptions extends ServeOptions {
  readonly iodtab: string
  readonly port?: number
  readonly restored?: true
}

/** Adds the command. */
export function addManager(program: Command): void {
  const command = program
    .command('manager')
    .description('run a manager in the foreground; its log goes to standard error')
    .requiredOption('--iodtab <file>', 'file with one line host:port for each iod', notEmpty)
  addServeOptions(command)
  addPortOption(command, `TCP port (default: ${MANAGER_PORT})`)
  command.option(
    '--restored',
    'its metadata are a copy that may be older than what iods hold: ask all of them first',
  )
  example(command, 'rankio manager --data /var/lib/rankio/manager --iodtab /etc/rankio/iodtab')
  command.action(async (options: ManagerOptions) => {
    const { port = MANAGER_PORT, iodtab } = options
    const own = { iodtab: resolve(iodtab), port, restored: options.restored === true }
    await serve(
      fileNameOf('manager'),
      () => startManager({ ...serveStart(options), ...own }),
      options,
    )
  })
}
