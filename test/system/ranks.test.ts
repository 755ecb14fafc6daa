// Ranks and servers, all of them processes: MPICH's harness in every way of access, and ranks that die in it.
import { join } from 'node:path'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { startCluster } from '../../servers/cluster.js'
import { deadline } from '../support/assertions.js'
import { runCommand, startNode, temporaryFolder } from '../support/command.js'

const test = suite('ranks in processes')

const PROGRAM = join(import.meta.dirname, 'ways-program.js')

const DYING_PROGRAM = join(import.meta.dirname, 'dying-program.js')

for (const size of [2, 8]) {
  test(`every way of access, by ${size} ranks that are processes`, async () => {
    await using cluster = await startCluster({ iods: 3 })
    const env = { RANKIO_MANAGER: cluster.url }
    const { code, stdout, stderr } = await runCommand(['run', '-n', String(size), PROGRAM], { env })
    assert.is(code, 0, stderr)
    assert.match(stdout.toString(), `all ways of ${size} ranks`)
  })
}

for (const [bytes, victim] of [
  [100, 1],
  [4_000_000, 0],
] as const) {
  test(`rank ${victim} is killed in a collective write of ${bytes} bytes: the others are told, and end`, async () => {
    await using cluster = await startCluster({ iods: 2 })
    await using folder = await temporaryFolder()
    const ranks = [0, 1, 2].map((rank) =>
      startNode([DYING_PROGRAM, String(bytes), String(victim)], {
        env: {
          RANKIO_MANAGER: cluster.url,
          RANKIO_JOB: `dying-${bytes}-${victim}`,
          RANKIO_RANK: String(rank),
          RANKIO_SIZE: '3',
          XDG_RUNTIME_DIR: folder.path,
        },
      }),
    )
    const ends = await deadline(
      'three ranks',
      60_000,
      Promise.all(ranks.map(async ({ ended }) => await ended)),
    )
    for (const [rank, { code, signal, stdout, stderr }] of ends.entries()) {
      if (rank === victim) {
        assert.is(signal, 'SIGKILL')
        continue
      }
      assert.is(code, 0, stderr)
      // The first may have been through before; what waits for the one that is gone is told.
      const lines = stdout.toString().trim().split('\n')
      assert.is(lines.length, 3)
      assert.match(lines[0] ?? '', new RegExp(`^(done|MPI_ERR_\\w+ of rank ${victim})$`))
      for (const line of lines.slice(1)) assert.match(line, `of rank ${victim}`)
    }
  })
}

test.run()
