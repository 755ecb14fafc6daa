// `rankio iod`: runs an iod in the foreground.

import type { Command } from 'commander'
import { MANAGER_PORT } from '../../lib/transport/address.js'
import { fileNameOf } from '../cluster/servers.js'
import { startIod } from '../start.js'
import { example } from './command.js'
import { iodIndex, managerUrl } from './options.js'
import { addPortOption, addServeOptions, serve, type ServeOptions, serveStart } from './serve.js'

interface IodOptions extends ServeOptions {
  readonly index: number
  readonly manager: string
  readonly port?: number
  readonly acceptDataLoss?: true
}

/** Adds the command. */
export function addIod(program: Command): void {
  const command = program
    .command('iod')
    .description('run an iod in the foreground; its log goes to standard error')
    .requiredOption('--index <number>', 'its line in the iodtab, from 0', iodIndex)
    .requiredOption('--manager <url>', 'URL of its manager', managerUrl)
  addServeOptions(command)
  addPortOption(command, `TCP port, as in the iodtab (default: ${MANAGER_PORT + 1} + index)`)
  command.option(
    '--accept-data-loss',
    'take a blank or old directory; what the right one held is given up',
  )
  example(
    command,
    'rankio iod --data /var/lib/rankio/iod-0 --index 0 --manager rankio://node1:7300',
  )
  command.action(async (options: IodOptions) => {
    const { index, manager, port = MANAGER_PORT + 1 + index } = options
    const acceptDataLoss = options.acceptDataLoss === true
    await serve(
      fileNameOf(index),
      () => startIod({ ...serveStart(options), index, manager, port, acceptDataLoss }),
      options,
    )
  })
}
