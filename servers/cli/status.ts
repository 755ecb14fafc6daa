// `rankio status`: how a file system is, as its manager sees it.

import type { Command } from 'commander'
import type { FileSystemStatus } from '../../lib/index.js'
import { example } from './command.js'
import { addManagerOption, connect } from './connection.js'
import { sizeText, tableText } from './format.js'
import { managerOf } from './place.js'

interface StatusOptions {
  readonly manager?: string
  readonly json?: true
}

/** Adds the command. */
export function addStatus(program: Command): void {
  const command = program
    .command('status')
    .description(
      'show how a file system is; the exit code is 0 if all of its iods are up and answer',
    )
    .option('--json', 'as one object in JSON')
  addManagerOption(command)
  example(command, 'rankio status --manager rankio://node1:7300')
  command.action(async ({ manager, json }: StatusOptions) => {
    await using fileSystem = await connect(managerOf(manager))
    const status = withoutUs(await fileSystem.status())
    process.stdout.write(json === true ? `${JSON.stringify(status)}\n` : statusText(status))
    if (!status.iods.every((iod) => stateText(iod) === 'up')) process.exitCode = 1
  })
}

type Iod = FileSystemStatus['iods'][number]

/**
 * State of an iod for people: one that stands still, or has died this moment, counts as up at the manager until it has not been
 * heard of for some seconds.
 */
export function stateText({ state, space }: Iod): string {
  return state === 'up' && space === undefined ? 'silent' : state
}

// One of the sessions is that of this command.
function withoutUs(status: FileSystemStatus): FileSystemStatus {
  return { ...status, sessions: Math.max(0, status.sessions - 1) }
}

/** What people are shown: the manager, its counts, and a line for each iod. */
export function statusText(status: FileSystemStatus): string {
  const { fsid, epoch, opens, sessions, jobs, reopens, intents, iods } = status
  const counts = tableText([
    ['file system', fsid],
    ['epoch', `${epoch}`],
    ['open files', `${opens}`],
    ['sessions', `${sessions}`],
    ['jobs', `${jobs.count}, of ${jobs.ranks} ranks, ${jobs.connected} connected`],
    ['reopens', `${reopens}`],
    ['intents pending', `${intents}`],
  ])
  return `${counts}\n${tableText([HEADS, ...iods.map(rowOf)], NUMBERS)}`
}

const HEADS = [
  'iod',
  'state',
  'incarnation',
  'version',
  'opens',
  'intents',
  'direct',
  'free',
  'of',
  'address',
] as const

/** Columns that hold numbers. */
const NUMBERS = [0, 2, 3, 4, 5, 6, 7, 8]

function rowOf(iod: Iod): string[] {
  const { index, incarnation, version, opens, intents, space, direct } = iod
  const { host, port, unixPath } = iod
  return [
    ...[index, stateText(iod), incarnation, version, opens, intents, direct ?? '-'].map(String),
    space === undefined ? '-' : sizeText(space.free),
    space === undefined ? '-' : sizeText(space.total),
    host === '' ? unixPath : `${host}:${port}`,
  ]
}
