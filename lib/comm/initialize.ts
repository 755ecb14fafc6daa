// From a process to a rank: finds the launcher, meets the other ranks through the manager, and makes
// the world communicator.

import { IoError } from '../base/errors.js'
import { expectOptions, type OptionKeys } from '../base/options.js'
import { type Runtime, randomId } from '../base/runtime.js'
import { TIMING, type Timing } from '../base/timing.js'
import { NO_ID } from '../protocol/hello.js'
import { MANAGER } from '../protocol/manager.js'
import { managerIn, parseUrl } from '../transport/address.js'
import { Link } from '../transport/link.js'
import { nodeRuntime } from '../transport/runtime.js'
import { Communicator } from './communicator.js'
import { Job } from './job.js'
import { detect, type Environment, type Launch } from './launch/detect.js'
import { jobNameOverPmi } from './launch/pmi1.js'
import { newSocketPath } from '../transport/rank-sockets.js'
import { localPorts } from './local.js'
import { RemotePort } from './remote.js'

/** What may be set at `initialize`. */
export interface InitializeOptions {
  /** URL of the manager; `RANKIO_MANAGER` by default. */
  readonly manager?: string
  /** Clock, randomness, disk and network; Node's by default. */
  readonly runtime?: Runtime
  readonly timing?: Timing
  /** The environment in which the launcher is looked for; `process.env` by default. */
  readonly env?: Environment
}

const KEYS: OptionKeys<InitializeOptions> = {
  manager: true,
  runtime: true,
  timing: true,
  env: true,
}

interface Settings {
  readonly managerUrl: () => string | undefined
  readonly runtime: Runtime
  readonly timing: Timing
  readonly env: Environment
}

/**
 * Makes this process a rank: MPI_Init. Rank and size come from the launcher: `rankio run`, Open MPI, MPICH, PALS,
 * Flux, Slurm, JSM, torchrun; without one the process is one rank alone, and needs no manager. To be called once by
 * all ranks. Call `free` of the result at the end, or use `await using`: a rank that ends without has died for the
 * others, and its connections keep a program running.
 *
 * MPI_ERR_ARG if variables are missing or contradict each other; reason MANAGER_DOWN, RANK_DIED; DEADLINE with
 * the names of the ranks that did not come.
 */
export async function initialize(options: InitializeOptions = {}): Promise<Communicator> {
  expectOptions('initialize', options, KEYS)
  const { env = process.env, timing = TIMING } = options
  const managerUrl = (): string | undefined => options.manager ?? managerIn(env)
  const runtime = options.runtime ?? nodeRuntime()
  const settings: Settings = { managerUrl, runtime, timing, env }
  const launch = detect(env)
  return launch.size === 1 ? alone(launch, settings) : await together(launch, settings)
}

function alone({ job }: Launch, { runtime, timing, managerUrl }: Settings): Communicator {
  const sessionId = randomId(runtime.random)
  const id = job ?? `alone-${sessionId.slice(0, 8)}`
  const clientId = randomId(runtime.random)
  const about = {
    id,
    runtime,
    timing,
    clientId,
    sessionId,
    managerLink: undefined,
    get managerUrl() {
      return managerUrl()
    },
  }
  const [port] = localPorts(1)
  if (port === undefined) throw new IoError('MPI_ERR_INTERN', 'initialize: one rank without a port')
  return Communicator.world(port, new Job(about))
}

async function together(launch: Launch, settings: Settings): Promise<Communicator> {
  const { runtime, timing } = settings
  const { rank, size } = launch
  const managerUrl = settings.managerUrl()
  if (managerUrl === undefined) {
    const message = `initialize: rank ${rank} of ${size} does not know the manager: set RANKIO_MANAGER to its URL, such as rankio://host:7300`
    throw new IoError('MPI_ERR_ARG', message)
  }
  const id = await jobOf(launch, settings)
  const clientId = randomId(runtime.random)
  let job: Job | undefined
  const link = linkTo(managerUrl, settings, clientId, () => job?.sessionId() ?? NO_ID)
  const port = new RemotePort({ runtime, timing, rank, size })
  try {
    // As long as the ranks may take to come, the manager may.
    await link.connect({ deadlineMs: timing.joinMs })
    // On one host, whichever way the manager was reached, the ranks reach each other.
    const host = link.localHost ?? '127.0.0.1'
    const newPath = (): string | undefined => newSocketPath(settings.env, runtime.random)
    const address = await port.open(host, newPath)
    const request = { job: id, rank, size, ...address }
    const meeting = await link.control(MANAGER.join, request, {
      deadlineMs: timing.joinMs + timing.operationMs,
    })
    const { sessionId } = meeting
    job = new Job({ id, runtime, timing, clientId, sessionId, managerUrl, managerLink: link })
    await port.start({ ...meeting, clientId })
    job.onEnd(() => link.close())
    return Communicator.world(port, job)
  } catch (error) {
    await port.leave(false)
    link.close()
    throw error
  }
}

async function jobOf(
  { launcher, job, pmiFd, size }: Launch,
  { runtime, timing }: Settings,
): Promise<string> {
  if (job !== undefined && job !== '') return job
  if (pmiFd !== undefined) return await jobNameOverPmi(pmiFd, runtime.clock, timing.silenceMs)
  const message = `initialize: launcher ${launcher} does not name the job of its ${size} ranks: set RANKIO_JOB to the same name on all of them`
  throw new IoError('MPI_ERR_ARG', message)
}

function linkTo(
  url: string,
  { runtime, timing }: Settings,
  clientId: string,
  sessionId: () => string,
): Link {
  const address = parseUrl(url)
  return new Link({
    runtime,
    timing,
    name: 'manager',
    addresses: () => [address],
    role: 'client',
    clientId,
    sessionId,
    fsid: () => NO_ID,
    server: 'manager',
    retries: Number.POSITIVE_INFINITY,
  })
}
