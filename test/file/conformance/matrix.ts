// Runs cases in memory: each on all of its numbers of ranks and sizes of strips. What they take is printed at the end.
import type { Test } from 'uvu'
import * as assert from 'uvu/assert'
import type { Communicator } from '../../../lib/comm/communicator.js'
import { unlink } from '../../../lib/driver/namespace.js'
import { clientOf } from '../../../lib/file/clients.js'
import { startMemoryCluster } from '../../sim/memory-cluster.js'
import { onRanks } from '../../support/ranks.js'
import { type Case, Place } from './case.js'

const IODS = 3

/** Adds a test for each case, and one that tells how many there were, with their ranks and strips, and what they took. */
export function inMemory(test: Test, cases: readonly Case[]): void {
  let done = 0
  const startMs = performance.now()
  const startCpu = process.cpuUsage()
  for (const { name, ranks, strips, run } of cases) {
    test(name, async () => {
      await using cluster = await startMemoryCluster(IODS)
      for (const size of ranks) {
        await onRanks(size, cluster, async (comm) => {
          for (const strip of strips) {
            await run(placeOf(comm, strip))
            if (comm.rank === 0) done++
          }
        }).catch((cause: unknown) => {
          throw new Error(`on ${size} ranks: ${String(cause)}`, { cause })
        })
      }
    })
  }
  test('every case has run on all of its numbers of ranks and sizes of strips', () => {
    const all = cases.map(({ ranks, strips }) => ranks.length * strips.length)
    assert.is(
      done,
      all.reduce((sum, count) => sum + count, 0),
    )
    const { user, system } = process.cpuUsage(startCpu)
    const eachMs = (performance.now() - startMs) / done
    const eachCpuMs = (user + system) / 1000 / done
    console.log(
      `\n${done} cases in memory, ${eachMs.toFixed(1)} ms each, ${eachCpuMs.toFixed(1)} ms of a core`,
    )
  })
}

function placeOf(comm: Communicator, strip: number): Place {
  return new Place({
    comm,
    mark: `${comm.size}-${strip}`,
    info: { striping_unit: strip },
    // `File.delete` belongs to no job, so it looks for the manager over sockets.
    remove: async (path) => {
      const { job, rank } = comm
      await unlink(clientOf(job, job.managerUrl ?? '', rank === 0), path)
    },
  })
}
