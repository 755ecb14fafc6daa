// How an aggregator hears the messages of a round.
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { hear } from '../../lib/access/receiving.js'
import {
  MESSAGE_BYTES_MAX,
  MESSAGE_ENTRIES_MAX,
  RECEIVES_OUT,
} from '../../lib/access/thresholds.js'
import { RUN_FIELDS } from '../../lib/base/regions.js'
import { longMemory } from '../../lib/comm/message-memory.js'
import { LIMITS } from '../../lib/protocol/limits.js'
import { rejects } from '../support/assertions.js'
import { onRanks } from '../support/ranks.js'

const test = suite('receiving')

/** No manager is asked for anything here. */
const NOWHERE = { url: 'rankio://127.0.0.1:1' }

const TAG = 5

for (const isLent of [true, false]) {
  const how = isLent ? 'lent' : 'kept'

  test(`messages that are ${how} are heard until the last one of each rank`, async () => {
    await onRanks(4, NOWHERE, async (comm) => {
      const lengths = [3, LIMITS.eagerBytes + 1, 10]
      if (comm.rank > 0) {
        for (const [i, length] of lengths.entries()) {
          const isLast = i === lengths.length - 1
          await comm.sendBytes(
            [Uint8Array.of(comm.rank, isLast ? 1 : 0), new Uint8Array(length)],
            0,
            TAG,
          )
        }
        return
      }
      const heard: string[] = []
      await hear(comm, {
        tag: TAG,
        lasts: 3,
        isLent,
        decoded: (message) => ({ message, isLast: message[1] === 1 }),
        take: ({ message }) => void heard.push(`${message[0]} ${message.length - 2}`),
      })
      const all = [1, 2, 3].flatMap((rank) => lengths.map((length) => `${rank} ${length}`))
      assert.equal(heard.toSorted(), all.toSorted())
    })
  })

  test(`a message, ${how}, that does not come whole ends the communicator, so that nobody waits for its rank`, async () => {
    await onRanks(3, NOWHERE, async (comm) => {
      const bytes = new Uint8Array(LIMITS.eagerBytes + 1)
      const sent = comm.rank === 1 ? comm.sendBytes([bytes], 0, TAG).catch(String) : undefined
      if (comm.rank === 1) structuredClone(bytes, { transfer: [bytes.buffer] })
      if (comm.rank !== 0) {
        await rejects(comm.barrier(), 'MPI_ERR_BUFFER')
        await sent
        return
      }
      const decoded = (): { isLast: boolean } => ({ isLast: true })
      const hearing = hear(comm, { tag: TAG, lasts: 2, isLent, decoded, take: () => {} })
      await rejects(hearing, 'MPI_ERR_BUFFER')
    })
  })
}

test('all messages that are taken at a time, as long as they may be, come in memory that is used again', () => {
  const longest = MESSAGE_BYTES_MAX + 8 * RUN_FIELDS * MESSAGE_ENTRIES_MAX + 48
  for (const length of [MESSAGE_BYTES_MAX + 100, longest]) {
    const round = (): Uint8Array[] => {
      const blocks = Array.from({ length: RECEIVES_OUT }, () => longMemory.take(length))
      for (const block of blocks) longMemory.give(block)
      return blocks
    }
    // In the first one what was of other lengths makes room.
    round()
    const before = round()
    assert.ok(round().every((block) => before.includes(block)))
  }
})

test.run()
