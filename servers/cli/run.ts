// `rankio run`: starts a program in many processes of this host, as the ranks of one job.

import { randomBytes } from 'node:crypto'
import { accessSync, constants, existsSync, statSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import type { Command } from 'commander'
import { messageOf } from '../../lib/base/errors.js'
import { managerIn } from '../../lib/transport/address.js'
import { removeDeadSockets } from '../../lib/transport/rank-sockets.js'
import { type Cluster, startCluster } from '../cluster.js'
import { nameOf, type ServerName } from '../cluster/servers.js'
import { example, wrongUse } from './command.js'
import { connect } from './connection.js'
import { Interrupted, untilInterrupted } from './ending.js'
import { Guard } from './guard.js'
import { Job, type JobEnd, type JobProgram } from './job.js'
import { iodCount, managerUrl, wholeNumber } from './options.js'

/** Processes of one job on one host; larger jobs are for a launcher of many hosts. */
const RANKS_MAX = 1024

/** Servers of a job's own cluster that are started again, in all: what ends that often will do so again. */
const RESTARTS_MAX = 8

type Program = Pick<JobProgram, 'command' | 'args'>

interface RunOptions {
  readonly ranks: number
  readonly iods?: number
  readonly manager?: string
  readonly prefix: boolean
}

/** Adds the command. */
export function addRun(program: Command): void {
  const command = program
    .command('run')
    .description(
      'run a program in many processes of this host, the ranks of one job; without a manager a cluster is started for the job',
    )
    .requiredOption('-n, --ranks <number>', 'ranks', wholeNumber(1, RANKS_MAX))
    .option(
      '--iods <number>',
      'start a cluster with so many iods for the job (default: 4)',
      iodCount,
    )
    .option('--manager <url>', 'manager to use (default: RANKIO_MANAGER)', managerUrl)
    .option('--no-prefix', "print lines without '[rank] ' before them")
    .argument('<program>', 'a .js, .mjs or .cjs file, which Node runs, or any program')
    .argument('[args...]', 'arguments of the program')
    .passThroughOptions()
  example(command, 'rankio run -n 4 app.js input.dat', 'rankio run -n 8 --iods 2 -- node app.js -v')
  command.action(async (name: string, args: readonly string[], options: RunOptions) => {
    if (options.manager !== undefined && options.iods !== undefined) {
      wrongUse(command, 'of --manager and --iods only one can be given')
    }
    const end = await run(programOf(command, name, args), options)
    if (end.failure !== undefined) say(end.failure)
    process.exitCode = end.code
  })
}

function programOf(command: Command, name: string, args: readonly string[]): Program {
  if (name === '') wrongUse(command, 'program "": its name is empty')
  if (/\.[cm]?ts$/.test(name)) {
    wrongUse(command, `program ${JSON.stringify(name)}: Node cannot run TypeScript; build it first`)
  }
  if (statSync(name, { throwIfNoEntry: false })?.isDirectory() === true) {
    wrongUse(command, `program ${JSON.stringify(name)}: it is a directory`)
  }
  const isScript = /\.[cm]?js$/.test(name)
  const why = isScript ? (existsSync(name) ? undefined : MISSING) : whyNot(name)
  if (why !== undefined) wrongUse(command, `program ${JSON.stringify(name)}: ${why}`)
  return isScript ? { command: process.execPath, args: [name, ...args] } : { command: name, args }
}

const MISSING = 'it does not exist'

// Why a program cannot be executed, looked for as the system does; undefined if it can.
function whyNot(name: string): string | undefined {
  const { PATH } = process.env
  if (PATH === undefined && !name.includes('/')) return undefined
  const paths = name.includes('/')
    ? [name]
    : (PATH ?? '').split(delimiter).map((directory) => join(directory || '.', name))
  let why = MISSING
  for (const path of paths) {
    try {
      accessSync(path, constants.X_OK)
      if (statSync(path).isFile()) return undefined
      why = 'it may not be executed (EACCES)'
    } catch (error) {
      if (existsSync(path))
        why = `it may not be executed (${(error as NodeJS.ErrnoException).code})`
    }
  }
  return why
}

async function run(
  program: Program,
  { ranks, iods, manager, prefix }: RunOptions,
): Promise<JobEnd> {
  const known = manager ?? (iods === undefined ? managerIn(process.env) : undefined)
  if (known !== undefined) await expectManager(known)
  const signal = untilInterrupted()
  await using cluster = known === undefined ? await embedded(iods) : undefined
  const url = known ?? cluster?.url ?? ''
  signal.throwIfAborted()
  await using guard = new Guard()
  const job = new Job()
  signal.addEventListener('abort', () => job.abort(endOf(signal.reason)))
  const environment = { RANKIO_JOB: randomBytes(8).toString('hex'), RANKIO_MANAGER: url }
  try {
    return await job.run({ ...program, environment, ranks, prefix, guard })
  } finally {
    // Those that were killed could not do it.
    removeDeadSockets(process.env)
  }
}

// Each rank would wait for it as long as for a server that is started again.
async function expectManager(url: string): Promise<void> {
  await using fileSystem = await connect(url)
  await fileSystem.status()
}

function endOf(reason: unknown): JobEnd {
  if (reason instanceof Interrupted) return { code: reason.exitCode, failure: undefined }
  return { code: 1, failure: messageOf(reason) }
}

// Ranks wait for a server that has ended as long as it may take to start one again: so that is done.
async function embedded(iods: number | undefined): Promise<Cluster> {
  let restarts = 0
  const ended = (server: ServerName, how: string): void => {
    const again = restarts++ < RESTARTS_MAX
    const then = again ? 'it is started again' : 'it is not started again'
    say(`${nameOf(server)} has ended ${how}; ${then}`)
    // Where the others cannot be started that is what is said.
    if (again) starting.then((cluster) => revive(cluster, server)).catch(() => {})
  }
  const starting = startCluster({ ...(iods === undefined ? {} : { iods }), ended })
  return await starting
}

async function revive(cluster: Cluster, server: ServerName): Promise<void> {
  try {
    await cluster.restart(server)
  } catch (error) {
    if (!cluster.isClosing) say(`${nameOf(server)} cannot be started again: ${messageOf(error)}`)
  }
}

function say(what: string): void {
  process.stderr.write(`rankio run: ${what}\n`)
}
