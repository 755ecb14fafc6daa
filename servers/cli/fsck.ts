// `rankio fsck`: compares names, files, opens and datafiles, while they are in use.

import type { Command } from 'commander'
import type { Finding } from '../../lib/index.js'
import { FINDINGS } from '../../lib/protocol/findings.js'
import { example } from './command.js'
import { addManagerOption, connectPatiently } from './connection.js'
import { nameText } from './format.js'
import { managerOf } from './place.js'

interface FsckOptions {
  readonly manager?: string
  readonly repair?: true
}

/** Adds the command. */
export function addFsck(program: Command): void {
  const command = program
    .command('fsck')
    .description('compare names, files, opens and datafiles; the exit code is 0 if all is well')
    .option('--repair', 'mend names, close dead opens, put datafiles of nobody into quarantine')
  addManagerOption(command)
  example(command, 'rankio fsck --repair --manager rankio://node1:7300')
  command.action(async ({ manager, repair }: FsckOptions) => {
    await using fileSystem = await connectPatiently(managerOf(manager))
    const findings = fileSystem.fsck({ repair: repair === true })
    let found = 0
    let repaired = 0
    let turn = await findings.next()
    for (; turn.done !== true; turn = await findings.next()) {
      process.stdout.write(`${findingLine(turn.value)}\n`)
      found++
      if (turn.value.repaired !== 'no') repaired++
    }
    const sum =
      found === 0
        ? 'all is well'
        : `${found} ${found === 1 ? 'finding' : 'findings'}, ${repaired} repaired`
    process.stdout.write(`${sum}; looked at ${turn.value} names, files, opens and datafiles\n`)
    if (found > 0) process.exitCode = 1
  })
}

/** One finding as one line. */
export function findingLine({ kind, iod, handle, path, detail, repaired }: Finding): string {
  const about = [
    ...(path === '' ? [] : [nameText(path)]),
    ...(iod === undefined ? [] : [`iod ${iod}`]),
    ...(handle === 0 ? [] : [`handle ${handle.toString(16).padStart(16, '0')}`]),
    ...(detail === '' ? [] : [nameText(detail)]),
    ...(repaired === 'no' ? [] : [repaired]),
  ]
  return `${kind}: ${FINDINGS[kind].means}${about.map((part) => `; ${part}`).join('')}`
}
