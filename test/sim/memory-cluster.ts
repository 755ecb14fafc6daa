// A cluster in memory on the real clock: the manager and iods as they are, with disks, metadata and connections that
// are memory. It writes nothing anywhere and opens no socket, so it starts and ends within milliseconds.
import { nodeClock, nodeRandom } from '../../lib/base/runtime-node.js'
import type { Runtime } from '../../lib/base/runtime.js'
import { TIMING } from '../../lib/base/timing.js'
import { LoopbackFabric } from '../../lib/transport/loopback.js'
import { silentLog } from '../../servers/common/log.js'
import { RunningIod } from '../../servers/iod/startup.js'
import { Manager } from '../../servers/manager/manager.js'
import { MemoryDisk } from '../../servers/manager/store/memory.js'
import { SimDisk } from './disk.js'
import { DIRECTORY, entryOf, MANAGER_ADDRESS, portOf } from './world.js'

/** A cluster in memory, and what ranks of another host of its network are made of. */
export interface MemoryCluster extends AsyncDisposable {
  /** URL of the manager. */
  readonly url: string
  readonly runtime: Runtime
  /** The network of all of them, to look at frames. */
  readonly fabric: LoopbackFabric
}

/** Starts a manager and its iods in memory, each on a host of its own; resolves when all of them listen. */
export async function startMemoryCluster(iods: number): Promise<MemoryCluster> {
  const fabric = new LoopbackFabric(nodeClock)
  const hosted = (name: string, device: number): Runtime => ({
    clock: nodeClock,
    random: nodeRandom,
    disk: new SimDisk({ clock: nodeClock, device }),
    network: fabric.host(name),
    hostId: name,
  })
  const indices = Array.from({ length: iods }, (_, index) => index)
  const around = { timing: TIMING, log: silentLog }
  const manager = await Manager.start({
    ...around,
    runtime: hosted('manager', 1),
    store: new MemoryDisk().open(),
    iodtab: indices.map(entryOf),
    iodtabSource: 'iodtab',
    restored: false,
  })
  await manager.listen(MANAGER_ADDRESS)
  const running = await Promise.all(
    indices.map(async (index) => {
      const runtime = hosted(`iod-${index}`, 2 + index)
      runtime.disk.makeDirectory(DIRECTORY)
      const listen = { host: `iod-${index}`, port: portOf(index) }
      const config = { index, directory: DIRECTORY, manager: MANAGER_ADDRESS, listen }
      return await RunningIod.start(config, { ...around, runtime })
    }),
  )
  return {
    url: 'rankio://manager:7300',
    runtime: hosted('ranks', 2 + iods),
    fabric,
    [Symbol.asyncDispose]: async () => {
      for (const iod of running) await iod.close()
      await manager.close()
    },
  }
}
