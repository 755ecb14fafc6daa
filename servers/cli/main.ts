#!/usr/bin/env node
// The `rankio` command: nothing but wiring, one file a command. Only the command that is called is
// loaded, so that a server or a job starts fast; for the help all are.

import { readFileSync } from 'node:fs'
import { Command } from 'commander'
import { example, runProgram } from './command.js'

type Add = (program: Command) => void

/** The commands in the order of the help. */
const COMMANDS = new Map<string, () => Promise<Add>>([
  ['run', async () => (await import('./run.js')).addRun],
  ['cluster', async () => (await import('./cluster.js')).addCluster],
  ['demo', async () => (await import('./demo.js')).addDemo],
  ['status', async () => (await import('./status.js')).addStatus],
  ['fsck', async () => (await import('./fsck.js')).addFsck],
  ['cp', async () => (await import('./cp.js')).addCp],
  ['ls', async () => (await import('./ls.js')).addLs],
  ['stat', async () => (await import('./stat.js')).addStat],
  ['rm', async () => (await import('./rm.js')).addRm],
  ['mkdir', async () => (await import('./mkdir.js')).addMkdir],
  ['rmdir', async () => (await import('./rmdir.js')).addRmdir],
  ['mv', async () => (await import('./mv.js')).addMv],
  ['manager', async () => (await import('./manager.js')).addManager],
  ['iod', async () => (await import('./iod.js')).addIod],
])

const args = process.argv.slice(2)
const program = new Command('rankio')
  .description('parallel I/O: servers, jobs, and files on them')
  .version(version())
  .enablePositionalOptions()
example(program, 'rankio run -n 4 app.js')
for (const load of wanted(args)) (await load())(program)
await runProgram(program, args)

function wanted([name = '']: readonly string[]): (() => Promise<Add>)[] {
  const called = COMMANDS.get(name)
  return called === undefined ? [...COMMANDS.values()] : [called]
}

function version(): string {
  const manifest = new URL('../../../package.json', import.meta.url)
  return (JSON.parse(readFileSync(manifest, 'utf8')) as { version: string }).version
}
