// What goes wrong in a run at moments of its own: servers and clients die, stand still, lose their power, are cut off.
// Whatever it does it also ends; at the end of the run everything is well again.
import { hexOf } from '../../lib/base/bytes.js'
import { isIoError } from '../../lib/base/errors.js'
import { DATA, IOD } from '../../lib/protocol/iod.js'
import { MANAGER } from '../../lib/protocol/manager.js'
import { flood } from './flood.js'
import type { Jobs } from './job.js'
import type { Loner } from './loner.js'
import type { OperationClass, Pair, PairFault } from './pairs.js'
import type { Episode } from './plan.js'
import type { SimProcess } from './process.js'
import type { Stage } from './stage.js'
import { DIRECTORY } from './world.js'

/** Hours by which a date jumps at the most. */
const STEP_MS = 3_600_000

/** An operator starts what did not come up again after so long. */
const OPERATOR_MS = 1000

/** So long it is waited for somebody to ask a server for something. */
const BUSY_MS = 5000

/** What a server may be asked for when it dies; undefined = whatever comes. */
const MANAGER_OPS = [
  undefined,
  MANAGER.open.op,
  MANAGER.close.op,
  MANAGER.rename.op,
  MANAGER.unlink.op,
  MANAGER.truncate.op,
  MANAGER.sync.op,
]
const IOD_OPS = [undefined, DATA.write, DATA.flush, IOD.open.op, IOD.close.op, IOD.truncate.op]

/** What is asked for in the moment at which a pair of faults begins. */
const PAIR_OPS: Readonly<Record<OperationClass, readonly number[]>> = {
  open: [MANAGER.open.op],
  close: [MANAGER.close.op],
  names: [MANAGER.rename.op, MANAGER.unlink.op],
  cut: [MANAGER.truncate.op],
  data: [DATA.write, DATA.read],
  together: [DATA.write, MANAGER.open.op],
}

/** Times that the two faults of a pair follow each other. */
const ROUNDS = 3

/** So often it is looked whether a server may be meddled with again. */
const FREE_MS = 10

/** So often an operator starts a server before it is given up. */
const TRIES_MAX = 100

/** After each fault a server is left alone for so long, and as long as the longest outage. */
const REST_MS = 2000

/** Those whom it meddles with. */
export interface Cast {
  readonly loners: readonly Loner[]
  readonly jobs: readonly Jobs[]
}

/** Makes faults until it is told to stop. */
export class Meddler {
  readonly #stage: Stage
  readonly #cast: Cast
  readonly #random
  // Servers that are away, or being started, by name; and from when on each may be meddled with again.
  readonly #away = new Set<string>()
  readonly #rests = new Map<string, number>()
  readonly #stopped = new Set<SimProcess>()
  readonly #clientRests = new WeakMap<SimProcess, number>()
  #isOver = false
  #hasFlooded = false

  constructor(stage: Stage, cast: Cast) {
    this.#stage = stage
    this.#cast = cast
    this.#random = stage.random.fork()
  }

  /** Makes faults until `finish`. */
  async run(): Promise<void> {
    const { episodes, calmMs, pair } = this.#stage.plan
    if (pair !== undefined) return await this.#pairs(pair)
    if (episodes.length === 0) return
    while (!this.#isOver) {
      await this.#stage.sleep(this.#stage.someTime(calmMs, this.#random))
      if (this.#isOver) return
      const episode = this.#random.pick(episodes)
      this.#episode(episode).catch((error: unknown) => this.#stage.blame(error))
    }
  }

  /** No more faults; resolves when every server is up. */
  async finish(): Promise<void> {
    this.#isOver = true
    for (const process of this.#stopped) process.resume()
    this.#stopped.clear()
    this.#stage.heal()
    while (this.#away.size > 0 && this.#stage.violation === undefined)
      await this.#stage.sleep(OPERATOR_MS)
  }

  // The second fault follows while the first one lasts, or is just being mended.
  async #pairs(pair: Pair): Promise<void> {
    for (let round = 0; round < ROUNDS && !this.#isOver; round++) {
      const op = this.#random.pick(PAIR_OPS[pair.during])
      const host = op === DATA.write || op === DATA.read ? 'iod-0' : 'manager'
      await Promise.race([this.#stage.network.asked(host, op), this.#stage.sleep(BUSY_MS)])
      const first = this.#fault(pair.first)
      await this.#stage.sleep(this.#random.pick([0, 3, 30, 1500]))
      if (!this.#isOver) await Promise.all([first, this.#fault(pair.second)])
      await first
    }
  }

  async #fault(fault: PairFault): Promise<void> {
    const { world, trace, plan } = this.#stage
    switch (fault) {
      case 'killIod':
        return await this.#killIod(0)
      case 'killOtherIod':
        return await this.#killIod(1)
      case 'killManager':
        await this.#free('manager')
        trace.note('manager', 'is killed')
        world.killManager()
        this.#stage.managerDeaths++
        await this.#outage()
        return await this.#startManager()
      case 'killClient': {
        const [jobs] = this.#cast.jobs
        if (jobs !== undefined) return jobs.killRank(this.#random.int(0, 99))
        const loner = this.#pick(this.#cast.loners)
        trace.note(loner?.name ?? '', 'dies')
        return loner?.kill()
      }
      case 'cutClientIod':
        return await this.#cut(this.#hosts(), 'iod-0')
      case 'cutManagerIod':
        return await this.#cut(['manager'], 'iod-0')
      case 'cutClientManager':
        return await this.#cut(this.#hosts(), 'manager')
      case 'stopIod':
        await this.#free('iod-0')
        await this.#stop('iod-0', world.processOf(0))
        return this.#giveBack('iod-0')
      case 'diskError':
        trace.note('iod-0', 'its disk fails once')
        this.#stage.failDiskOnce(0)
        return await this.#stage.sleep(plan.network.delayMs)
    }
  }

  async #killIod(iod: number): Promise<void> {
    const name = `iod-${iod}`
    await this.#free(name)
    this.#stage.trace.note(name, 'is killed')
    this.#stage.world.killIod(iod)
    await this.#bringBack(iod)
  }

  // Waits until nobody else meddles with a server.
  async #free(name: string): Promise<void> {
    while (this.#away.has(name)) await this.#stage.sleep(FREE_MS)
    this.#away.add(name)
  }

  // Some hosts are cut off from a server, in both directions.
  async #cut(hosts: readonly string[], from: string): Promise<void> {
    const { network, trace, plan } = this.#stage
    const host = this.#pick(hosts)
    if (host === undefined) return
    const forMs = this.#random.fraction() * plan.outageMs
    trace.note('', `nothing passes between ${host} and ${from} for ${Math.round(forMs)} ms`)
    network.wall(host, from, forMs)
    network.wall(from, host, forMs)
    await this.#stage.sleep(forMs)
  }

  // Of clients and ranks.
  #hosts(): string[] {
    const { loners, jobs } = this.#cast
    const ranks = jobs.flatMap(({ hosts }) => hosts)
    return ranks.length > 0 ? ranks : loners.map(({ name }) => name)
  }

  async #episode(episode: Episode): Promise<void> {
    const { world, network, trace } = this.#stage
    const iod = this.#random.int(0, world.iodtab.length - 1)
    const name = `iod-${iod}`
    switch (episode) {
      case 'killIod':
        if (!this.#take(name)) return
        await this.#busyMoment(name)
        trace.note(name, 'is killed')
        world.killIod(iod)
        await this.#bringBack(iod)
        return
      case 'cutPower':
        if (!this.#take(name)) return
        await this.#busyMoment(name)
        await this.#cutPower(iod)
        return
      case 'stopIod':
        if (world.isUp(iod) && this.#take(name)) {
          await this.#stop(name, world.processOf(iod))
          this.#giveBack(name)
        }
        return
      case 'killManager':
        if (!this.#take('manager')) return
        await this.#busyMoment('manager')
        trace.note('manager', 'is killed')
        world.killManager()
        this.#stage.managerDeaths++
        await this.#outage()
        await this.#startManager()
        return
      case 'stopManager':
        if (world.managerProcess !== undefined && this.#take('manager')) {
          await this.#stop('manager', world.managerProcess)
          this.#giveBack('manager')
        }
        return
      case 'cutManagerPower':
        if (!this.#take('manager')) return
        await this.#busyMoment('manager')
        trace.note('manager', 'loses its power')
        network.dark('manager', true)
        world.crashManager()
        this.#stage.managerDeaths++
        network.dark('manager', false)
        await this.#outage()
        await this.#startManager()
        return
      case 'rotMetadata':
        if (this.#take('manager')) await this.#rot()
        return
      case 'olderMetadata':
        if (this.#take('manager')) await this.#older()
        return
      case 'killRank':
        this.#pick(this.#cast.jobs)?.killRank(this.#random.int(0, 99))
        return
      case 'stopClient': {
        // Who never does anything for longer than a lease has lost it, and rightly so.
        const client = this.#pick(this.#clients().filter((one) => this.#isRestedClient(one)))
        if (client === undefined) return
        this.#clientRests.set(client, Number.POSITIVE_INFINITY)
        await this.#stop('client', client)
        this.#clientRests.set(client, this.#stage.now + this.#stage.plan.outageMs + REST_MS)
        return
      }
      case 'killClient': {
        const loner = this.#pick(this.#cast.loners)
        trace.note(loner?.name ?? '', 'dies')
        loner?.kill()
        return
      }
      case 'partition':
        this.#partition()
        return
      case 'reset': {
        const host = this.#random.pick(['manager', name])
        if (this.#random.chance()) {
          const ops = host === 'manager' ? MANAGER_OPS : IOD_OPS
          network.loseAnswer(host, this.#random.pick(ops) ?? DATA.read)
          return
        }
        trace.note(host, 'loses its connections')
        network.reset(host)
        await this.#stage.sleep(30)
        network.calm()
        return
      }
      case 'swapDirectories':
        await this.#swap(iod, (iod + 1) % world.iodtab.length)
        return
      case 'damageSuperblock':
        await this.#damage(iod)
        return
      case 'stepClock': {
        const host = this.#pick(['manager', name, 'client-0']) ?? name
        const ms = this.#random.int(-STEP_MS, STEP_MS)
        trace.note(host, `has another date, by ${ms} ms`)
        this.#stage.stepClock(host, ms)
        return
      }
      case 'forge':
        await this.#forge()
        return
      case 'flood':
        await this.#floods()
        return
    }
  }

  async #cutPower(iod: number): Promise<void> {
    const { world, network, trace, history } = this.#stage
    const name = `iod-${iod}`
    trace.note(name, 'loses its power')
    network.dark(name, true)
    history.powerLost(iod)
    world.crashIod(iod, this.#random)
    network.dark(name, false)
    await this.#bringBack(iod)
  }

  // The start may be refused, or die of a disk that fails: then an operator tries again.
  async #bringBack(iod: number): Promise<void> {
    await this.#outage()
    await this.#startIod(iod)
  }

  async #startIod(iod: number): Promise<void> {
    const { world, trace } = this.#stage
    const name = `iod-${iod}`
    for (let tries = 0; ; tries++) {
      if (tries > TRIES_MAX) return this.#stage.fail('I10', `${name} does not come up any more`)
      try {
        this.#stage.network.starts(name)
        await world.startIod(iod)
        trace.note(name, 'is up')
        this.#giveBack(name)
        return
      } catch (error) {
        trace.note(name, `does not come up: ${String(error)}`)
        world.killIod(iod)
        if (this.#stage.violation !== undefined) return
        await this.#stage.sleep(OPERATOR_MS)
      }
    }
  }

  async #startManager(): Promise<void> {
    const { world, trace } = this.#stage
    for (let tries = 0; ; tries++) {
      if (tries > TRIES_MAX) return this.#stage.fail('I10', 'the manager does not come up any more')
      try {
        await world.startManager()
        trace.note('manager', 'is up')
        this.#giveBack('manager')
        return
      } catch (error) {
        trace.note('manager', `does not come up: ${String(error)}`)
        world.killManager()
        this.#stage.managerDeaths++
        if (this.#stage.violation !== undefined) return
        await this.#stage.sleep(OPERATOR_MS)
      }
    }
  }

  async #stop(name: string, process: SimProcess): Promise<void> {
    if (process.isStopped || process.isDead) return
    this.#stage.trace.note(name, 'stands still')
    process.stop()
    this.#stopped.add(process)
    await this.#outage()
    this.#stopped.delete(process)
    if (process.isStopped) this.#stage.trace.note(name, 'goes on')
    process.resume()
  }

  #partition(): void {
    const { network, trace, plan } = this.#stage
    if (this.#random.chance()) {
      const iod = `iod-${this.#random.int(0, plan.iods - 1)}`
      if (!this.#isRested(iod)) return
      const heldMs = (0.5 + this.#random.fraction() / 2) * plan.outageMs
      this.#tire(iod, heldMs)
      trace.note(iod, `is cut off from who writes next, for ${Math.round(heldMs)} ms`)
      network.wallAt(iod, DATA.write, heldMs)
      return
    }
    const hosts = ['manager', ...this.#stage.world.iodtab.map((_, index) => `iod-${index}`)]
    const clients = this.#cast.loners.map(({ name }) => name)
    const from = this.#random.pick(hosts)
    const to = this.#random.pick([...hosts, ...clients].filter((host) => host !== from))
    const forMs = this.#random.fraction() * plan.outageMs
    const kind = this.#random.int(0, 2)
    if (!this.#isRested(from) || !this.#isRested(to)) return
    this.#tire(from, forMs)
    this.#tire(to, forMs)
    trace.note('', `nothing passes between ${from} and ${to}, ${kind}, for ${Math.round(forMs)} ms`)
    if (kind !== 1) network.wall(from, to, forMs)
    if (kind !== 0) network.wall(to, from, forMs)
  }

  // Two iods on each other's directories must both be refused, and come up when each has its own again.
  async #swap(one: number, other: number): Promise<void> {
    const { world, trace } = this.#stage
    const names = [`iod-${one}`, `iod-${other}`]
    if (one === other || !names.every((name) => this.#isRested(name))) return
    for (const name of names) this.#take(name)
    trace.note(names.join(' '), "have each other's directories")
    world.killIod(one)
    world.killIod(other)
    world.hostOf(one).disk.swap(world.hostOf(other).disk)
    for (const index of [one, other]) await this.#refused(index, 'the directory of another one')
    world.hostOf(one).disk.swap(world.hostOf(other).disk)
    await Promise.all([this.#startIod(one), this.#startIod(other)])
  }

  // One damaged slot is made up for by the other, two must be refused.
  async #damage(iod: number): Promise<void> {
    const { world, trace } = this.#stage
    const name = `iod-${iod}`
    if (!this.#take(name)) return
    world.killIod(iod)
    await this.#outage()
    const { disk } = world.hostOf(iod)
    const path = `${DIRECTORY}/superblock`
    const slots = this.#random.chance(0.5) ? [0, 1] : [this.#random.int(0, 1)]
    trace.note(name, `has ${slots.length} damaged slots of its superblock`)
    const flips = slots.map((slot) => slot * 4096 + this.#random.int(0, 120))
    for (const at of flips) disk.flip(path, at)
    if (slots.length === 2) {
      await this.#refused(iod, 'two damaged superblocks')
      for (const at of flips) disk.flip(path, at)
    }
    await this.#startIod(iod)
  }

  // A manager that comes to a damaged value while it starts must say so; one that comes to it later fails what needs it.
  // An operator stops it and brings the metadata back.
  async #rot(): Promise<void> {
    const { world, trace } = this.#stage
    world.killManager()
    this.#stage.managerDeaths++
    const key = this.#pick(world.metadata.keys)
    if (key !== undefined) {
      world.metadata.rot(key)
      this.#stage.rots++
      this.#stage.isRotten = true
      trace.note('manager', `a value of its metadata is damaged: ${hexOf(key)}`)
      try {
        await world.startManager()
        await this.#outage()
      } catch (error) {
        trace.note('manager', `is refused: ${String(error)}`)
        if (!isChecksum(error)) this.#stage.blame(error)
      }
      world.killManager()
      this.#stage.managerDeaths++
      world.metadata.restore()
      this.#stage.isRotten = false
      trace.note('manager', 'its metadata are put right')
    }
    await this.#startManager()
  }

  // Whatever number the epoch of its manager has by then, nobody obeys it. One that no iod could refuse at its start goes
  // on for a while, unheard by clients: what they were told then would be lost with it.
  async #older(): Promise<void> {
    const { world, trace } = this.#stage
    world.killManager()
    const newest = world.metadata
    const copy = newest.copy()
    await this.#startManager()
    this.#away.add('manager')
    await this.#stage.sleep(OPERATOR_MS)
    if (world.managerProcess === undefined) return this.#giveBack('manager')
    const { epochId } = world.epoch
    const hasObeyed = (iod: number): boolean =>
      world.isUp(iod) && world.iod(iod).iod.state.obeyedId === epochId
    // One that has not yet would be right to obey either.
    if (![...world.iodtab.keys()].every(hasObeyed)) return this.#giveBack('manager')
    trace.note('manager', 'is started on an older copy of its metadata')
    world.killManager()
    world.metadata = copy
    // The first of them may have the number of the epoch that was obeyed, the others have higher ones.
    const starts = this.#random.int(1, 3)
    for (let start = 1; start <= starts; start++) await this.#startOlder(start === starts)
    world.metadata = newest
    await this.#startManager()
  }

  async #startOlder(isLast: boolean): Promise<void> {
    const { world, trace } = this.#stage
    try {
      await world.startManager({ deaf: true })
      trace.note('manager', 'no iod could refuse it')
      if (isLast) await this.#outage()
      const { epochId } = world.epoch
      for (const iod of world.iodtab.keys())
        if (world.isUp(iod) && world.iod(iod).iod.state.obeyedId === epochId)
          this.#stage.fail('I13', `iod-${iod} obeys a manager whose metadata are older`)
    } catch (error) {
      trace.note('manager', `is refused: ${String(error)}`)
    }
    world.killManager()
  }

  async #refused(iod: number, what: string): Promise<void> {
    const { world, trace } = this.#stage
    try {
      this.#stage.network.starts(`iod-${iod}`)
      await world.startIod(iod)
      this.#stage.fail('I13', `iod-${iod} comes up with ${what}`)
    } catch (error) {
      trace.note(`iod-${iod}`, `is refused: ${String(error)}`)
    }
    world.killIod(iod)
  }

  // Capabilities that nobody gave, and those of others.
  async #forge(): Promise<void> {
    const loner = this.#pick(this.#cast.loners)
    const client = loner?.client
    const process = loner?.process
    const records = this.#stage.world.managerProcess === undefined ? [] : await this.#records()
    const own = records.filter(({ sessionId }) => sessionId === client?.sessionId)
    const record = this.#pick(own.length > 0 ? own : records)
    if (client === undefined || process === undefined || record === undefined) return
    const isMine = record.sessionId === client.sessionId
    const capability = this.#random.bytes(16)
    const part = this.#random.int(0, record.layout.iodCount - 1)
    const iod = (record.layout.firstIod + part) % record.layout.iodTotal
    const stripLog2 = Math.log2(record.layout.stripSize)
    const call = { op: DATA.size, handle: record.handle, capability, length: 0, part, stripLog2 }
    this.#stage.trace.note(loner?.name ?? '', `tries a capability of nobody on iod-${iod}`)
    try {
      await client.iod(iod).call(() => call)
    } catch {
      return
    }
    this.#stage.fail('I14', `iod-${iod} obeys a capability that nobody was given, ${isMine}`)
  }

  async #records(): ReturnType<Stage['world']['records']> {
    try {
      return await this.#stage.world.records()
    } catch {
      // The manager has died just now.
      return []
    }
  }

  // Once a run: it takes many bytes.
  async #floods(): Promise<void> {
    if (this.#hasFlooded || this.#stage.plan.disk.pages !== undefined) return
    this.#hasFlooded = true
    await flood(this.#stage)
  }

  #clients(): SimProcess[] {
    const { loners, jobs } = this.#cast
    const alone = loners.map(({ process }) => process).filter((one) => one !== undefined)
    return [...alone, ...jobs.flatMap(({ processes }) => processes)]
  }

  #pick<Value>(values: readonly Value[]): Value | undefined {
    return values.length === 0 ? undefined : this.#random.pick(values)
  }

  // One fault at a time for each server, and then a rest: nobody promises to get through where nobody ever does.
  #take(name: string): boolean {
    if (!this.#isRested(name)) return false
    this.#away.add(name)
    return true
  }

  #giveBack(name: string): void {
    this.#away.delete(name)
    this.#tire(name, 0)
  }

  #isRested(name: string): boolean {
    return !this.#away.has(name) && (this.#rests.get(name) ?? 0) <= this.#stage.now
  }

  #isRestedClient(client: SimProcess): boolean {
    return (this.#clientRests.get(client) ?? 0) <= this.#stage.now
  }

  #tire(name: string, ms: number): void {
    this.#rests.set(name, this.#stage.now + ms + this.#stage.plan.outageMs + REST_MS)
  }

  // Mostly a server dies while it has something to do.
  async #busyMoment(host: string): Promise<void> {
    if (this.#random.chance(0.3)) return
    const { network, plan } = this.#stage
    const op = host === 'manager' ? this.#random.pick(MANAGER_OPS) : this.#random.pick(IOD_OPS)
    await Promise.race([network.asked(host, op), this.#stage.sleep(BUSY_MS)])
    const { commitMs, disk } = plan
    const longestMs = plan.network.delayMs + 2 * commitMs + disk.delayMs
    await this.#stage.sleep(this.#random.fraction() * longestMs)
  }

  async #outage(): Promise<void> {
    if (!this.#isOver) await this.#stage.sleep(this.#random.fraction() * this.#stage.plan.outageMs)
  }
}

function isChecksum(error: unknown): boolean {
  return isIoError(error) && error.context.reason === 'CHECKSUM'
}
