// The program of one rank in `processes.test.ts`. Says on standard output what happens, a line each.
import { existsSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { scaled, TIMING } from '../../lib/base/timing.js'
import { IoError } from '../../lib/base/errors.js'
import type { Communicator } from '../../lib/comm/communicator.js'
import { initialize } from '../../lib/comm/initialize.js'

/** Silence of 750 ms is long, and a rank may yet be silent for seconds. */
const timing = scaled(TIMING, 0.05)

const PARTS: Readonly<Record<string, (comm: Communicator) => Promise<void>>> = {
  work: async (comm) => {
    const sum = await comm.allreduce(comm.rank, 'sum')
    const buffers = Array.from({ length: comm.size }, () =>
      new Uint8Array(1_000_000).fill(comm.rank),
    )
    const received = await comm.alltoallv(buffers)
    say(`sum ${sum} of ${received.map((bytes) => bytes[999_999]).join('')}`)
    await comm.free()
  },
  wait: async (comm) => {
    await comm.barrier()
    const pending = comm.rank % 2 === 0 ? comm.recv() : comm.barrier()
    say('waiting')
    await pending.catch(sayError)
    await comm.bcast(1).catch(sayError)
    await comm.free()
  },
  compute: async (comm) => {
    await comm.barrier()
    const end = performance.now() + 3000
    if (comm.rank === 1) while (performance.now() < end);
    say(`sum ${await comm.allreduce(1, 'sum')}`)
    if (comm.rank === 1) await comm.send('first', 2)
    if (comm.rank === 2) say(await comm.recv(1))
    await comm.free()
  },
  leave: async (comm) => {
    const name = join(process.env['XDG_RUNTIME_DIR'] ?? '', 'left')
    await comm.barrier()
    if (comm.rank === 0) {
      // The other one is at the barrier, and has said so: this rank leaves as soon as it comes.
      await comm.recv(1)
      await comm.barrier()
      const end = performance.now() + 10_000
      while (!existsSync(name) && performance.now() < end);
      say(existsSync(name) ? 'the other has left' : 'the other still waits')
    } else {
      const left = comm.barrier()
      await comm.send('here', 0)
      await left
      writeFileSync(name, '')
    }
    await comm.free()
  },
  throw: async (comm) => {
    await comm.barrier()
    if (comm.rank === 1) throw new Error('a bug')
    await comm.barrier().catch(sayError)
    await comm.free()
  },
  exit: async (comm) => {
    await comm.barrier()
    if (comm.rank === 1) process.exit(0)
    await comm.barrier().catch(sayError)
    await comm.free()
  },
}

const part = PARTS[process.argv[2] ?? '']
if (part === undefined) throw new Error('no such part')
await part(await initialize({ timing }))
say('end')

function say(line: string): void {
  process.stdout.write(`${line}\n`)
}

function sayError(error: unknown): void {
  if (!(error instanceof IoError)) throw error
  say(`${error.context.reason ?? error.code} ${error.context.rank}`)
}
