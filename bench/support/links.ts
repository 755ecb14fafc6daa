// A file system whose iods have links of their own: each iod in a network namespace, joined to the bridge of this one by a
// pair of virtual interfaces of limited rate (Linux's `tc tbf`) in either direction. Needs root. A namespace lives as long as
// the process in it, so nothing is left behind however this one ends.
import { type ChildProcessByStdio, execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readlinkSync, rmSync, writeFileSync } from 'node:fs'
import { constants, tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Readable, Writable } from 'node:stream'
import { fileURLToPath } from 'node:url'
import { IoError } from '../../lib/base/errors.js'
import { DATA_FOLDER, datafilePath } from '../../lib/protocol/data-directory.js'
import { reportOf } from '../../servers/cluster/child.js'
import { killed } from './killed.js'
import type { StageCluster } from './stage.js'

const COMMAND = fileURLToPath(new URL('../../servers/cli/main.js', import.meta.url))
const TOOLS = ['ip', 'tc', 'unshare', 'nsenter'] as const

const BRIDGE = 'hub'
const NETWORK = '10.97.0.0/16'
const MANAGER_HOST = '10.97.0.1'
const MANAGER_PORT = 7300
const IOD_PORT = 7301

/** What a token bucket may let through at once: enough for segments as the kernel makes them (64 KiB). */
const BURST = '128kb'

/** How TCP finds out what a link carries: as Linux does it unless it is told otherwise, or as this machine is set. */
export const CONGESTIONS = ['cubic', 'reno', 'bbr', 'own'] as const

/** One of them. */
export type Congestion = (typeof CONGESTIONS)[number]

/** Waits for nothing but the line that says that its link is there, then becomes the server. */
const HELD = 'read -r _ && exec "$@"'

/** A link of `mbit`, both ways, for each of `iods`. */
export interface LinkOptions {
  readonly iods: number
  readonly mbit: number
  readonly congestion: Congestion
}

/** Why there can be no links here, in words; undefined if there can. */
export function linksMissing(): string | undefined {
  if (process.platform !== 'linux') return 'network namespaces need Linux'
  if (process.getuid?.() !== 0) return 'network namespaces need root'
  for (const tool of TOOLS) {
    try {
      execFileSync('sh', ['-c', 'command -v "$1"', 'sh', tool], { stdio: 'ignore' })
    } catch {
      return `${tool} is missing (Debian: iproute2, util-linux)`
    }
  }
  try {
    execFileSync('unshare', ['--net', 'ip', 'link', 'add', BRIDGE, 'type', 'bridge'], {
      stdio: 'ignore',
    })
    return undefined
  } catch {
    return 'this system lets nobody make network namespaces and bridges'
  }
}

/** Has `script` run again in a network namespace and a temporary folder of its own; resolves with its exit code. */
export async function inOwnNetwork(
  script: string,
  args: readonly string[],
  env: NodeJS.ProcessEnv,
): Promise<number> {
  const directory = mkdtempSync(join(tmpdir(), 'links-'))
  const command = [process.execPath, ...process.execArgv, script, ...args]
  const own = { ...env, TMPDIR: directory }
  const child = spawn('unshare', ['--net', '--', ...command], { stdio: 'inherit', env: own })
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const)
    process.on(signal, () => child.kill(signal))
  const [code, signal] = (await once(child, 'exit')) as [number | null, NodeJS.Signals | null]
  rmSync(directory, { recursive: true, force: true, maxRetries: 20 })
  return code ?? 128 + (constants.signals[signal ?? 'SIGKILL'] ?? 0)
}

/** The bridge that all links lead to; once in a namespace. */
export function makeHub(congestion: Congestion): void {
  run('ip', 'link', 'set', 'lo', 'up')
  run('ip', 'link', 'add', BRIDGE, 'type', 'bridge')
  run('ip', 'addr', 'add', `${MANAGER_HOST}/16`, 'dev', BRIDGE)
  run('ip', 'link', 'set', BRIDGE, 'up')
  control(congestion, BRIDGE, MANAGER_HOST)
}

/** A manager beside the clients, and iods behind links. */
export class LinkedCluster implements StageCluster {
  readonly url = `rankio://${MANAGER_HOST}:${MANAGER_PORT}`
  readonly iodCount: number
  readonly #directory: string
  readonly #servers = new Map<number | 'manager', ServerProcess>()

  private constructor({ iods }: LinkOptions) {
    this.iodCount = iods
    this.#directory = mkdtempSync(join(tmpdir(), 'cluster-'))
  }

  /** Starts all servers; resolves when they listen. MPI_ERR_IO, MPI_ERR_OTHER. */
  static async start(options: LinkOptions): Promise<LinkedCluster> {
    const cluster = new LinkedCluster(options)
    try {
      await cluster.#start(options)
      return cluster
    } catch (error) {
      await cluster.close()
      throw error
    }
  }

  /** Process id of a server. */
  pidOf(server: number | 'manager'): number {
    return this.#servers.get(server)?.pid ?? 0
  }

  /** Address of an iod on its link. */
  hostOf(index: number): string {
    return iodHost(index)
  }

  /** A folder that goes with the cluster. */
  get directory(): string {
    return this.#directory
  }

  /** Path of a datafile. */
  datafile(index: number, handle: number): string {
    return join(this.#directory, `iod-${index}`, DATA_FOLDER, datafilePath(handle))
  }

  /** Ends all servers, and their links with them. */
  async close(): Promise<void> {
    await Promise.all([...this.#servers.values()].map(killed))
    this.#servers.clear()
    rmSync(this.#directory, { recursive: true, force: true })
  }

  async #start({ iods, mbit, congestion }: LinkOptions): Promise<void> {
    const indices = Array.from({ length: iods }, (_, index) => index)
    const iodtab = join(this.#directory, 'iodtab')
    writeFileSync(iodtab, indices.map((index) => `${iodHost(index)}:${IOD_PORT}\n`).join(''))
    const data = (name: string): string[] => ['--data', join(this.#directory, name)]
    const ends = ['--report', '--until-stdin-ends']
    const at = ['--host', MANAGER_HOST, '--port', String(MANAGER_PORT)]
    const manager = ['manager', ...data('manager'), '--iodtab', iodtab, ...at, ...ends]
    await this.#up('manager', spawn(process.execPath, [COMMAND, ...manager], { stdio: PIPED }))
    await Promise.all(
      indices.map(async (index) => {
        const where = ['--host', iodHost(index), '--port', String(IOD_PORT), '--manager', this.url]
        const iod = ['iod', ...data(`iod-${index}`), '--index', String(index), ...where, ...ends]
        const command = ['--net', 'sh', '-c', HELD, 'sh', process.execPath, COMMAND, ...iod]
        const child = spawn('unshare', command, { stdio: PIPED })
        const up = this.#up(index, child)
        await Promise.race([up, ownNamespace(child)])
        link(index, child.pid ?? 0, mbit, congestion)
        child.stdin.write('\n')
        await up
      }),
    )
  }

  async #up(server: number | 'manager', child: ServerProcess): Promise<void> {
    this.#servers.set(server, child)
    let said = ''
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      said = `${said}${text}`.slice(-2000)
    })
    child.on('error', (error) => {
      said = error.message
    })
    const report = await reportOf(child)
    if (report?.report !== 'ready')
      throw new IoError('MPI_ERR_OTHER', `links: ${server}: ${report?.message ?? said}`)
  }
}

const PIPED: ['pipe', 'pipe', 'pipe'] = ['pipe', 'pipe', 'pipe']

type ServerProcess = ChildProcessByStdio<Writable, Readable, Readable>

function iodHost(index: number): string {
  return `10.97.1.${index + 1}`
}

/** The bridge's end limits what the iod is sent, the iod's end what it sends. */
function link(index: number, pid: number, mbit: number, congestion: Congestion): void {
  const [near, far] = [`link${index}`, 'eth0']
  run('ip', 'link', 'add', near, 'type', 'veth', 'peer', 'name', far, 'netns', String(pid))
  run('ip', 'link', 'set', near, 'master', BRIDGE, 'up')
  limit(near, mbit)
  const inside = ['-t', String(pid), '-n']
  run('nsenter', ...inside, 'ip', 'addr', 'add', `${iodHost(index)}/16`, 'dev', far)
  run('nsenter', ...inside, 'ip', 'link', 'set', 'lo', 'up')
  run('nsenter', ...inside, 'ip', 'link', 'set', far, 'up')
  limit(far, mbit, 'nsenter', ...inside)
  control(congestion, far, iodHost(index), 'nsenter', ...inside)
}

function limit(device: string, mbit: number, ...within: string[]): void {
  const place = ['tc', 'qdisc', 'add', 'dev', device, 'root']
  const bucket = ['tbf', 'rate', `${mbit}mbit`, 'burst', BURST, 'latency', '50ms']
  run('env', ...within, ...place, ...bucket)
}

// By the route: a namespace may not choose among all that the kernel has, a route may.
function control(congestion: Congestion, device: string, host: string, ...within: string[]): void {
  if (congestion === 'own') return
  const route = [NETWORK, 'dev', device, 'proto', 'kernel', 'scope', 'link', 'src', host]
  run('env', ...within, 'ip', 'route', 'change', ...route, 'congctl', congestion)
}

/** `unshare` is in the new namespace when it has become the shell. */
async function ownNamespace(child: ServerProcess): Promise<void> {
  await once(child, 'spawn')
  const own = readlinkSync('/proc/self/ns/net')
  const deadline = performance.now() + 10_000
  while (readlinkSync(`/proc/${child.pid}/ns/net`) === own) {
    if (performance.now() > deadline)
      throw new IoError('MPI_ERR_OTHER', 'links: no network namespace within 10 s')
    await new Promise((resolve) => setTimeout(resolve, 5))
  }
}

function run(command: string, ...args: string[]): void {
  try {
    execFileSync(command, args, { stdio: ['ignore', 'ignore', 'pipe'] })
  } catch (error) {
    const said = String((error as { readonly stderr?: unknown }).stderr ?? error).trim()
    throw new IoError('MPI_ERR_OTHER', `links: ${command} ${args.join(' ')}: ${said}`)
  }
}
