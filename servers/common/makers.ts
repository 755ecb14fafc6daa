// Who has made something that is named after its maker, and whether he may still want it: one that was killed could
// not take it away. Only who has died on this very host is known to be dead.

import { createHash } from 'node:crypto'
import { readlinkSync } from 'node:fs'
import { nodeHostId } from '../../lib/base/runtime-node.js'

/** Where numbers of processes mean the same as here, in 8 hexadecimal digits: boot and namespace of process ids, in short. */
export function placeOfProcesses(): string {
  let namespace = ''
  try {
    namespace = readlinkSync('/proc/self/ns/pid')
  } catch {
    // Not Linux: the id of the host is that of nobody else then.
  }
  return createHash('sha256').update(`${nodeHostId()}/${namespace}`).digest('hex').slice(0, 8)
}

/** Whether the process that had a number at a place is dead. What one may not signal is alive, and what is hidden from /proc may be. */
export function isMakerDead(place: string | undefined, pid: number): boolean {
  if (place !== placeOfProcesses()) return false
  try {
    process.kill(pid, 0)
    return false
  } catch (error) {
    return error instanceof Error && 'code' in error && error.code === 'ESRCH'
  }
}
