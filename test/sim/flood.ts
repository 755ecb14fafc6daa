// A client that asks an iod for much and does not take the answers: it may cost the iod a bounded number of bytes.
import { randomId } from '../../lib/base/runtime.js'
import { Client } from '../../lib/driver/client.js'
import { closeFile, openFile, unlink } from '../../lib/driver/namespace.js'
import { StripedFile } from '../../lib/driver/striped.js'
import { idBytes } from '../../lib/protocol/codec.js'
import { encodeRequest } from '../../lib/protocol/frame.js'
import { COMMON, MAGIC } from '../../lib/protocol/hello.js'
import { DATA } from '../../lib/protocol/iod.js'
import { LIMITS } from '../../lib/protocol/limits.js'
import { Rpc } from '../../lib/transport/rpc.js'
import type { Stage } from './stage.js'
import { portOf } from './world.js'

const HOST = 'flood'

const ANSWER_BYTES = 2 ** 20

/** Requests: twice as many bytes as a connection may have in flight. */
const REQUESTS = 40

/** What an iod may hold for one connection: what the wire allows, and the answer with which that is exceeded. */
const HELD_MAX = LIMITS.inFlightBytes + LIMITS.controlBytes + 2 * ANSWER_BYTES

/** How long the answers do not get through. */
const HELD_MS = 4000

/** Floods the iod of a new file. */
export async function flood(stage: Stage): Promise<void> {
  const process = stage.world.process(HOST)
  const { runtime } = process
  const { timing } = stage.world
  const client = new Client({ runtime, timing, url: 'rankio://manager:7300' })
  stage.trace.note(HOST, 'asks for much')
  try {
    const opened = await openFile(client, '/flood', {
      read: true,
      write: true,
      create: true,
      exclusive: false,
      truncate: false,
      mode: 0o600,
      stripSize: 2 ** 22,
      iodCount: 1,
      advisory: false,
    })
    const driver = new StripedFile(client, opened)
    await driver.resize(ANSWER_BYTES)
    const { firstIod } = opened.layout
    const host = `iod-${firstIod}`
    const address = { kind: 'tcp', host, port: portOf(firstIod) } as const
    const connection = await runtime.network.connect(address, { timeoutMs: timing.connectMs })
    const rpc = new Rpc(connection, runtime.clock, timing, host)
    await rpc.control(1, COMMON.hello, {
      magic: MAGIC,
      version: 1,
      features: 0,
      role: 'client',
      fsid: client.manager.hello?.fsid ?? '',
      clientId: randomId(runtime.random),
      connGen: 1,
      sessionId: client.sessionId,
      authentication: 'none',
    })
    stage.network.wall(host, HOST, HELD_MS)
    for (let request = 0; request < REQUESTS; request++) {
      connection.send(
        encodeRequest({
          op: DATA.read,
          flags: 0,
          requestId: request + 100,
          handle: opened.handle,
          capability: idBytes(opened.capability),
          offset: 0,
          length: ANSWER_BYTES,
          pieceCount: 0,
          part: 0,
          stripLog2: 22,
          payloadCrc: 0,
        }),
      )
    }
    await stage.sleep(HELD_MS / 2)
    if (stage.world.isUp(firstIod))
      stage.checkQueues(host, stage.world.processOf(firstIod), HELD_MAX)
    connection.terminate()
    await closeFile(client, driver.capability, driver.traces())
    await unlink(client, '/flood')
  } catch (error) {
    // Whatever else goes wrong in this run may hit it as well: its session ends with it.
    stage.trace.note(HOST, `gives up: ${String(error)}`)
  }
  process.kill()
}
