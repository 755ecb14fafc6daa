// `rankio ls`: the names in a directory.

import type { Command } from 'commander'
import type { FileStat, FileSystem } from '../../lib/index.js'
import { example } from './command.js'
import { addManagerOption, connect } from './connection.js'
import { modeText, nameText, tableText, timeText } from './format.js'
import { inside, namedPlace, type RemotePlace } from './place.js'

/** Names whose attributes are asked for at a time. */
const STATS_OUT = 64

interface LsOptions {
  readonly manager?: string
  readonly long?: true
}

/** Adds the command. */
export function addLs(program: Command): void {
  const command = program
    .command('ls')
    .description('list the names in a directory of a manager')
    .argument('[path]', 'directory or file', '/')
    .option('-l, --long', 'with permissions, owner, size and time of modification')
  addManagerOption(command)
  example(command, 'rankio ls -l /run')
  command.action(async (path: string, options: LsOptions) => {
    const place = namedPlace(path, options.manager)
    await using fileSystem = await connect(place.manager)
    const names = await namesAt(fileSystem, place)
    if (options.long === true) process.stdout.write(await longList(fileSystem, names))
    else for (const { name } of names) process.stdout.write(`${nameText(name)}\n`)
  })
}

interface Named {
  readonly name: string
  readonly path: string
}

async function namesAt(fileSystem: FileSystem, place: RemotePlace): Promise<Named[]> {
  const { path } = place
  const found = await fileSystem.stat(path)
  if (found.isFile()) return [{ name: path, path }]
  const names = await fileSystem.readdir(path)
  return names.map(({ name }) => ({ name, path: inside(place, name).path }))
}

async function longList(fileSystem: FileSystem, names: readonly Named[]): Promise<string> {
  const rows: string[][] = []
  for (let at = 0; at < names.length; at += STATS_OUT) {
    const page = names.slice(at, at + STATS_OUT)
    // A page at a time: a directory may hold very many names.
    const stats = await Promise.all(page.map(({ path }) => fileSystem.stat(path)))
    for (const [index, stat] of stats.entries()) rows.push(rowOf(stat, page[index]?.name ?? ''))
  }
  return tableText(rows, [1, 2])
}

function rowOf({ mode, kind, uid, gid, size, mtimeMs }: FileStat, name: string): string[] {
  return [modeText(mode, kind), `${uid}:${gid}`, `${size}`, timeText(mtimeMs), nameText(name)]
}
