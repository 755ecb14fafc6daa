// Runs one built script to its end as a process group of its own, with a private TMPDIR and a limit on
// time and output, and reports what it left behind. Knows nothing of what the script prints.
import { type ChildProcess, spawn } from 'node:child_process'
import { mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { deadline, until } from './assertions.js'
import { kill, processesOf, type RunningProcess } from './processes.js'

/** How one script is run. */
export interface ScriptOptions {
  readonly timeoutMs: number
  readonly args?: readonly string[]
  /** Added to the environment of this process. */
  readonly env?: Readonly<Record<string, string>>
  /** Ends the script at once, as a limit would. */
  readonly signal?: AbortSignal
}

/** How one script ended. */
export interface ScriptResult {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
  readonly timedOut: boolean
  readonly durationMs: number
  /** Standard output and error as they came, the end of them where there was too much. */
  readonly output: string
  /** Entries that were left in the private TMPDIR. */
  readonly leftFiles: readonly string[]
  /** Processes that outlived the script, each as "pid command"; they have been killed. */
  readonly leftProcesses: readonly string[]
}

/** 1 s: a server that was told to stop may still be on its way out when its parent ends. */
const GRACE_MS = 1000

/** 2 s: killed processes have closed their pipes long before, unless one escaped our search. */
const CLOSE_MS = 2000

/** 1 MiB of text: more than any honest failure prints. */
const OUTPUT_LENGTH_MAX = 1 << 20

/** Runs `file` with Node and waits for its end; at the limit its whole process group is killed. */
export async function runScript(file: string, options: ScriptOptions): Promise<ScriptResult> {
  // A short name: paths of unix sockets beneath it must stay under 108 bytes.
  const folder = mkdtempSync(join(tmpdir(), 'rio-'))
  const startMs = performance.now()
  try {
    const child = spawn(process.execPath, [...process.execArgv, file, ...(options.args ?? [])], {
      stdio: ['ignore', 'pipe', 'pipe'],
      detached: true,
      env: { ...process.env, ...options.env, FORCE_COLOR: '0', TMPDIR: folder },
    })
    const output = collectOutput(child)
    const limit = AbortSignal.timeout(options.timeoutMs)
    const { code, signal } = await ended(child, [limit, options.signal])
    const durationMs = performance.now() - startMs
    const survivors = await survivorsOf(child.pid ?? 0, folder)
    for (const { pid } of survivors) kill(pid)
    await closed(child)
    return {
      code,
      signal,
      timedOut: limit.aborted && signal === 'SIGKILL',
      durationMs,
      output: output(),
      leftFiles: readdirSync(folder, { recursive: true, encoding: 'utf8' }).sort(),
      leftProcesses: survivors.map(({ pid, command }) => `${pid} ${command}`),
    }
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

/** What a script left behind, in words for a report; empty where it left nothing. */
export function leftoversOf(result: ScriptResult): string[] {
  const { leftFiles, leftProcesses } = result
  const files =
    leftFiles.length === 0 ? [] : [`left in TMPDIR: ${leftFiles.slice(0, 10).join(' ')}`]
  const processes =
    leftProcesses.length === 0 ? [] : [`left running: ${leftProcesses.slice(0, 10).join('; ')}`]
  return [...files, ...processes]
}

function collectOutput(child: ChildProcess): () => string {
  let text = ''
  const collect = (more: string): void => {
    text = (text + more).slice(-OUTPUT_LENGTH_MAX)
  }
  child.stdout?.setEncoding('utf8').on('data', collect)
  child.stderr?.setEncoding('utf8').on('data', collect)
  return () => text
}

/** Waits for the exit of `child`; when one of `stops` aborts, its whole process group is killed. */
function ended(
  child: ChildProcess,
  stops: readonly (AbortSignal | undefined)[],
): Promise<{ code: number | null; signal: NodeJS.Signals | null }> {
  return new Promise((resolve, reject) => {
    const killGroup = (): void => {
      if (child.pid !== undefined) kill(-child.pid)
    }
    // Not AbortSignal.any: Node 20 may collect the joined signal before a time limit fires.
    for (const stop of stops) {
      if (stop?.aborted) killGroup()
      stop?.addEventListener('abort', killGroup)
    }
    child.once('error', reject)
    // Not 'close': a process that was left behind may hold the pipes open for ever.
    child.once('exit', (code, signal) => {
      for (const stop of stops) stop?.removeEventListener('abort', killGroup)
      resolve({ code, signal })
    })
  })
}

async function closed(child: ChildProcess): Promise<void> {
  const streams = [child.stdout, child.stderr].filter((stream) => stream !== null)
  const ends = streams.map(
    (stream) =>
      new Promise<void>((resolve) => {
        if (stream.closed) resolve()
        else stream.once('close', resolve)
      }),
  )
  try {
    await deadline('output', CLOSE_MS, Promise.all(ends))
  } catch {
    // Somebody unknown holds the pipe; what was printed so far is enough for a report.
    for (const stream of streams) stream.destroy()
  }
}

async function survivorsOf(groupId: number, folder: string): Promise<RunningProcess[]> {
  try {
    await until(() => processesOf(groupId, `TMPDIR=${folder}`).length === 0, GRACE_MS)
    return []
  } catch {
    // The time of grace is over: what is still there was left behind.
    return processesOf(groupId, `TMPDIR=${folder}`)
  }
}
