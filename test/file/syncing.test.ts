// How ranks make their bytes durable together: who tells the manager what has data, and what comes of a failure.
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { IoError } from '../../lib/base/errors.js'
import { MemoryFile, MemoryStore } from '../../lib/driver/memory.js'
import { File } from '../../lib/file/file.js'
import { Mode } from '../../lib/file/mode.js'
import { syncTogether, unionOfBits } from '../../lib/file/syncing.js'
import { MANAGER } from '../../lib/protocol/manager.js'
import { startMemoryCluster } from '../sim/memory-cluster.js'
import { rejects } from '../support/assertions.js'
import { countedRanks } from '../support/counted-ranks.js'
import { onAll } from '../support/job.js'

const test = suite('syncing')

const full = new IoError('MPI_ERR_NO_SPACE', 'full')

/** What the drivers of all ranks were asked to do, in words. */
class Asked {
  readonly words: string[] = []
  /** Why a manager notes nothing. */
  failure: IoError | undefined
}

/** Has data on disk in one part of which the manager does not know. */
class ToldFile extends MemoryFile {
  readonly #asked: Asked
  readonly #rank: number
  readonly #failure: IoError | undefined

  constructor(asked: Asked, rank: number, failure?: IoError) {
    super(new MemoryStore())
    this.#asked = asked
    this.#rank = rank
    this.#failure = failure
  }

  override async flush(): Promise<void> {
    this.#asked.words.push(`${this.#rank} flushes and tells`)
    if (this.#failure !== undefined) throw this.#failure
  }

  override async flushUntold(): Promise<void> {
    if (this.#failure !== undefined) throw this.#failure
  }

  override get untold(): Uint8Array {
    return Uint8Array.of(1 << this.#rank)
  }

  override async tell(parts: Uint8Array = new Uint8Array(0)): Promise<void> {
    this.#asked.words.push(`${this.#rank} tells ${parts.join(' ')}`)
    if (this.#asked.failure !== undefined) throw this.#asked.failure
  }

  override told(): void {
    this.#asked.words.push(`${this.#rank} is told`)
  }
}

test('rank 0 of three tells the manager what all of them have written', async () => {
  const asked = new Asked()
  await onAll(countedRanks(3).comms, (comm) => syncTogether(comm, new ToldFile(asked, comm.rank)))
  assert.is(asked.words[0], '0 tells 7')
  assert.equal(asked.words.slice(1).sort(), ['0 is told', '1 is told', '2 is told'])
})

test('one rank, or each of two, tells it itself', async () => {
  for (const ranks of [1, 2]) {
    const asked = new Asked()
    const { comms } = countedRanks(ranks)
    await onAll(comms, (comm) => syncTogether(comm, new ToldFile(asked, comm.rank)))
    const tellers = asked.words.filter((word) => word.endsWith('tells'))
    assert.equal(tellers.sort(), ['0 flushes and tells', '1 flushes and tells'].slice(0, ranks))
    assert.not(asked.words.some((word) => /tells \d/.test(word)))
  }
})

test('what the manager could not note is the error of rank 0, and stays untold', async () => {
  const asked = new Asked()
  asked.failure = full
  await onAll(countedRanks(4).comms, async (comm) => {
    const error = await rejects(syncTogether(comm, new ToldFile(asked, comm.rank)))
    if (comm.rank === 0) assert.is(error, full)
    else assert.equal([error.context.reason, error.context.rank], ['REMOTE', 0])
  })
  assert.equal(asked.words, ['0 tells 15'])
})

test('a rank that cannot make its bytes durable keeps nobody from telling what the others have', async () => {
  const asked = new Asked()
  await onAll(countedRanks(3).comms, async (comm) => {
    const driver = new ToldFile(asked, comm.rank, comm.rank === 1 ? full : undefined)
    const error = await rejects(syncTogether(comm, driver))
    if (comm.rank === 1) assert.is(error, full)
    else assert.equal([error.context.reason, error.context.rank], ['REMOTE', 1])
  })
  assert.equal(asked.words, ['0 tells 7'])
})

test('bits of two are those of either, and one may have none', () => {
  const [one, other] = [Uint8Array.of(1, 2), Uint8Array.of(4, 2)]
  assert.equal(unionOfBits(one, other), Uint8Array.of(5, 2))
  assert.is(unionOfBits(undefined, other), other)
  assert.is(unionOfBits(one, undefined), one)
  assert.is(unionOfBits(undefined, undefined), undefined)
})

test('ranks whose close ends in a disagreement tell the manager each what they have written', async () => {
  await using cluster = await startMemoryCluster(3)
  let notes = 0
  cluster.fabric.faults = {
    fate: ({ from, request }, header) => {
      if (request && from === 'ranks' && header[0] === MANAGER.noteData.op) notes++
      return { kind: 'deliver', delayMs: 0 }
    },
  }
  const { comms } = countedRanks(3, [], cluster)
  await onAll(comms, async (comm) => {
    const file = await File.open(comm, '/f', Mode.CREATE | Mode.RDWR)
    await file.writeAt(comm.rank, Uint8Array.of(1))
    await rejects(comm.rank === 1 ? file.sync() : file.close(), 'MPI_ERR_NOT_SAME')
    await file.close()
  })
  assert.is(notes, 3)
  await Promise.all(comms.map((comm) => comm.free()))
})

test.run()
