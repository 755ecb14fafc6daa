// `rankio mv`: gives a file or directory another name.

import { posix } from 'node:path'
import type { Command } from 'commander'
import { IoError } from '../../lib/index.js'
import { example, wrongUse } from './command.js'
import { addManagerOption, connect } from './connection.js'
import { kindAt } from './kind.js'
import { inside, namedPlace } from './place.js'

/** Adds the command. */
export function addMv(program: Command): void {
  const command = program
    .command('mv')
    .description('rename a file or directory of a manager; a file that has the name is replaced')
    .argument('<from>', 'file or directory')
    .argument('<to>', 'new name, or a directory to move it to')
  addManagerOption(command)
  example(command, 'rankio mv /run/field.dat /archive')
  command.action(async (from: string, to: string, options: { readonly manager?: string }) => {
    const source = namedPlace(from, options.manager)
    const target = namedPlace(to, options.manager)
    if (source.manager !== target.manager) {
      wrongUse(command, `${from} and ${to} are on different managers; use cp and rm`)
    }
    await using fileSystem = await connect(source.manager)
    const isDirectory = (await kindAt(fileSystem, target.path)) === 'directory'
    const place = isDirectory ? inside(target, posix.basename(source.path)) : target
    if (posix.normalize(place.path) === posix.normalize(source.path)) {
      const message = `${JSON.stringify(from)}: it has that name already`
      throw new IoError('MPI_ERR_ARG', message)
    }
    await fileSystem.rename(source.path, place.path)
  })
}
