// `rankio mkdir`: makes directories.

import type { Command } from 'commander'
import { example, hinting } from './command.js'
import { addManagerOption } from './connection.js'
import { onEach } from './each.js'

interface MkdirOptions {
  readonly manager?: string
  readonly parents?: boolean
}

/** Adds the command. */
export function addMkdir(program: Command): void {
  const command = program
    .command('mkdir')
    .description('make directories on a manager')
    .argument('<path...>', 'directories')
    .option('-p, --parents', 'make those above too; one that exists is no error')
  addManagerOption(command)
  example(command, 'rankio mkdir -p /run/2026/11')
  command.action(async (paths: readonly string[], { manager, parents = false }: MkdirOptions) => {
    await onEach(command, paths, manager, (fileSystem, path) =>
      hinting('ENOENT', 'with -p it is made', fileSystem.mkdir(path, { recursive: parents })),
    )
  })
}
