// A client by itself: it opens and closes, makes, renames and removes files under names of its own, and reads and
// writes those and the ones that all share. Its process may die; then another one goes on.
import { type Deferred, deferred } from '../../lib/base/deferred.js'
import { type IoError, isIoError } from '../../lib/base/errors.js'
import { contiguous, RunList, sourceOf } from '../../lib/base/regions.js'
import { Client } from '../../lib/driver/client.js'
import type { DirectChoice } from '../../lib/driver/direct.js'
import { closeFile, openFile, rename, stat, truncate, unlink } from '../../lib/driver/namespace.js'
import { StripedFile } from '../../lib/driver/striped.js'
import type { Random } from '../support/random.js'
import { BLOCK_BYTES, contentOf } from './content.js'
import { type Change, FileHistory, writeId } from './history.js'
import { Names } from './names.js'
import type { SimProcess } from './process.js'
import type { Stage } from './stage.js'

/** Files that a client has open at a time. */
const OPENS_MAX = 3

const CHOICES: readonly DirectChoice[] = ['rw', 'read']

/** A file that all may use, and nobody renames or removes. */
export interface SharedFile {
  readonly path: string
  readonly file: FileHistory
}

interface Opened {
  readonly path: string
  readonly file: FileHistory
  readonly driver: StripedFile
  readonly capability: string
  /** Writes that no sync has covered yet. */
  unsynced: Change[]
}

/** The process of a client at work, until it dies. */
interface Life {
  readonly process: SimProcess
  readonly client: Client
  readonly opens: Opened[]
  readonly death: Deferred<never>
}

type Step = (life: Life) => Promise<void>

/** One client. */
export class Loner {
  readonly name: string
  readonly names: Names
  readonly #stage: Stage
  readonly #number: number
  readonly #random: Random
  readonly #shared: readonly SharedFile[]
  // Past the iod on whose machine it is; ranks, and whoever looks at the end, use the wire.
  readonly #direct: DirectChoice
  #writes = 0
  #last: number[] = []
  #life: Life | undefined
  // Names that the step under way changes.
  #touched: readonly string[] = []

  constructor(stage: Stage, number: number, shared: readonly SharedFile[]) {
    this.#stage = stage
    this.#number = number
    this.#random = stage.random.fork()
    this.#shared = shared
    this.#direct = CHOICES[number % CHOICES.length] ?? 'rw'
    this.name = `client-${number}`
    this.names = new Names(`/c${number}`)
  }

  /** Its process, if it has one. */
  get process(): SimProcess | undefined {
    return this.#life?.process
  }

  /** Its client, if it has a process. */
  get client(): Client | undefined {
    return this.#life?.client
  }

  /** Does so many things, then closes what it has open. */
  async run(operations: number): Promise<void> {
    const { plan } = this.#stage
    for (let left = operations; left > 0; left--) {
      await this.#stage.sleep(this.#stage.someTime(plan.thinkMs, this.#random))
      if (this.#stage.violation !== undefined) return
      await this.#live(this.#choose())
    }
    while ((this.#life?.opens.length ?? 0) > 0) await this.#live((life) => this.#close(life, 0))
  }

  /** Its process dies. */
  kill(): void {
    const life = this.#life
    if (life === undefined) return
    this.#life = undefined
    life.process.kill()
    this.names.doubt(...this.#touched)
    this.#stage.forget(this.name)
    life.death.reject(new Dead())
  }

  /** Leaves in order. */
  async leave(): Promise<void> {
    const life = this.#life
    this.#life = undefined
    if (life !== undefined) await life.client.close({ leave: true })
  }

  // One step, which ends with the process that does it.
  async #live(step: Step): Promise<void> {
    const life = (this.#life ??= this.#begin())
    this.#touched = []
    try {
      await Promise.race([step(life), life.death.promise])
    } catch (error) {
      if (!(error instanceof Dead)) throw error
    }
  }

  #begin(): Life {
    const { world, plan } = this.#stage
    const beside = this.#number % plan.iods
    const process = world.processBeside(beside, this.name)
    const client = new Client({
      runtime: process.runtime,
      timing: this.#stage.world.timing,
      url: 'rankio://manager:7300',
    })
    // Few opens are used often enough otherwise.
    client.direct.accessesBefore = 0
    const death = deferred<never>()
    death.promise.catch(() => {})
    return { process, client, opens: [], death }
  }

  #choose(): Step {
    const opens = this.#life?.opens ?? []
    const open = this.#random.int(0, Math.max(0, opens.length - 1))
    const files = [...this.names.files.keys()]
    const focused = this.#focused(opens.length, files.length)
    if (focused !== undefined) return this.#choice(focused, open)
    if (opens.length === 0)
      return files.length === 0
        ? this.#choice(
            [
              ['create', 3],
              ['share', 2],
            ],
            open,
          )
        : this.#choice(
            [
              ['create', 2],
              ['share', 2],
              ['open', 3],
              ['unlink', 1],
              ['rename', 2],
              ['truncatePath', 1],
            ],
            open,
          )
    return this.#choice(
      [
        ['write', 8],
        ['read', 6],
        ['sync', 2],
        ['close', 2],
        ['resize', 1],
        ['together', 1],
        ['rewrite', 4],
        ...(this.#stage.plan.closesUnder ? ([['closeUnder', 3]] as const) : []),
        ...(opens.length < OPENS_MAX
          ? ([
              ['create', 1],
              ['share', 1],
            ] as const)
          : []),
        ...(files.length > 0
          ? ([
              ['open', 1],
              ['unlink', 1],
              ['rename', 2],
              ['truncatePath', 1],
              ['stat', 1],
            ] as const)
          : []),
      ],
      open,
    )
  }

  // Mostly what the plan is about, where that is possible just now.
  #focused(opens: number, files: number): readonly (readonly [keyof Steps, number])[] | undefined {
    const { focus } = this.#stage.plan
    if (focus === undefined || focus === 'together' || this.#random.chance(0.2)) return undefined
    const isOpen = opens > 0
    const hasFiles = files > 0
    switch (focus) {
      case 'open':
        if (opens >= OPENS_MAX) return [['close', 1]]
        return [['create', 2], ['share', 1], ...(hasFiles ? ([['open', 2]] as const) : [])]
      case 'close':
        if (!isOpen) return [['share', 1]]
        return [
          ['close', 4],
          ['write', 2],
          ...(this.#stage.plan.closesUnder ? ([['closeUnder', 8]] as const) : []),
        ]
      case 'names':
        if (!hasFiles) return [['create', 1]]
        return [
          ['rename', 6],
          ['unlink', 2],
          ['create', 2],
          ...(isOpen ? ([['close', 2]] as const) : []),
        ]
      case 'cut':
        if (!isOpen) return [['share', 1]]
        return [
          ['resize', 3],
          ['write', 3],
          ['read', 1],
          ...(hasFiles ? ([['truncatePath', 2]] as const) : []),
        ]
      case 'data':
        if (!isOpen) return [['share', 1]]
        return [
          ['write', 4],
          ['read', 3],
          ['sync', 2],
          ['rewrite', 4],
          ['together', 4],
        ]
    }
  }

  #choice(weights: readonly (readonly [keyof Steps, number])[], open: number): Step {
    let left = this.#random.int(
      1,
      weights.reduce((sum, [, weight]) => sum + weight, 0),
    )
    const chosen = weights.find(([, weight]) => (left -= weight) <= 0)?.[0] ?? 'share'
    return this.#steps(open)[chosen]
  }

  #steps(open: number): Steps {
    const own = (): string => this.#random.pick([...this.names.files.keys()])
    return {
      create: (life) => this.#create(life),
      share: (life) => this.#openShared(life),
      open: (life) => this.#openOwn(life, own()),
      close: (life) => this.#close(life, open),
      unlink: (life) => this.#unlink(life, own()),
      rename: (life) => this.#rename(life, own()),
      truncatePath: (life) => this.#truncate(life, own()),
      stat: (life) => this.#stat(life, own()),
      write: (life) => this.#write(life, open),
      read: (life) => this.#read(life, open),
      together: async (life) => {
        await Promise.all([
          this.#write(life, open),
          this.#read(life, open),
          this.#write(life, open),
        ])
      },
      rewrite: (life) => this.#rewrite(life, open),
      sync: (life) => this.#sync(life, open),
      closeUnder: (life) => this.#closeUnder(life, open),
      resize: (life) => this.#resize(life, open),
    }
  }

  async #create(life: Life): Promise<void> {
    const path = this.names.fresh()
    this.#touched = [path]
    const file = new FileHistory(this.#stage.history, path)
    const iodCount = this.#random.int(1, this.#stage.plan.iods)
    const outcome = await this.#open(life, path, file, { create: true, iodCount })
    if (outcome === 'opened') this.names.put(path, file)
    else this.names.doubt(path)
  }

  async #openShared(life: Life): Promise<void> {
    const { path, file } = this.#random.pick(this.#shared)
    await this.#open(life, path, file, {})
  }

  async #openOwn(life: Life, path: string): Promise<void> {
    const file = this.names.files.get(path)
    if (file === undefined) return
    const truncates = this.#random.chance(0.15)
    const cut = truncates ? file.cut(`${this.name} empties it at an open`, 0) : undefined
    const outcome = await this.#open(life, path, file, { truncate: truncates })
    if (cut !== undefined) file.end(cut, outcome === 'opened')
  }

  async #open(
    life: Life,
    path: string,
    file: FileHistory,
    {
      create = false,
      truncate: truncates = false,
      iodCount,
    }: { readonly create?: boolean; readonly truncate?: boolean; readonly iodCount?: number },
  ): Promise<'opened' | 'failed'> {
    file.opens++
    const { value } = await this.#stage.attempt(
      this.name,
      `${create ? 'creates' : 'opens'} ${path}${truncates ? ', emptying it' : ''}`,
      async () =>
        await openFile(life.client, path, {
          read: true,
          write: true,
          create,
          exclusive: create,
          truncate: truncates,
          mode: 0o644,
          stripSize: 4096,
          ...(iodCount === undefined ? {} : { iodCount }),
          advisory: false,
        }),
      this.#nameErrors(path),
    )
    if (value === undefined) return 'failed'
    if (file.handle === undefined) {
      file.handle = value.handle
      file.layout = value.layout
      this.#stage.files.set(value.handle, file)
    } else if (file.handle !== value.handle)
      this.#stage.fail('I15', `${path} is handle ${value.handle}, it was ${file.handle}`)
    const driver = new StripedFile(life.client, value)
    driver.direct = this.#direct
    const { capability } = value
    life.opens.push({ path, file, driver, capability, unsynced: [] })
    return 'opened'
  }

  // Nobody else changes these names: what is not as it was left was done twice, or half.
  #nameErrors(path: string): (error: IoError) => boolean {
    return (error) => {
      const isName = isIoError(error, 'MPI_ERR_FILE_EXISTS', 'MPI_ERR_NO_SUCH_FILE')
      if (isName)
        this.#stage.fail('I9', `${path} of ${this.name} was changed more than once: ${error.code}`)
      return isName
    }
  }

  async #close(life: Life, index: number): Promise<void> {
    const [open] = life.opens.splice(index, 1)
    if (open === undefined) return
    await this.#syncOf(open)
    await this.#closeUnsynced(life, open)
  }

  async #closeUnsynced(life: Life, { driver, path, file }: Opened): Promise<void> {
    driver.release()
    const { error } = await this.#stage.attempt(this.name, `closes ${path}`, async () => {
      await closeFile(life.client, driver.capability, driver.traces())
    })
    if (error === undefined) file.opens--
  }

  // What is still written then is done before the close is answered, or never.
  async #closeUnder(life: Life, index: number): Promise<void> {
    const [open] = life.opens.splice(index, 1)
    if (open === undefined) return
    await Promise.all([this.#writeTo(life, open, () => true), this.#closeUnsynced(life, open)])
  }

  async #syncOf(open: Opened): Promise<void> {
    const covered = open.unsynced
    const { error } = await this.#stage.attempt(this.name, `syncs ${open.path}`, async () => {
      await open.driver.flush()
    })
    // That something is lost is told once; after any other failure the next sync speaks for these as well.
    if (error !== undefined && error.context.reason !== 'DATA_LOST') return
    open.unsynced = open.unsynced.filter((change) => !covered.includes(change))
    if (error !== undefined) return
    const now = this.#stage.history.now()
    for (const change of covered) change.durable = now
  }

  async #sync(life: Life, index: number): Promise<void> {
    const open = life.opens[index]
    if (open !== undefined) await this.#syncOf(open)
  }

  async #unlink(life: Life, path: string): Promise<void> {
    this.#touched = [path]
    const { error } = await this.#stage.attempt(
      this.name,
      `unlinks ${path}`,
      async () => await unlink(life.client, path),
      this.#nameErrors(path),
    )
    if (error === undefined) this.names.remove(path)
    else this.names.doubt(path)
  }

  async #rename(life: Life, from: string): Promise<void> {
    const others = [...this.names.files.keys()].filter((path) => path !== from)
    const isOver = others.length > 0 && this.#random.chance(0.4)
    const to = isOver ? this.#random.pick(others) : this.names.fresh()
    const file = this.names.files.get(from)
    if (file === undefined) return
    this.#touched = [from, to]
    const { error } = await this.#stage.attempt(
      this.name,
      `renames ${from} to ${to}`,
      async () => await rename(life.client, from, to),
      this.#nameErrors(from),
    )
    if (error !== undefined) return this.names.doubt(from, to)
    this.names.remove(from)
    this.names.put(to, file)
  }

  async #truncate(life: Life, path: string): Promise<void> {
    const file = this.names.files.get(path)
    if (file === undefined) return
    const block = this.#random.int(0, this.#stage.plan.blocks)
    const cut = file.cut(`${this.name} cuts it to ${block}`, block)
    const { error } = await this.#stage.attempt(
      this.name,
      `truncates ${path} to block ${block}`,
      async () => await truncate(life.client, path, block * BLOCK_BYTES),
      this.#nameErrors(path),
    )
    file.end(cut, error === undefined)
  }

  async #stat(life: Life, path: string): Promise<void> {
    const file = this.names.files.get(path)
    const { value } = await this.#stage.attempt(
      this.name,
      `stats ${path}`,
      async () => await stat(life.client, path),
      this.#nameErrors(path),
    )
    if (value !== undefined && file?.handle !== undefined && value.handle !== file.handle)
      this.#stage.fail('I15', `${path} is handle ${value.handle}, it was ${file.handle}`)
  }

  async #resize(life: Life, index: number): Promise<void> {
    const open = life.opens[index]
    if (open === undefined) return
    const block = this.#random.int(0, this.#stage.plan.blocks)
    const cut = open.file.cut(`${this.name} sets its size to ${block}`, block)
    const { error } = await this.#stage.attempt(
      this.name,
      `resizes ${open.path} to block ${block}`,
      async () => await open.driver.resize(block * BLOCK_BYTES),
    )
    open.file.end(cut, error === undefined)
  }

  async #write(life: Life, index: number): Promise<void> {
    const open = life.opens[index]
    if (open !== undefined) await this.#writeTo(life, open)
  }

  async #writeTo(life: Life, open: Opened, mayFail?: (error: IoError) => boolean): Promise<void> {
    const blocks = this.#blocks()
    const id = writeId(this.#number, this.#writes++)
    const name = `write ${this.#number}/${this.#writes} of ${this.name}`
    const change = open.file.write(id, name, life.client, blocks)
    const bytes = contentOf(id, blocks)
    const { error } = await this.#stage.attempt(
      this.name,
      `writes ${this.#number}/${this.#writes} to ${open.path}: ${words(blocks)}`,
      async () => await open.driver.write(accessOf(blocks, bytes)),
      mayFail,
    )
    open.file.end(change, error === undefined)
    if (error === undefined) open.unsynced.push(change)
  }

  async #read(life: Life, index: number): Promise<void> {
    const open = life.opens[index]
    if (open === undefined) return
    const blocks = this.#blocks()
    const invoked = this.#stage.history.now()
    const bytes = new Uint8Array(blocks.length * BLOCK_BYTES)
    const { value } = await this.#stage.attempt(
      this.name,
      `reads ${open.path}: ${words(blocks)}`,
      async () => await open.driver.read(accessOf(blocks, bytes)),
    )
    if (value === undefined) return
    const look = { who: this.name, invoked, ended: this.#stage.history.now() }
    open.file.check(look, blocks, bytes.subarray(0, value))
  }

  // The same place some times without a pause: whatever comes too late is soon seen.
  async #rewrite(life: Life, index: number): Promise<void> {
    for (let times = this.#random.int(2, 5); times > 0; times--) {
      const blocks = this.#last
      await this.#write(life, index)
      if (blocks.length > 0) this.#last = blocks
    }
    await this.#read(life, index)
  }

  // Often where the last access was: what comes too late is seen there.
  #blocks(): number[] {
    if (this.#last.length === 0 || this.#random.chance(0.6)) this.#last = this.#newBlocks()
    return this.#last
  }

  // One region, or some at equal distances.
  #newBlocks(): number[] {
    const random = this.#random
    const { blocks } = this.#stage.plan
    const length = Math.min(random.pick([1, 1, 3, 16, 64, 100]), blocks)
    if (random.chance(0.7)) {
      const first = random.int(0, blocks - length)
      return Array.from({ length }, (_, index) => first + index)
    }
    const stride = random.int(2, 24)
    const count = Math.min(length, Math.floor(blocks / stride))
    const first = random.int(0, blocks - (count - 1) * stride - 1)
    return Array.from({ length: count }, (_, index) => first + index * stride)
  }
}

type Steps = Record<
  | 'create'
  | 'share'
  | 'open'
  | 'close'
  | 'unlink'
  | 'rename'
  | 'truncatePath'
  | 'stat'
  | 'write'
  | 'read'
  | 'together'
  | 'sync'
  | 'resize'
  | 'closeUnder'
  | 'rewrite',
  Step
>

class Dead extends Error {
  override readonly name = 'Dead'
}

/** An access to blocks of a file, in the order of a buffer. */
export function accessOf(
  blocks: readonly number[],
  buffer: Uint8Array,
): Parameters<StripedFile['write']>[0] {
  const regions = blocks.map((block) => ({ offset: block * BLOCK_BYTES, length: BLOCK_BYTES }))
  const list = RunList.of(regions)
  return {
    file: () => sourceOf(list),
    memory: () => contiguous(0, buffer.length),
    buffer,
    bytes: buffer.length,
  }
}

/** Blocks in words. */
export function words(blocks: readonly number[]): string {
  const first = blocks[0] ?? 0
  const stride = blocks.length > 1 ? (blocks[1] ?? 0) - first : 1
  return `${blocks.length} blocks from ${first}${stride === 1 ? '' : ` every ${stride}`}`
}
