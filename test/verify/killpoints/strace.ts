// System calls of a process, seen or turned into its death by strace: what no place in our code reaches,
// such as the writes of LMDB within one commit.
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { missingCommand } from '../../support/optional.js'

/** The calls that write, make durable, cut, remove, name or send. */
export const SYSCALLS = [
  'pwrite64',
  'writev',
  'fsync',
  'fdatasync',
  'ftruncate',
  'unlink',
  'rename',
  'sendmsg',
] as const

/** The name of one of them. */
export type Syscall = (typeof SYSCALLS)[number]

/** A watch over all threads of one process. */
export class Strace {
  readonly #process: ChildProcess
  readonly #output: string

  /** Writes down what a process calls. Rejects where that is not allowed. */
  static async record(pid: number, output: string): Promise<Strace> {
    return await Strace.#attach(pid, output, ['-e', `trace=${SYSCALLS.join(',')}`])
  }

  /** Kills a process when it makes a call for the `crossing`th time, before the call is made. */
  static async kill(pid: number, call: Syscall, crossing: number): Promise<Strace> {
    const inject = `inject=${call}:signal=SIGKILL:when=${crossing}`
    return await Strace.#attach(pid, '/dev/null', ['-e', `trace=${call}`, '-e', inject])
  }

  /** Counts all calls of a process, by name, until it is detached: `counted` of the output has them then. */
  static async count(pid: number, output: string): Promise<Strace> {
    return await Strace.#attach(pid, output, ['-y'])
  }

  static async #attach(pid: number, output: string, args: readonly string[]): Promise<Strace> {
    const all = ['-f', '-o', output, ...args, '-p', String(pid)]
    const child = spawn('strace', all, { stdio: ['ignore', 'ignore', 'pipe'] })
    const strace = new Strace(child, output)
    let said = ''
    for await (const text of child.stderr.setEncoding('utf8')) {
      said += String(text)
      if (/ attached\b/.test(said)) {
        child.stderr.resume()
        return strace
      }
    }
    throw new Error(`strace: ${said.trim()}`)
  }

  private constructor(child: ChildProcess, output: string) {
    this.#process = child
    this.#output = output
  }

  /** The calls so far, those of one name together. */
  get calls(): Syscall[] {
    const lines = readFileSync(this.#output, 'utf8').split('\n')
    const names = lines.map((line) => /^\d+ +(\w+)\(/.exec(line)?.[1])
    return SYSCALLS.flatMap((call) => names.filter((name) => name === call).map(() => call))
  }

  /** Lets the process go on unseen; resolves when nobody watches it any more. */
  async detach(): Promise<void> {
    const { exitCode, signalCode } = this.#process
    if (exitCode !== null || signalCode !== null) return
    const exit = once(this.#process, 'exit')
    this.#process.kill('SIGINT')
    await exit
  }
}

/** What `count` has written, by the name of the call, but for looks at what the kernel tells of the process. */
export function counted(output: string): Map<string, number> {
  const counts = new Map<string, number>()
  for (const line of readFileSync(output, 'utf8').split('\n')) {
    const [, name, path] = /^\d+ +(\w+)\((?:\d+<([^>]*)>)?/.exec(line) ?? []
    if (name === undefined || path?.startsWith('/proc/') === true) continue
    counts.set(name, (counts.get(name) ?? 0) + 1)
  }
  return counts
}

/** Why system calls cannot be watched, or undefined where they can. */
export async function straceMissing(): Promise<string | undefined> {
  const missing = missingCommand('strace')
  if (missing !== undefined) return missing
  const idle = spawn(process.execPath, ['-e', 'process.stdin.resume()'])
  try {
    await once(idle, 'spawn')
    const strace = await Strace.record(idle.pid ?? 0, '/dev/null')
    await strace.detach()
    return undefined
  } catch (error) {
    return error instanceof Error ? error.message : String(error)
  } finally {
    idle.kill('SIGKILL')
  }
}
