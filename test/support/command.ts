// The `rankio` command as a process: run to its end, or left running to be signalled. Also a folder of
// a test's own.
import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import * as assert from 'uvu/assert'

/** The built command. */
export const COMMAND = fileURLToPath(new URL('../../servers/cli/main.js', import.meta.url))

/** How a command is run. */
export interface CommandOptions {
  readonly cwd?: string
  readonly env?: Readonly<Record<string, string>>
  /** Its standard input; nothing by default. */
  readonly input?: Uint8Array
  /** Its standard input stays open, for the test to write to. */
  readonly open?: true
}

/** How a command ended. */
export interface CommandEnd {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
  readonly stdout: Buffer
  readonly stderr: string
}

/** A command that runs. */
export interface RunningCommand {
  readonly process: ChildProcessWithoutNullStreams
  readonly ended: Promise<CommandEnd>
  /** What it has printed so far. */
  stdout(): string
  stderr(): string
}

/** Starts `rankio` with `args`; no manager is known but the one of `env`. */
export function startCommand(
  args: readonly string[],
  options: CommandOptions = {},
): RunningCommand {
  return startNode([COMMAND, ...args], options)
}

/** Starts Node with `args` in the same manner. */
export function startNode(args: readonly string[], options: CommandOptions = {}): RunningCommand {
  const { RANKIO_MANAGER: _, ...env } = process.env
  const child = spawn(process.execPath, args, {
    cwd: options.cwd,
    env: { ...env, ...options.env },
  })
  const stdout: Buffer[] = []
  const stderr: Buffer[] = []
  child.stdout.on('data', (bytes: Buffer) => stdout.push(bytes))
  child.stderr.on('data', (bytes: Buffer) => stderr.push(bytes))
  // A command that ends early does not read all that it is given.
  child.stdin.on('error', () => {})
  if (options.open !== true) child.stdin.end(options.input)
  const ended = new Promise<CommandEnd>((resolve, reject) => {
    child.once('error', reject)
    child.once('close', (code, signal) => {
      const text = Buffer.concat(stderr).toString()
      resolve({ code, signal, stdout: Buffer.concat(stdout), stderr: text })
    })
  })
  return {
    process: child,
    ended,
    stdout: () => Buffer.concat(stdout).toString(),
    stderr: () => Buffer.concat(stderr).toString(),
  }
}

/** Runs `rankio` with `args` to its end. */
export async function runCommand(
  args: readonly string[],
  options: CommandOptions = {},
): Promise<CommandEnd> {
  return await startCommand(args, options).ended
}

/** The same on a cluster; it must do what it was asked, and have nothing to say about it. */
export async function ok(
  cluster: { readonly environment: Readonly<Record<string, string>> },
  args: readonly string[],
  options: CommandOptions = {},
): Promise<CommandEnd> {
  const end = await runCommand(args, { ...options, env: cluster.environment })
  assert.is(end.stderr, '')
  assert.is(end.code, 0)
  return end
}

/** A folder that is removed at the end of a test. */
export interface TemporaryFolder extends AsyncDisposable {
  readonly path: string
  /** A path inside it. */
  at(name: string): string
}

/** Makes a folder for one test. */
export async function temporaryFolder(): Promise<TemporaryFolder> {
  const path = await mkdtemp(join(tmpdir(), 'test-'))
  return {
    path,
    at: (name) => join(path, name),
    [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true }),
  }
}
