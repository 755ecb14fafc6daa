// A rank that is a process of its own: the conformance cases for so many of them, then how many they were.
import { initialize } from '../../lib/comm/initialize.js'
import { File } from '../../lib/file/file.js'
import { Place } from '../file/conformance/case.js'
import { sampleFor } from '../file/conformance/families.js'

const world = await initialize()
const sample = sampleFor(world.size)
for (const [index, [family, { name, strips, run }]] of sample.entries()) {
  const at = new Place({
    comm: world,
    mark: String(index),
    info: { striping_unit: strips[0] ?? '' },
    remove: async (path) => await File.delete(path),
  })
  try {
    await run(at)
  } catch (cause) {
    world.abort(cause)
    throw new Error(`${family}, ${name}, rank ${world.rank}: ${String(cause)}`, { cause })
  }
}
if (world.rank === 0) process.stdout.write(`${sample.length} cases\n`)
await world.free()
