// `rankio rm`: removes files.

import type { Command } from 'commander'
import { example, hinting } from './command.js'
import { addManagerOption } from './connection.js'
import { onEach } from './each.js'

/** Adds the command. */
export function addRm(program: Command): void {
  const command = program
    .command('rm')
    .description('remove files of a manager; who has one open keeps it until it is closed')
    .argument('<path...>', 'files')
  addManagerOption(command)
  example(command, 'rankio rm /run/field.dat /run/old.dat')
  command.action(async (paths: readonly string[], options: { readonly manager?: string }) => {
    await onEach(command, paths, options.manager, async (fileSystem, path) => {
      await hinting('EISDIR', 'rankio rmdir removes an empty one', fileSystem.unlink(path))
    })
  })
}
