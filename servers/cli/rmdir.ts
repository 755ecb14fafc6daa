// `rankio rmdir`: removes empty directories.

import type { Command } from 'commander'
import { example } from './command.js'
import { addManagerOption } from './connection.js'
import { onEach } from './each.js'

/** Adds the command. */
export function addRmdir(program: Command): void {
  const command = program
    .command('rmdir')
    .description('remove empty directories of a manager')
    .argument('<path...>', 'directories')
  addManagerOption(command)
  example(command, 'rankio rmdir /run')
  command.action(async (paths: readonly string[], options: { readonly manager?: string }) => {
    await onEach(command, paths, options.manager, (fileSystem, path) => fileSystem.rmdir(path))
  })
}
