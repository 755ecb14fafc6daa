// What the commands `manager` and `iod` share: a server in the foreground, its log on standard error,
// ended in order by a signal, or by the end of its standard input where its parent asks for that.

import { rmSync } from 'node:fs'
import { dirname, resolve } from 'node:path'
import type { Command } from 'commander'
import { FAULTS_VARIABLE } from '../../lib/base/faults.js'
import type { Timing } from '../../lib/base/timing.js'
import { checkedTiming, TIMING } from '../../lib/base/timing.js'
import { removeSocketDirectory } from '../cluster/sockets.js'
import { failureReport, reportLine } from '../common/report.js'
import type { RunningServer } from '../start.js'
import { optimizeEarly } from './early.js'
import { outliveOutputs } from './ending.js'
import { hiddenFlag, hiddenOption, notEmpty, portNumber } from './options.js'

/** Options of both commands as commander gives them. */
export interface ServeOptions {
  readonly data: string
  readonly host: string
  readonly unix?: string
  /** For a parent: a line on standard output says that the server is up, or why not. */
  readonly report?: true
  /** For a parent: its end is ours, however it ends. */
  readonly untilStdinEnds?: true
  /** For a parent: a temporary directory that nobody else will remove when the parent has died. */
  readonly thenRemove?: string
  readonly timing?: Timing
}

/** What both servers are started with. */
export interface ServeStart {
  readonly directory: string
  readonly host: string
  readonly timing: Timing
  readonly unixPath?: string
}

/** Adds the options that both commands have. */
export function addServeOptions(command: Command): Command {
  return command
    .requiredOption('--data <dir>', 'data directory; made if it is missing', notEmpty)
    .option('--host <address>', 'address to listen on', notEmpty, '127.0.0.1')
    .option(
      '--unix <path>',
      'path of a unix socket to listen on as well; its directory must be there',
      notEmpty,
    )
    .addOption(hiddenFlag('--report'))
    .addOption(hiddenFlag('--until-stdin-ends'))
    .addOption(hiddenOption('--then-remove <dir>'))
    .addOption(hiddenOption('--timing <json>').argParser(timingOf))
}

/** Adds the option for the port. */
export function addPortOption(command: Command, text: string): Command {
  return command.option('--port <number>', text, portNumber)
}

/** What both servers are started with. */
export function serveStart({ data, host, unix, timing = TIMING }: ServeOptions): ServeStart {
  const start = { directory: resolve(data), host, timing }
  return unix === undefined ? start : { ...start, unixPath: resolve(unix) }
}

/** Runs a server until it is told to end; `name` is that of its files. */
export async function serve(
  name: string,
  start: () => Promise<RunningServer>,
  options: ServeOptions,
): Promise<void> {
  // A parent that died reads nothing any more; that is no reason to end without order.
  outliveOutputs()
  optimizeEarly()
  const wish = endWish(options.untilStdinEnds === true)
  const report =
    options.report === true ? (line: string): unknown => process.stdout.write(line) : undefined
  try {
    // For tests only: this server is to be killed at a place in its code.
    const orders = process.env[FAULTS_VARIABLE]
    if (orders !== undefined)
      (await import('../../lib/base/faults-node.js')).obeyFaultOrders(orders, name)
    const started = start()
    const first = await Promise.race([started, wish])
    if (typeof first !== 'string') {
      report?.(reportLine({ report: 'ready', port: first.port }))
      await wish
      await first.close()
    }
  } catch (error) {
    report?.(reportLine(failureReport(error)))
    process.stdin.destroy()
    throw error
  } finally {
    if ((await Promise.race([wish, Promise.resolve()])) === 'parent') sweep(options)
  }
  // A server that was told to end before it was up has timers that nobody needs any more.
  process.exit(0)
}

// Who wants the end: a signal, or the parent that is gone.
function endWish(untilStdinEnds: boolean): Promise<'signal' | 'parent'> {
  return new Promise((resolve) => {
    process.once('SIGTERM', () => resolve('signal'))
    process.once('SIGINT', () => resolve('signal'))
    if (!untilStdinEnds) return
    process.stdin.on('error', () => resolve('parent'))
    process.stdin.once('close', () => resolve('parent'))
    process.stdin.resume()
  })
}

// Every server of a cluster whose parent has died does it, so that the last one leaves nothing.
function sweep({ thenRemove, unix }: ServeOptions): void {
  try {
    if (unix !== undefined) removeSocketDirectory(dirname(resolve(unix)))
    if (thenRemove !== undefined)
      rmSync(thenRemove, { recursive: true, force: true, maxRetries: 10 })
  } catch (error) {
    process.stderr.write(`${thenRemove ?? unix}: it cannot be removed: ${String(error)}\n`)
  }
}

function timingOf(json: string): Timing {
  return checkedTiming({ ...TIMING, ...(JSON.parse(json) as Partial<Timing>) })
}
