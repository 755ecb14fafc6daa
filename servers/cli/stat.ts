// `rankio stat`: all that is known of a file or a directory.

import type { Command } from 'commander'
import type { FileStat, FileSystemStatus } from '../../lib/index.js'
import { iodOfPart, type Layout } from '../../lib/layout/striping.js'
import { DATA_FOLDER, datafilePath } from '../../lib/protocol/data-directory.js'
import { example } from './command.js'
import { addManagerOption, connect } from './connection.js'
import { modeText, nameText, sizeText, tableText, timeText } from './format.js'
import { namedPlace } from './place.js'

/** Adds the command. */
export function addStat(program: Command): void {
  const command = program
    .command('stat')
    .description('show all that is known of a file or directory of a manager')
    .argument('<path>', 'file or directory')
  addManagerOption(command)
  example(command, 'rankio stat /run/field.dat')
  command.action(async (path: string, options: { readonly manager?: string }) => {
    const place = namedPlace(path, options.manager)
    await using fileSystem = await connect(place.manager)
    const stat = await fileSystem.stat(place.path)
    const { iods } = await fileSystem.status()
    process.stdout.write(tableText([...rowsOf(place.path, stat), ...layoutRows(stat, iods)]))
  })
}

function rowsOf(path: string, stat: FileStat): string[][] {
  const { kind, handle, mode, uid, gid, size } = stat
  const permissions = (mode & 0o7777).toString(8).padStart(4, '0')
  return [
    ['path', nameText(path)],
    ['kind', kind],
    ...(kind === 'file'
      ? [['size', size < 1024 ? sizeText(size) : `${size} bytes (${sizeText(size)})`]]
      : []),
    ['handle', String(handle)],
    ['mode', `${permissions} (${modeText(mode, kind)})`],
    ['owner', `${uid}:${gid}`],
    ['modified', timeText(stat.mtimeMs)],
    ['changed', timeText(stat.ctimeMs)],
    ['accessed', timeText(stat.atimeMs)],
  ]
}

function layoutRows({ layout, handle }: FileStat, iods: FileSystemStatus['iods']): string[][] {
  if (layout === undefined) return []
  return [
    [
      'layout',
      `strips of ${sizeText(layout.stripSize)} on ${layout.iodCount} of ${layout.iodTotal} iods`,
    ],
    ['iods', iodsText(layout, iods)],
    ['datafile', `${DATA_FOLDER}/${datafilePath(handle)} in the directory of each of them`],
  ]
}

function iodsText(layout: Layout, iods: FileSystemStatus['iods']): string {
  const parts = Array.from({ length: layout.iodCount }, (_, part) => iodOfPart(layout, part))
  return parts.map((index) => `${index} (${iods[index]?.state ?? 'unknown'})`).join(', ')
}
