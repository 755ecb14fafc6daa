// Nobody waits for ever: whatever collective some ranks are in, all of them end with an error that says why, when
// another rank calls something else, throws, or gives the job up.
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { type IoError, isIoError } from '../../lib/base/errors.js'
import type { Communicator } from '../../lib/comm/communicator.js'
import { localRanks } from '../../lib/comm/local-ranks.js'
import { File } from '../../lib/file/file.js'
import { Mode } from '../../lib/file/mode.js'
import { nodeRuntime } from '../../lib/transport/runtime.js'
import { type Cluster, startCluster } from '../../servers/cluster.js'
import { deadline } from '../support/assertions.js'

const test = suite('no rank hangs')

const CREATE = Mode.CREATE | Mode.RDWR

const RANKS = 3

/** Far below what a timeout of a request would be. */
const SOON_MS = 10_000

const one = (): Uint8Array => new Uint8Array(1)

/** Every collective of a file, by its name. */
const COLLECTIVES: Readonly<Record<string, (file: File) => Promise<unknown>>> = {
  setView: (file) => file.setView(),
  setInfo: (file) => file.setInfo({}),
  setSize: (file) => file.setSize(1),
  preallocate: (file) => file.preallocate(1),
  setAtomicity: (file) => file.setAtomicity(true),
  seekShared: (file) => file.seekShared(1),
  sync: (file) => file.sync(),
  readAtAll: (file) => file.readAtAll(0, one()),
  writeAtAll: (file) => file.writeAtAll(0, one()),
  readAll: (file) => file.readAll(one()),
  writeAll: (file) => file.writeAll(one()),
  readOrdered: (file) => file.readOrdered(one()),
  writeOrdered: (file) => file.writeOrdered(one()),
  close: (file) => file.close(),
}

/** What each rank's body came to, all of them within the deadline. */
async function onEach(
  cluster: Cluster,
  body: (file: File, comm: Communicator) => Promise<unknown>,
  amode: number = CREATE,
): Promise<unknown[]> {
  const comms = localRanks(RANKS, { runtime: nodeRuntime(), managerUrl: cluster.url })
  const run = async (comm: Communicator): Promise<unknown> => {
    const file = await File.open(comm, '/f', amode)
    try {
      await body(file, comm)
      return undefined
    } catch (error) {
      return error
    } finally {
      await file.close().catch(() => {})
      await comm.free().catch(() => {})
    }
  }
  return await deadline(`${RANKS} ranks`, SOON_MS, Promise.all(comms.map(run)))
}

function ioError(error: unknown): IoError {
  assert.ok(isIoError(error), String(error))
  return error as IoError
}

for (const isAtomic of [false, true]) {
  const mode = isAtomic ? ', in atomic mode' : ''

  test(`each collective that meets another one ends both, on all ranks, by name${mode}`, async () => {
    await using cluster = await startCluster({ iods: 2, inProcess: true })
    for (const [name, call] of Object.entries(COLLECTIVES)) {
      const other = name === 'sync' ? 'writeAll' : 'sync'
      for (const odd of [0, RANKS - 1]) {
        const errors = await onEach(cluster, async (file, comm) => {
          if (isAtomic) await file.setAtomicity(true)
          await (comm.rank === odd ? call(file) : COLLECTIVES[other]?.(file))
        })
        for (const error of errors.map(ioError)) {
          assert.is(error.code, 'MPI_ERR_NOT_SAME', `${name}: ${error.message}`)
          assert.match(error.message, name)
          assert.match(error.message, other)
        }
      }
    }
  })

  test(`a rank that throws ends the collective that the others are in, by its close${mode}`, async () => {
    await using cluster = await startCluster({ iods: 2, inProcess: true })
    for (const [name, call] of Object.entries(COLLECTIVES)) {
      // A close that meets closes is a close.
      if (name === 'close') continue
      for (const thrower of [0, RANKS - 1]) {
        const errors = await onEach(cluster, async (file, comm) => {
          await using held = file
          if (isAtomic) await held.setAtomicity(true)
          if (comm.rank === thrower) throw new RangeError('a mistake of the program')
          await call(held)
        })
        for (const [rank, error] of errors.entries()) {
          // The disposer hides the first error in its own, as it does for whom it was not in the way.
          const isMine = rank === thrower
          const shown =
            isMine && error instanceof Error && 'suppressed' in error ? error.suppressed : error
          if (isMine) assert.instance(shown, RangeError, name)
          else {
            const first = error instanceof Error && 'suppressed' in error ? error.suppressed : error
            assert.is(ioError(first).code, 'MPI_ERR_NOT_SAME', name)
          }
        }
      }
    }
  })

  test(`abort ends every collective on all ranks, and names who called it${mode}`, async () => {
    await using cluster = await startCluster({ iods: 2, inProcess: true })
    for (const [name, call] of Object.entries(COLLECTIVES)) {
      // On a communicator of no more use a close only releases.
      if (name === 'close') continue
      const errors = await onEach(cluster, async (file, comm) => {
        if (isAtomic) await file.setAtomicity(true)
        if (comm.rank === 1) comm.abort('enough')
        await call(file)
      })
      for (const error of errors.map(ioError))
        assert.equal([error.context.reason, error.context.rank], ['ABORTED', 1], name)
    }
  })
}

test('a rank that fails between two atomic accesses holds nothing: the others go on', async () => {
  await using cluster = await startCluster({ iods: 2, inProcess: true })
  const errors = await onEach(cluster, async (file, comm) => {
    await file.setAtomicity(true)
    if (comm.rank === 0) {
      await file.writeAt(0, new Uint8Array(100_000))
      throw new RangeError('a mistake of the program')
    }
    for (let i = 0; i < 5; i++) await file.writeAt(0, new Uint8Array(100_000))
  })
  assert.instance(errors[0], RangeError)
  assert.equal(errors.slice(1), [undefined, undefined])
})

test.run()
