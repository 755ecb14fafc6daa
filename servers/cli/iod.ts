// `rankio iod`: runs an iod in the foreground.

import type { Command } from 'commander'
import { LIMITS } from '../../lib/protocol/limits.js'
import { MANAGER_PORT } from '../../lib/transport/address.js'
import { fileNameOf } from '../cluster/servers.js'
import { startIod } from '../start.js'
import { example } from './command.js'
import { managerUrl, wholeNumber } from './options.js'
import { addPortOption, addServeOptions, serve, type ServeOptions, serveStart } from './serve.js'

interface IodOptions extends ServeOptions {
  readonly index: number
  readonly manager: string
  readonly port?: number
}

/** Adds the command. */
export function addIod(program: Command): void {
  const command = program
    .command('iod')
    .description('run an iod in the foreground; its log goes to standard error')
    .requiredOption(
      '--index <number>',
      'its line in the iodtab, from 0',
      wholeNumber(0, LIMITS.iods - 1),
    )
    .requiredOption('--manager <url>', 'URL of its manager', managerUrl)
  addServeOptions(command)
  addPortOption(command, `TCP port, as in the iodtab (default: ${MANAGER_PORT + 1} + index)`)
  example(
    command,
    'rankio iod --data /var/lib/rankio/iod-0 --index 0 --manager rankio://node1:7300',
  )
  command.action(async (options: IodOptions) => {
    const { index, manager, port = MANAGER_PORT + 1 + index } = options
    await serve(
      fileNameOf(index),
      () => startIod({ ...serveStart(options), index, manager, port }),
      options,
    )
  })
}
