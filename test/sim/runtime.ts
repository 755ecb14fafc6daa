// All of a simulated world together: one virtual clock and one network for all hosts, and for each
// host a disk and randomness of its own. The cores run in it as they are.
import type { Random, Runtime } from '../../lib/base/runtime.js'
import { LoopbackFabric, type LoopbackFaults } from '../../lib/transport/loopback.js'
import { VirtualClock } from './clock.js'
import { type DiskFaults, SimDisk } from './disk.js'
import { seededRandom } from './random.js'

/** One simulated host. */
export interface SimRuntime extends Runtime {
  readonly clock: VirtualClock
  readonly disk: SimDisk
  /** The network of all hosts, to inject faults. */
  readonly fabric: LoopbackFabric
  /** Another host with the same clock and network; the same one for the same name. */
  host(name: string): SimRuntime
}

/** What may be set for a simulated world. */
export interface SimOptions {
  readonly faults?: LoopbackFaults
  readonly diskFaults?: DiskFaults
  /** Bytes of each host's disk. */
  readonly capacityBytes?: number
}

/** A simulated world, seen from its host `local`. The same seed gives the same trace. */
export function simRuntime(seed: number, options: SimOptions = {}): SimRuntime {
  const clock = new VirtualClock()
  const fabric = new LoopbackFabric(clock, options.faults ?? {})
  const random = seededRandom(seed)
  const hosts = new Map<string, SimRuntime>()
  const host = (name: string): SimRuntime => {
    const known = hosts.get(name)
    if (known !== undefined) return known
    const disk = new SimDisk({
      clock,
      faults: options.diskFaults ?? {},
      device: hosts.size + 1,
      ...(options.capacityBytes === undefined ? {} : { capacityBytes: options.capacityBytes }),
    })
    const made = {
      clock,
      fabric,
      host,
      disk,
      random: forked(random),
      network: fabric.host(name),
      hostId: name,
    }
    hosts.set(name, made)
    return made
  }
  return host('local')
}

function forked(random: Random): Random {
  return seededRandom(Math.floor(random.fraction() * 2 ** 32))
}
