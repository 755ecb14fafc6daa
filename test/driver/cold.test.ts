// Reads past the iod of what is not in the page cache: who finds that out by waiting leaves the waiting to threads.
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { RunList } from '../../lib/base/regions.js'
import type { DiskFile } from '../../lib/base/runtime.js'
import { DirectFile, type DirectFiles } from '../../lib/driver/direct.js'
import { readAtOnce, readDirectly } from '../../lib/driver/direct-move.js'

/** What the disk takes to bring a block into the page cache. */
const DISK_MS = 20

const BLOCK = 4096

const LEASE_MS = 100_000

const test = suite('cold reads')

for (const pieces of [1, 64])
  test(`a disk holds up this process twice, and threads from then on; ${pieces} pieces a read`, async () => {
    const bench = new Bench()
    for (let at = 0; at < 66; at++) assert.is(await bench.read(at * 64, pieces), undefined)
    assert.is(bench.heldUp, 2)
    assert.is(bench.warmed, 64)
    // Whether it is still so is tried now and then, and one read is enough to see it.
    for (let at = 66; at < 131; at++) assert.is(await bench.read(at * 64, pieces), undefined)
    assert.is(bench.heldUp, 3)
  })

test('a read that has only waited for a processor makes nothing cold, unless another does soon', async () => {
  const bench = new Bench()
  for (const [between, isCold] of [
    [64, false],
    [200, false],
    [63, true],
  ] as const) {
    await bench.slow()
    assert.not(bench.file.isCold)
    for (let reads = 0; reads < between; reads++) await bench.quick()
    await bench.slow()
    assert.is(bench.file.isCold, isCold)
    for (let reads = 0; reads < 200; reads++) await bench.quick()
  }
  assert.not(bench.file.isCold)
})

test('threads that are busy elsewhere keep nothing cold that is read fast', async () => {
  const bench = new Bench()
  await bench.makeCold()
  assert.ok(bench.file.isCold)
  bench.queueMs = 1000
  let reads = 0
  for (; bench.file.isCold && reads < 100; reads++) await bench.read(0, 1)
  assert.is(reads, 64)
})

test('what has been found in the page cache again and again is read at once again', async () => {
  const bench = new Bench()
  await bench.makeCold()
  assert.ok(bench.file.isCold)
  assert.not(bench.readsAtOnce(0))
  let reads = 0
  for (; bench.file.isCold; reads++) await bench.read(0, 1)
  assert.is(reads, 64)
  const { warmed } = bench
  assert.ok(bench.readsAtOnce(0))
  assert.is(await bench.read(0, 1), undefined)
  assert.is(bench.warmed, warmed)
  // A small read finds it out as well.
  assert.ok(bench.readsAtOnce(1))
  assert.ok(bench.file.isCold)
})

test('a lease that ends while a thread waits for the disk ends the read, and nothing of it counts', async () => {
  const bench = new Bench()
  await bench.makeCold()
  bench.now = LEASE_MS - DISK_MS
  const { reads } = bench
  assert.is(await bench.read(64, 1), 'ended')
  assert.is(bench.reads, reads)
})

test('a file that is closed while a thread reads it ends the read', async () => {
  const bench = new Bench()
  await bench.makeCold()
  const reading = bench.read(64, 1)
  bench.file.close()
  assert.is(await reading, 'ended')
})

test.run()

/** A datafile on a disk that is slow, and a clock that only it moves. */
class Bench {
  now = 0
  heldUp = 0
  /** What a thread is waited for. */
  queueMs = 0
  warmed = 0
  reads = 0
  readonly file: DirectFile
  #lastFresh = 2 ** 30
  readonly #cached = new Set<number>()
  readonly #files: DirectFiles
  readonly #buffer = new Uint8Array(64 * BLOCK)

  constructor() {
    const disk: Partial<DiskFile> = {
      readInto: (_into, _at, length, position) => {
        if (this.#bring(position, length)) this.heldUp++
        return length
      },
      warm: async (position, length) => {
        await Promise.resolve()
        this.now += this.queueMs
        this.#bring(position, length)
        this.warmed++
      },
      close: () => {},
    }
    const clockOf = (): number => this.now
    const counted = (): void => void this.reads++
    this.#files = {
      get now() {
        return clockOf()
      },
      marginMs: 0,
      spend: () => false,
      noteRead: counted,
    } as unknown as DirectFiles
    const holder = { isConnected: true } as unknown as ConstructorParameters<typeof DirectFile>[2]
    const grant = {} as ConstructorParameters<typeof DirectFile>[3]
    this.file = new DirectFile(disk as DiskFile, 1, holder, grant, LEASE_MS)
  }

  /** Reads a block, or many bytes of it apart. */
  read(block: number, pieces: number): ReturnType<typeof readDirectly> {
    const [local, memory] = [new RunList(), new RunList()]
    const length = pieces === 1 ? BLOCK : 8
    for (let piece = 0; piece < pieces; piece++) {
      local.add(block * BLOCK + piece * 64, length)
      memory.add(piece * 100, length)
    }
    return readDirectly(this.#files, this.file, { local, memory, bytes: local.bytes }, this.#buffer)
  }

  /** Two reads, of blocks that nothing else reads, which have to be fetched. */
  async makeCold(): Promise<void> {
    await this.slow()
    await this.slow()
  }

  /** A read of a block that has to be fetched. */
  async slow(): Promise<void> {
    this.#lastFresh -= 1
    await this.read(this.#lastFresh, 1)
  }

  /** A read of the last of them, which is there. */
  async quick(): Promise<void> {
    await this.read(this.#lastFresh, 1)
  }

  readsAtOnce(block: number): boolean {
    const over = readAtOnce(this.#files, this.file, this.now, this.#buffer, 0, BLOCK, block * BLOCK)
    return over !== undefined
  }

  // Whether it had to be fetched.
  #bring(position: number, length: number): boolean {
    const [first, last] = [position, position + length - 1].map((at) => Math.floor(at / BLOCK))
    let isCold = false
    for (let block = first ?? 0; block <= (last ?? 0); block++) {
      if (!this.#cached.has(block)) isCold = true
      this.#cached.add(block)
    }
    if (isCold) this.now += DISK_MS
    return isCold
  }
}
