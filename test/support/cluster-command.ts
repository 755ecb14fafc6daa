// A cluster that `rankio cluster` keeps in a folder of a test.
import { readFileSync } from 'node:fs'
import * as assert from 'uvu/assert'
import { reservePorts } from '../../servers/cluster/ports.js'
import { type CommandEnd, runCommand, type TemporaryFolder } from './command.js'

/** What `cluster.json` holds. */
export interface ClusterState {
  readonly url: string
  readonly sockets: string
  readonly servers: { name: string; pid: number; start: string }[]
}

/** A cluster that was started; it is stopped at the end. */
export interface Started extends AsyncDisposable {
  readonly output: string
  state(): ClusterState
}

/** Starts a cluster in a folder, or once more the one that is there. */
export async function started(
  folder: TemporaryFolder,
  iods: number,
  again = false,
): Promise<Started> {
  const run = again ? undefined : await reservePorts('127.0.0.1', iods + 1)
  const own = run === undefined ? [] : ['--iods', String(iods), '--port', String(run.first)]
  const end = await on(folder, 'start', ...own)
  run?.release()
  assert.is(end.stderr, '')
  assert.is(end.code, 0)
  const stop = async (): Promise<void> => void (await on(folder, 'stop'))
  // The shape is what these tests are about.
  const state = (): ClusterState =>
    JSON.parse(readFileSync(folder.at('c/cluster.json'), 'utf8')) as ClusterState
  return { output: end.stdout.toString(), state, [Symbol.asyncDispose]: stop }
}

/** Runs a subcommand of `rankio cluster` on the folder. */
export async function on(
  folder: TemporaryFolder,
  name: string,
  ...args: string[]
): Promise<CommandEnd> {
  return await runCommand(['cluster', name, '--dir', folder.at('c'), ...args])
}
