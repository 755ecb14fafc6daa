// What a rank needs of memory.
import { type Memory, memoryOf } from '../usage.js'

/** Memory of this process. */
export async function memory(): Promise<Memory> {
  return memoryOf(process.pid)
}
