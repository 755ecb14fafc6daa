// How every command answers: its help ends with an example, a wrong use is one line and exit code 2,
// a failed operation one line and exit code 1.

import { isUtf8 } from 'node:buffer'
import { readFileSync } from 'node:fs'
import { type Command, CommanderError } from 'commander'
import { IoError } from '../../lib/base/errors.js'
import { Interrupted, watchOutputs } from './ending.js'

/** The exit code of a wrong use. */
const WRONG_USE = 2

/** The exit code of a failed operation. */
const FAILED = 1

/** Ends the help of a command with an example. */
export function example(command: Command, ...lines: readonly string[]): void {
  const text = lines.map((line) => `  $ ${line}`).join('\n')
  command.addHelpText('after', `\nExample:\n${text}`)
}

/** Ends a command because its arguments do not fit together. */
export function wrongUse(command: Command, message: string): never {
  command.error(message, { exitCode: WRONG_USE, code: 'rankio.wrongUse' })
}

/** Says in one line that an operation failed; what can still be done is done. */
export function reportFailure(command: Command, error: IoError): void {
  process.stderr.write(`${fullName(command)}: ${oneLine(error.message)}\n`)
  process.exitCode = FAILED
}

/** Settles as `work` does; what the user can do about a failure with this errno is added to its sentence. */
export async function hinting<T>(errno: string, hint: string, work: Promise<T>): Promise<T> {
  try {
    return await work
  } catch (error) {
    if (!(error instanceof IoError) || error.context.errno !== errno) throw error
    throw new IoError(error.code, `${error.message}; ${hint}`, { ...error.context, cause: error })
  }
}

/** Runs the command line; the process ends with the code that this sets. */
export async function runProgram(program: Command, args: readonly string[]): Promise<void> {
  watchOutputs()
  for (const command of allOf(program)) {
    speakPlainly(command)
    if (command.commands.length > 0) refuseOthers(command)
  }
  try {
    refuseMangled(program, args)
    await program.parseAsync(args, { from: 'user' })
  } catch (error) {
    process.exitCode = codeOf(error, nameIn(program, args))
  }
}

// Node replaces bytes that are no UTF-8: what then looks like a name is not the one that was meant.
function refuseMangled(program: Command, args: readonly string[]): void {
  const mangled = args.find((arg) => arg.includes('\uFFFD'))
  if (mangled !== undefined && !isUtf8(commandLine()))
    wrongUse(program, `argument ${JSON.stringify(mangled)}: its bytes are not UTF-8`)
}

function commandLine(): Uint8Array {
  try {
    return readFileSync('/proc/self/cmdline')
  } catch {
    // Not Linux: nothing tells what the bytes were.
    return new Uint8Array(0)
  }
}

// A command that holds others is not to be called without one of them.
function refuseOthers(group: Command): void {
  group.allowExcessArguments().allowUnknownOption()
  group.action(() => {
    const [name] = group.args
    const kind = name?.startsWith('-') === true ? 'option' : 'command'
    const what = name === undefined ? 'a command is missing' : `unknown ${kind} '${name}'`
    wrongUse(group, `${what}; see '${fullName(group)} --help'`)
  })
}

// Of commander's messages, one line remains, with the full name of the command before it.
function speakPlainly(command: Command): void {
  command.exitOverride().showSuggestionAfterError(false)
  command.configureOutput({
    outputError: (text, write) =>
      write(`${fullName(command)}: ${oneLine(text.replace(/^error: /, ''))}\n`),
  })
}

function codeOf(error: unknown, name: string): number {
  // Commander has written its line already; help and version are no errors.
  if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : WRONG_USE
  if (error instanceof Interrupted) return error.exitCode
  if (error instanceof IoError) process.stderr.write(`${name}: ${oneLine(error.message)}\n`)
  else process.stderr.write(`${name}: internal error: ${stackOf(error)}\n`)
  return FAILED
}

function nameIn(program: Command, args: readonly string[]): string {
  let command = program
  for (const arg of args) {
    const next = command.commands.find((one) => one.name() === arg)
    if (next === undefined) break
    command = next
  }
  return fullName(command)
}

function fullName(command: Command): string {
  return command.parent === null ? command.name() : `${fullName(command.parent)} ${command.name()}`
}

function allOf(command: Command): Command[] {
  return [command, ...command.commands.flatMap(allOf)]
}

function oneLine(text: string): string {
  return text.trim().replace(/\s*\n\s*/g, ' ')
}

function stackOf(error: unknown): string {
  return error instanceof Error ? (error.stack ?? error.message) : String(error)
}
