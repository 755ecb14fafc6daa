// What sync and close tell when a machine has lost what was not synced. The loss is played by a disk that says
// it was mounted anew, as after a crash of its host.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { nodeDisk } from '../../lib/base/runtime-node.js'
import { FileSystem } from '../../lib/file/file-system.js'
import { File } from '../../lib/file/file.js'
import { Mode } from '../../lib/file/mode.js'
import { nodeRuntime } from '../../lib/transport/runtime.js'
import { reservePorts } from '../../servers/cluster/ports.js'
import { type RunningServer, startIod, startManager } from '../../servers/start.js'
import { rejects } from '../support/assertions.js'
import { onRanks } from '../support/ranks.js'

const test = suite('File durability')

const CREATE = Mode.CREATE | Mode.RDWR

test('sync tells the ranks whose writes may be lost, the others of them; writing again mends it', async () => {
  await using host = await startHost()
  await onRanks(3, host, async (comm) => {
    // Each rank writes its own bytes: an aggregator would be told of the loss for all of them.
    const info = { striping_unit: 4096, romio_cb_write: 'disable' }
    await using file = await File.open(comm, '/f', CREATE, info)
    const mine = new Uint8Array(4096).fill(1)
    await file.writeAtAll(
      comm.rank === 2 ? 0 : comm.rank * 4096,
      comm.rank === 2 ? new Uint8Array(0) : mine,
    )
    if (comm.rank === 0) await host.crash()
    const error = await rejects(file.sync(), 'MPI_ERR_IO')
    if (comm.rank === 2) assert.equal([error.context.reason, error.context.rank], ['REMOTE', 0])
    else {
      const { reason, iod, offset, length } = error.context
      assert.equal([reason, iod, offset, length], ['DATA_LOST', 0, comm.rank * 4096, 4096])
    }
    // What was told once is not told again: the program has to write it again.
    await file.sync()
    await file.writeAtAll(comm.rank * 4096, mine)
    await file.sync()
  })
})

test('a loss between two writes is told, for both', async () => {
  await using host = await startHost()
  await onRanks(1, host, async (comm) => {
    await using file = await File.open(comm, '/f', CREATE)
    await file.writeAt(100, new Uint8Array(50))
    await host.crash()
    await file.writeAt(10, new Uint8Array(50))
    const { offset, length, reason } = (await rejects(file.sync(), 'MPI_ERR_IO')).context
    assert.equal([reason, offset, length], ['DATA_LOST', 10, 140])
    await file.sync()
  })
})

test('close tells it as well, and has closed all the same', async () => {
  await using host = await startHost()
  await onRanks(2, host, async (comm) => {
    const file = await File.open(comm, '/f', CREATE)
    if (comm.rank === 1) await file.writeAt(0, new Uint8Array(10))
    await comm.barrier()
    if (comm.rank === 0) await host.crash()
    const closing = file.close()
    const error = await rejects(closing, 'MPI_ERR_IO')
    assert.is(error.context.reason, comm.rank === 1 ? 'DATA_LOST' : 'REMOTE')
    await rejects(file.getSize(), 'MPI_ERR_FILE')
    await file.close()
  })
  await using fs = await FileSystem.connect(host.url)
  assert.is((await fs.status()).opens, 0)
})

test('a close on a broken communicator makes the bytes of its rank durable all the same, or says that they may be lost', async () => {
  await using host = await startHost()
  await onRanks(2, host, async (comm) => {
    const file = await File.open(comm, '/f', CREATE)
    await file.writeAt(comm.rank * 10, new Uint8Array(10))
    const other = comm.rank === 0 ? file.readAtAll(0, new Uint8Array(0)) : file.close()
    await rejects(other, 'MPI_ERR_NOT_SAME')
    if (comm.rank === 0) {
      await host.crash()
      const { reason, offset, length } = (await rejects(file.close(), 'MPI_ERR_IO')).context
      assert.equal([reason, offset, length], ['DATA_LOST', 0, 10])
    }
    await file.close()
  })
})

test('what was synced before is not lost, nor what nobody wrote', async () => {
  await using host = await startHost()
  await onRanks(2, host, async (comm) => {
    const file = await File.open(comm, '/f', CREATE)
    await file.writeAtAll(comm.rank * 10, new Uint8Array(10))
    await file.sync()
    if (comm.rank === 0) await host.crash()
    await file.close()
  })
})

test('a handle of one process tells it at sync and at close', async () => {
  await using host = await startHost()
  await using fs = await FileSystem.connect(host.url)
  const handle = await fs.open('/f', 'w')
  await handle.write(new Uint8Array(10), 0, 10, 0)
  await host.crash()
  const synced = await rejects(handle.sync(), 'MPI_ERR_IO')
  assert.is(synced.context.reason, 'DATA_LOST')
  await handle.write(new Uint8Array(10), 0, 10, 0)
  await host.crash()
  const closed = await rejects(handle.close(), 'MPI_ERR_IO')
  assert.is(closed.context.reason, 'DATA_LOST')
  assert.is((await fs.status()).opens, 0)
})

test.run()

/** A manager and one iod on a host that can crash. */
interface Host extends AsyncDisposable {
  readonly url: string
  /** The iod starts anew on a disk that was mounted anew. */
  crash(): Promise<void>
}

async function startHost(): Promise<Host> {
  const directory = mkdtempSync(join(tmpdir(), 'rankio-host-'))
  const ports = await reservePorts('127.0.0.1', 2)
  const iodtab = join(directory, 'iodtab')
  writeFileSync(iodtab, `127.0.0.1:${ports.first + 1}\n`)
  const url = `rankio://127.0.0.1:${ports.first}`
  let mounts = 0
  const disk = { ...nodeDisk, verifier: () => new Uint8Array(8).fill(mounts) }
  const runtime = { ...nodeRuntime(), disk }
  const log = { info: () => {}, warn: () => {}, error: () => {}, debug: () => {} }
  const manager = await startManager({
    directory: join(directory, 'manager'),
    iodtab,
    port: ports.first,
    log,
  })
  const begin = (): Promise<RunningServer> =>
    startIod({
      directory: join(directory, 'iod'),
      index: 0,
      manager: url,
      port: ports.first + 1,
      runtime,
      log,
    })
  let iod = await begin()
  return {
    url,
    crash: async () => {
      await iod.close()
      mounts++
      iod = await begin()
    },
    [Symbol.asyncDispose]: async () => {
      await iod.close()
      await manager.close()
      ports.release()
      rmSync(directory, { recursive: true, force: true })
    },
  }
}
