// A network that counts the frames which a process sends, whoever gets them.
import type { Connection, Network, Runtime } from '../../lib/base/runtime.js'

/** How many frames were sent so far. */
export interface FrameCount {
  sent: number
}

/** The same runtime, whose network counts. A thread that keeps a session has a network of its own. */
export function countedRuntime(runtime: Runtime): {
  readonly runtime: Runtime
  readonly frames: FrameCount
} {
  const frames: FrameCount = { sent: 0 }
  const counted = (connection: Connection): Connection => {
    const send = connection.send.bind(connection)
    connection.send = (header, body) => {
      frames.sent++
      send(header, body)
    }
    return connection
  }
  const network: Network = {
    connect: async (address, options) => counted(await runtime.network.connect(address, options)),
    listen: async (address, accept) =>
      await runtime.network.listen(address, (connection) => accept(counted(connection))),
  }
  return { runtime: { ...runtime, network }, frames }
}
