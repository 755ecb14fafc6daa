// One run of the simulator: a seed gives a plan, a cast and what becomes of them; the outcome is what did not hold, if
// anything, and the hash of the trace.
import { type PlantedBug, setFaults } from '../../lib/base/faults.js'
import { openFile, closeFile } from '../../lib/driver/namespace.js'
import { Random } from '../support/random.js'
import { audit, checkContents, checkShutdown } from './audit.js'
import { FileHistory } from './history.js'
import { Jobs } from './job.js'
import { Loner, type SharedFile } from './loner.js'
import { Meddler } from './meddler.js'
import { biased } from './biases.js'
import type { Pair } from './pairs.js'
import { type Plan, planOf, planOfPair } from './plan.js'
import { Stage } from './stage.js'
import { type Invariant, Violation } from './violation.js'

/** Files that all use. */
const SHARED = 2

/** Two hours of virtual time. */
const RUN_MS = 2 * 3_600_000

/** Lines of the trace of a failure. */
const TAIL_LINES = 40

/** What came of one run. */
export interface Outcome {
  readonly seed: number
  readonly hash: string
  readonly events: number
  readonly operations: number
  readonly violation?: {
    readonly invariant: Invariant
    readonly message: string
    readonly stack: string
    readonly tail: readonly string[]
  }
}

/** Runs one seed; with a mistake planted if one is named, mostly where it matters. */
export async function runSeed(
  seed: number,
  operations: number,
  planted?: PlantedBug,
): Promise<Outcome> {
  const random = new Random(seed)
  const plan = planOf(random, operations)
  if (planted === undefined) return await runPlan(seed, plan)
  return await runPlanted(seed, biased(plan, planted, random), planted)
}

/** Runs a plan with a mistake planted. */
export async function runPlanted(seed: number, plan: Plan, planted: PlantedBug): Promise<Outcome> {
  setFaults({ planted, reach: () => {} })
  try {
    return await runPlan(seed, plan)
  } finally {
    setFaults(undefined)
  }
}

/** Runs a pair of faults. */
export async function runPair(seed: number, pair: Pair): Promise<Outcome> {
  return await runPlan(seed, planOfPair(pair))
}

/** Runs something twice: the second trace must be that of the first. */
export async function runTwice(run: () => Promise<Outcome>): Promise<Outcome> {
  const one = await run()
  if (one.violation !== undefined) return one
  const other = await run()
  if (other.hash === one.hash) return one
  const events = `${one.events} events and ${other.events}`
  const violation = new Violation('I16', `${one.hash} and ${other.hash}, ${events}`)
  return failed(one, violation)
}

/** The outcome of a run after which something else was found not to hold. */
export function failed(outcome: Outcome, { invariant, message, stack = '' }: Violation): Outcome {
  return { ...outcome, violation: { invariant, message, stack, tail: [] } }
}

/** Runs a plan with the chances of a seed. */
export async function runPlan(seed: number, plan: Plan): Promise<Outcome> {
  const stage = new Stage(seed, plan)
  stage.trace.note('', JSON.stringify(plan))
  try {
    await stage.world.run(Promise.race([perform(stage), lastMoment(stage)]))
  } catch (error) {
    stage.blame(error)
  }
  const { trace, violation, operations } = stage
  return {
    seed,
    hash: trace.hash,
    events: trace.events,
    operations,
    ...(violation === undefined
      ? {}
      : {
          violation: {
            invariant: violation.invariant,
            message: violation.message,
            stack: violation.stack ?? '',
            tail: trace.tail(TAIL_LINES),
          },
        }),
  }
}

async function perform(stage: Stage): Promise<void> {
  const { world, plan } = stage
  await world.startManager()
  await Promise.all([...world.iodtab.keys()].map((index) => world.startIod(index)))
  const shared = await makeShared(stage)
  const loners = Array.from(
    { length: plan.clients },
    (_, index) => new Loner(stage, index + 1, shared),
  )
  const jobs = Array.from({ length: plan.jobs }, (_, index) => new Jobs(stage, index + 1, shared))
  const meddler = new Meddler(stage, { loners, jobs })
  const share = Math.ceil(plan.operations / (plan.clients + plan.jobs))
  stage.spoilDisks()
  stage.network.spoil()
  const acting = Promise.all([
    ...loners.map((loner) => loner.run(share)),
    ...jobs.map((job) => job.run(share)),
  ])
  void meddler.run()
  await endOf(stage, acting, meddler)
  if (stage.violation !== undefined) return
  for (const loner of loners) await loner.leave()
  await audit(stage, loners, shared)
  if (plan.endsDark) await loseAllPower(stage, loners, shared)
  await checkShutdown(stage)
}

// What was synced must be there afterwards.
async function loseAllPower(
  stage: Stage,
  loners: readonly Loner[],
  shared: readonly SharedFile[],
): Promise<void> {
  const { world } = stage
  world.crashManager()
  for (const index of world.iodtab.keys()) {
    stage.history.powerLost(index)
    world.crashIod(index, stage.random)
    stage.network.starts(`iod-${index}`)
  }
  await world.startManager()
  await Promise.all([...world.iodtab.keys()].map((index) => world.startIod(index)))
  await checkContents(stage, loners, shared)
}

// No run has so much to do: one that is still busy then never ends.
async function lastMoment(stage: Stage): Promise<void> {
  await stage.sleep(RUN_MS)
  stage.fail('I10', `the run does not end within ${RUN_MS} ms`)
}

// The faults end when all have done what they wanted, or after a while; then all must end soon.
async function endOf(stage: Stage, acting: Promise<unknown>, meddler: Meddler): Promise<void> {
  let isDone = false
  const done = acting.then(
    () => void (isDone = true),
    (error: unknown) => {
      stage.blame(error)
      isDone = true
    },
  )
  const waitFor = async (ms: number): Promise<void> => {
    await Promise.race([done, stage.sleep(ms)])
  }
  await waitFor(stage.plan.operations * (stage.plan.thinkMs + 4 * stage.plan.outageMs + 2000))
  await meddler.finish()
  for (let waits = 0; waits < 100 && !isDone && stage.violation === undefined; waits++) {
    await waitFor(stage.limitMs)
    stage.checkEnded()
  }
  if (!isDone && stage.violation === undefined) stage.fail('I10', 'somebody never comes to an end')
}

async function makeShared(stage: Stage): Promise<SharedFile[]> {
  const { world, history } = stage
  const client = world.client()
  const files: SharedFile[] = []
  for (let index = 0; index < SHARED; index++) {
    const path = `/shared-${index}`
    const file = new FileHistory(history, path)
    const opened = await openFile(client, path, {
      read: true,
      write: true,
      create: true,
      exclusive: true,
      truncate: false,
      mode: 0o644,
      stripSize: 4096,
      advisory: false,
    })
    file.handle = opened.handle
    file.layout = opened.layout
    stage.files.set(opened.handle, file)
    files.push({ path, file })
    const traces = { sizeSeen: undefined, wrote: false, parts: new Uint8Array(0) }
    await closeFile(client, opened.capability, traces)
  }
  await client.close({ leave: true })
  return files
}
