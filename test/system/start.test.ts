import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { IoError } from '../../lib/base/errors.js'
import type { Runtime } from '../../lib/base/runtime.js'
import { nodeRuntime } from '../../lib/transport/runtime.js'
import { reservePorts } from '../../servers/cluster/ports.js'
import { silentLog } from '../../servers/common/log.js'
import { startIod, startManager } from '../../servers/start.js'
import { rejects } from '../support/assertions.js'

const test = suite('start')

test('a server whose end fails gives its directory free all the same', async () => {
  await using place = await Place.make()
  const runtime = stubborn(nodeRuntime())
  const manager = await startManager({ ...place.manager, runtime })
  const iod = await startIod({ ...place.iod, runtime })
  for (const server of [iod, manager])
    assert.is((await rejects(server.close())).message, 'it does not stop listening')
  const again = await startManager({ ...place.manager, port: place.port + 2 })
  const iodAgain = await startIod({ ...place.iod, manager: place.url(2) })
  assert.is(iodAgain.incarnation, 2)
  await iodAgain.close()
  await again.close()
})

class Place implements AsyncDisposable {
  readonly directory: string
  readonly port: number
  readonly #release: () => void

  private constructor(directory: string, port: number, release: () => void) {
    this.directory = directory
    this.port = port
    this.#release = release
  }

  static async make(): Promise<Place> {
    const directory = await mkdtemp(join(tmpdir(), 'start-'))
    const ports = await reservePorts('127.0.0.1', 3)
    await writeFile(join(directory, 'iodtab'), `127.0.0.1:${ports.first + 1}\n`)
    return new Place(directory, ports.first, ports.release)
  }

  get manager(): Parameters<typeof startManager>[0] {
    const { directory, port } = this
    const iodtab = join(directory, 'iodtab')
    return { directory: join(directory, 'manager'), iodtab, port, log: silentLog }
  }

  get iod(): Parameters<typeof startIod>[0] {
    const { directory, port } = this
    const own = { directory: join(directory, 'iod-0'), port: port + 1, index: 0 }
    return { ...own, manager: this.url(0), log: silentLog }
  }

  url(offset: number): string {
    return `rankio://127.0.0.1:${this.port + offset}`
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#release()
    await rm(this.directory, { recursive: true, force: true })
  }
}

// Its listeners stop, and then say that they could not.
function stubborn(runtime: Runtime): Runtime {
  const network: Runtime['network'] = {
    connect: (address, options) => runtime.network.connect(address, options),
    listen: async (address, accept) => {
      const listener = await runtime.network.listen(address, accept)
      const close = async (): Promise<void> => {
        await listener.close()
        throw new IoError('MPI_ERR_OTHER', 'it does not stop listening')
      }
      return { address: listener.address, close }
    },
  }
  return { ...runtime, network }
}

test.run()
