// A client of raw sockets to several hosts at once, as a process: the least that a Node program can do who stripes a file by
// himself. Each call gives every far end its part in one request; no strips, no protocol, no checks, no recovery.
import { monotonicMs } from './tasks/rank.js'
import { type SocketPlace, SocketTarget } from './targets.js'

/** What a process is told when it starts. */
export interface StriperPlan {
  readonly rank: number
  /** The far ends. */
  readonly at: readonly SocketPlace[]
}

/** What it is ordered: `check` compares what it has written and read again. */
export interface StriperOrder {
  readonly kind: 'check' | 'write' | 'read'
  /** Moment of the host's monotonic clock at which all begin. */
  readonly startMs: number
  readonly calls: number
  /** Bytes of one call for each far end. */
  readonly bytes: number
}

/** What it reports. */
export interface StriperReport {
  readonly startMs: number
  readonly stopMs: number
  readonly failure?: string
}

await attend(JSON.parse(process.argv[2] ?? '{}') as StriperPlan)

async function attend({ rank, at }: StriperPlan): Promise<void> {
  const targets = at.map((place) => new SocketTarget(place))
  await Promise.all(targets.map(async (target) => await target.open()))
  let memory = new Uint8Array(0)
  process.once('disconnect', () => process.exit())
  process.on('message', (order: StriperOrder) => {
    const wanted = order.bytes * targets.length
    if (memory.length !== wanted) memory = new Uint8Array(wanted).fill(rank + 1)
    void carryOut(order).then(
      (report) => process.send?.(report),
      (error: unknown) => process.send?.({ failure: String(error) }),
    )
  })
  process.send?.('ready')

  async function carryOut({ kind, startMs, calls, bytes }: StriperOrder): Promise<StriperReport> {
    await new Promise((resolve) => setTimeout(resolve, startMs - monotonicMs()))
    const began = monotonicMs()
    if (kind !== 'read') await move('write', calls, bytes, memory)
    if (kind === 'read') await move('read', calls, bytes, memory)
    if (kind === 'check') await check(calls, bytes)
    return { startMs: began, stopMs: monotonicMs() }
  }

  async function check(calls: number, bytes: number): Promise<void> {
    const read = new Uint8Array(memory.length)
    await move('read', calls, bytes, read)
    if (Buffer.compare(read, memory) !== 0) throw new RangeError(`raw striper ${rank}: wrong data`)
  }

  async function move(
    kind: 'write' | 'read',
    calls: number,
    bytes: number,
    within: Uint8Array,
  ): Promise<void> {
    for (let call = 0; call < calls; call++) {
      const offset = (rank * calls + call) * bytes
      const part = (index: number): Uint8Array =>
        within.subarray(index * bytes, (index + 1) * bytes)
      await Promise.all(targets.map((target, index) => target[kind](offset, part(index))))
    }
  }
}
