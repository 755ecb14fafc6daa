// The ways in which MPICH's harness of parallel files moves its blocks: every access method, awaited or held.
import * as assert from 'uvu/assert'
import type { Communicator } from '../../lib/comm/communicator.js'
import { Datatype } from '../../lib/datatype/datatype.js'
import type { File } from '../../lib/file/file.js'
import type { Status } from '../../lib/file/status.js'
import { type Phase, place, type Way } from './harness.js'

const { INT32 } = Datatype

/** At offsets, and at the pointer of each rank. */
export const OWN_WAYS: Readonly<Record<string, Way>> = {
  'write, read': async (phase) => {
    const statuses: Status[] = []
    for (const [k, block] of phase.blocks.entries()) {
      await phase.file.seek(place(phase, k))
      statuses.push(await phase.file[phase.kind](block))
    }
    return statuses
  },
  'writeat, readat': async (phase) => {
    const access = phase.kind === 'read' ? 'readAt' : 'writeAt'
    const statuses: Status[] = []
    for (const [k, block] of phase.blocks.entries())
      statuses.push(await phase.file[access](place(phase, k), block))
    return statuses
  },
  'writeatall, readatall': async (phase) => {
    const access = phase.kind === 'read' ? 'readAtAll' : 'writeAtAll'
    const statuses: Status[] = []
    for (const [k, block] of phase.blocks.entries())
      statuses.push(await phase.file[access](place(phase, k), block))
    return statuses
  },
  'iwriteatall, ireadatall: all pending': async (phase) => {
    const access = phase.kind === 'read' ? 'readAtAll' : 'writeAtAll'
    return await Promise.all(
      phase.blocks.map((block, k) => phase.file[access](place(phase, k), block)),
    )
  },
  'iwriteat, ireadat: two pending': async (phase) => {
    const access = phase.kind === 'read' ? 'readAt' : 'writeAt'
    return await inPairs(phase, (block, k) => phase.file[access](place(phase, k), block))
  },
  'iwrite, iread: the pointer is taken at the call': async (phase) => {
    return await inPairs(phase, (block, k) => {
      const seeking = phase.file.seek(place(phase, k))
      const access = phase.file[phase.kind](block)
      return seeking.then(() => access)
    })
  },
  'writeall, readall: by a view': async (phase) => {
    const { file, comm, n, b } = phase
    const filetype = Datatype.vector(b, n, n * comm.size, INT32)
    await file.setView({ displacement: comm.rank * n * 4, etype: INT32, filetype })
    const access = phase.kind === 'read' ? 'readAll' : 'writeAll'
    const statuses: Status[] = []
    for (const block of phase.blocks) statuses.push(await file[access](block))
    return statuses
  },
}

/** At the shared pointer, with all collectives pending, and in atomic mode. */
export const SHARED_WAYS: Readonly<Record<string, Way>> = {
  'writesh, readsh: each rank in its turn': async (phase) => {
    const { file, comm, kind, blocks } = phase
    const { rank, size } = comm
    const statuses: Status[] = []
    for (const [k, block] of blocks.entries()) {
      if (rank > 0 || k > 0) await comm.recv((rank + size - 1) % size)
      statuses.push(await file[kind === 'read' ? 'readShared' : 'writeShared'](block))
      await comm.send('turn', (rank + 1) % size)
    }
    // The last turn is given to the first rank, which has had all of its own.
    if (rank === 0) await comm.recv(size - 1)
    return statuses
  },
  'writeord, readord': async ({ file, kind, blocks }) => {
    const access = kind === 'read' ? 'readOrdered' : 'writeOrdered'
    const statuses: Status[] = []
    for (const block of blocks) statuses.push(await file[access](block))
    return statuses
  },
  'writeordbe, readordbe: all pending': async ({ file, kind, blocks }) => {
    const access = kind === 'read' ? 'readOrdered' : 'writeOrdered'
    return await Promise.all(blocks.map((block) => file[access](block)))
  },
  'writeallbe, readallbe: all pending': async ({ file, comm, n, b, kind, blocks }) => {
    const filetype = Datatype.vector(b, n, n * comm.size, INT32)
    await file.setView({ displacement: comm.rank * n * 4, etype: INT32, filetype })
    const access = kind === 'read' ? 'readAll' : 'writeAll'
    return await Promise.all(blocks.map((block) => file[access](block)))
  },
  'writeatall, readatall, in atomic mode': async (phase) => {
    await phase.file.setAtomicity(true)
    const access = phase.kind === 'read' ? 'readAtAll' : 'writeAtAll'
    return await Promise.all(
      phase.blocks.slice(0, -1).map((block, k) => phase.file[access](place(phase, k), block)),
    ).then(async (statuses) => {
      const k = phase.blocks.length - 1
      const last = phase.blocks[k] ?? new Int32Array(phase.n)
      const alone = phase.kind === 'read' ? 'readAt' : 'writeAt'
      return [...statuses, await phase.file[alone](place(phase, k), last)]
    })
  },
}

async function inPairs(
  { blocks }: Phase,
  access: (block: Int32Array, k: number) => Promise<Status>,
): Promise<readonly Status[]> {
  const statuses: Status[] = []
  for (let k = 0; k < blocks.length; k += 2) {
    const pair = blocks.slice(k, k + 2).map((block, i) => access(block, k + i))
    statuses.push(...(await Promise.all(pair)))
  }
  return statuses
}

/** Moves `b` blocks of `n` integers of each rank in every way through an open file, and looks at what comes of it. */
export async function checkWays(
  file: File,
  comm: Communicator,
  n: number,
  b: number,
): Promise<void> {
  for (const [name, way] of Object.entries({ ...OWN_WAYS, ...SHARED_WAYS }))
    await checkWay(file, comm, way, n, b).catch((cause: unknown) => {
      throw new Error(name, { cause })
    })
}

/** Moves `b` blocks of `n` integers of each rank in one way through an open file, and looks at what comes of it. */
export async function checkWay(
  file: File,
  comm: Communicator,
  way: Way,
  n: number,
  b: number,
): Promise<void> {
  const { rank, size } = comm
  const all = new Int32Array(n * b * size)
  for (let i = 0; i < all.length; i++) all[i] = i
  const values = Array.from({ length: b }, (_, k) => {
    const start = rank * n + k * n * size
    return all.slice(start, start + n)
  })
  const move = async (kind: 'read' | 'write', blocks: readonly Int32Array[]): Promise<void> => {
    // All ranks have come here, and both pointers are at the start.
    await file.setView()
    const statuses = await way({ file, comm, n, b, kind, blocks })
    assert.equal(
      statuses.map((status) => status.count(INT32)),
      values.map(() => n),
    )
    await file.setAtomicity(false)
  }
  await file.setSize(0)
  await move('write', values)
  await file.setView()
  const whole = new Int32Array(all.length + 1)
  const { bytes } = await file.readAtAll(0, whole)
  assert.is(bytes, all.byteLength)
  assertSame(whole.subarray(0, -1), all)
  const blocks = values.map(() => new Int32Array(n).fill(-1))
  await move('read', blocks)
  for (const [k, block] of blocks.entries()) assertSame(block, values[k] ?? whole)
}

function assertSame(one: Int32Array, other: Int32Array): void {
  assert.is(Buffer.compare(bytesOf(one), bytesOf(other)), 0)
}

function bytesOf({ buffer, byteOffset, byteLength }: Int32Array): Uint8Array {
  return new Uint8Array(buffer, byteOffset, byteLength)
}
