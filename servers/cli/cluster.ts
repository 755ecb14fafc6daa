// `rankio cluster`: a manager and iods on this host that go on after the command has ended.

import { resolve } from 'node:path'
import type { Command } from 'commander'
import { type FileSystemStatus, IoError } from '../../lib/index.js'
import { requireState, startDetached, stopDetached } from '../cluster/detached.js'
import { type DetachedCluster, isAlive, type Life, lifeOf, statePath } from '../cluster/state.js'
import { example } from './command.js'
import { connect } from './connection.js'
import { untilInterrupted } from './ending.js'
import { tableText } from './format.js'
import { iodCount, iodIndex, notEmpty, portNumber } from './options.js'
import { stateText } from './status.js'

const DIRECTORY = 'rankio-cluster'

interface DirectoryOptions {
  readonly dir: string
}

interface StartOptions extends DirectoryOptions {
  readonly iods?: number
  readonly port?: number
  readonly acceptDataLoss?: number
  readonly restored?: true
}

/** Adds the command. */
export function addCluster(program: Command): void {
  const text = 'a manager and iods on this host, in the background'
  const group = program.command('cluster').description(text)
  addStart(group)
  addStatus(group)
  addStop(group)
}

function addStart(group: Command): void {
  const command = group
    .command('start')
    .description('start a cluster, or what is missing of one; its data stay in a directory')
  addDirectoryOption(command)
    .option('--iods <number>', 'iods (default: 4, or as many as the directory has)', iodCount)
    .option('--port <number>', 'port of the manager, its iods follow (default: 7300)', portNumber)
  command.option(
    '--accept-data-loss <index>',
    'an iod that may take a blank or old directory; what the right one held is given up',
    iodIndex,
  )
  command.option('--restored', 'manager/ is a copy that may be older than what the iods hold')
  example(command, 'rankio cluster start --dir /data/rankio --iods 8')
  command.action(async ({ dir, iods, port, acceptDataLoss, ...options }: StartOptions) => {
    const directory = resolve(dir)
    const restored = options.restored === true
    const signal = untilInterrupted()
    const request = { directory, iods, port, acceptDataLoss, restored, signal }
    const { cluster, started } = await startDetached(request)
    const { url, servers } = cluster
    const lines = [
      ...(started.length < servers.length ? [`started again: ${started.join(', ')}`] : []),
      `manager and ${servers.length - 1} iods are up; ${statePath(directory)} knows them`,
      `export RANKIO_MANAGER=${url}`,
    ]
    process.stdout.write(`${lines.join('\n')}\n`)
  })
}

function addStatus(group: Command): void {
  const command = group
    .command('status')
    .description('show the servers of a cluster; the exit code is 0 if all of them are up')
  addDirectoryOption(command)
  example(command, 'rankio cluster status --dir /data/rankio')
  command.action(async ({ dir }: DirectoryOptions) => {
    const state = requireState(resolve(dir))
    const status = await statusOf(state)
    process.stdout.write(tableText([HEADS, ...rowsOf(state, status)]))
    if (status !== undefined) process.stdout.write(countsText(status))
    const isUp =
      state.servers.every(isAlive) && status?.iods.every((iod) => stateText(iod) === 'up')
    if (isUp !== true) process.exitCode = 1
  })
}

function addStop(group: Command): void {
  const command = group.command('stop').description('stop a cluster in order; its data stay')
  addDirectoryOption(command)
  example(command, 'rankio cluster stop --dir /data/rankio')
  command.action(async ({ dir }: DirectoryOptions) => {
    const directory = resolve(dir)
    const stopped = await stopDetached(directory)
    process.stdout.write(`${stopped} servers stopped\n`)
  })
}

function addDirectoryOption(command: Command): Command {
  return command.option('--dir <dir>', 'directory of the cluster', notEmpty, DIRECTORY)
}

// A manager that does not answer is part of the picture, not the end of it.
async function statusOf({ url, servers }: DetachedCluster): Promise<FileSystemStatus | undefined> {
  const [manager] = servers
  if (manager === undefined || !isAlive(manager)) return undefined
  try {
    await using fileSystem = await connect(url)
    return await fileSystem.status()
  } catch (error) {
    if (error instanceof IoError) return undefined
    throw error
  }
}

const HEADS = ['server', 'pid', 'alive', 'address', 'state', 'incarnation', 'version'] as const

const LIVES: Readonly<Record<Life, string>> = { alive: 'yes', gone: 'no', unknown: 'unknown' }

function rowsOf(state: DetachedCluster, status: FileSystemStatus | undefined): string[][] {
  return state.servers.map((server, index) => {
    const life = lifeOf(server)
    const alive = life !== 'gone'
    const shared = [server.name, String(server.pid), LIVES[life], server.address]
    if (index === 0) {
      const answers = status === undefined ? 'silent' : 'up'
      return [
        ...shared,
        alive ? answers : 'down',
        status === undefined ? '-' : `${status.epoch}`,
        '-',
      ]
    }
    const iod = status?.iods[index - 1]
    if (iod === undefined) return [...shared, alive ? 'unknown' : 'down', '-', '-']
    return [...shared, stateText(iod), String(iod.incarnation), String(iod.version)]
  })
}

function countsText({ opens, sessions, reopens, intents }: FileSystemStatus): string {
  // One of the sessions is that of this command.
  const others = Math.max(0, sessions - 1)
  return `open files ${opens}, sessions ${others}, reopens ${reopens}, intents pending ${intents}\n`
}
