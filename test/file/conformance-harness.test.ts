// The harness of MPICH's C++ and Fortran tests, written afresh; names are theirs. Blocks of n integers, dealt to the
// ranks in turn: the whole file is the integers 0, 1, 2, …. On all ranks, on all in reverse order, and on all but
// one that is idle. Each is written by one way, and read by its counterpart.
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import type { Communicator } from '../../lib/comm/communicator.js'
import { Datatype } from '../../lib/datatype/datatype.js'
import { File } from '../../lib/file/file.js'
import { Mode } from '../../lib/file/mode.js'
import type { Status } from '../../lib/file/status.js'
import { onCluster } from '../support/ranks.js'

const test = suite('the C++ and Fortran tests of I/O')

const { INT32 } = Datatype

const RANKS = 4

/** Integers of a block, and blocks of each rank. */
const SIZES = [
  [1, 20],
  [400, 4],
  [4096, 2],
] as const

interface Case {
  readonly file: File
  readonly comm: Communicator
  readonly count: number
  readonly blocks: number
  /** Where block `block` of this rank begins, in bytes. */
  at(block: number): number
}

type Access = (block: number, values: Int32Array) => Promise<Status>

/** A way to move all blocks of a rank: `access` does one of them. */
interface Way {
  readonly write: (scene: Case) => Promise<Access>
  readonly read: (scene: Case) => Promise<Access>
  /** How many blocks are under way together. */
  readonly pending: number
  /** Whether the ranks have their turns one after the other. */
  readonly isRing?: boolean
}

const at = (scene: Case, way: 'readAt' | 'writeAt' | 'readAtAll' | 'writeAtAll'): Promise<Access> =>
  Promise.resolve((block, values) => scene.file[way](scene.at(block), values))

const next = (scene: Case, way: 'read' | 'write'): Promise<Access> =>
  Promise.resolve((block, values) => {
    void scene.file.seek(scene.at(block))
    return scene.file[way](values)
  })

async function inView(scene: Case, way: 'readAll' | 'writeAll'): Promise<Access> {
  const { comm, count, blocks, file } = scene
  const filetype = Datatype.vector(blocks, count, count * comm.size, INT32)
  await file.setView({ displacement: scene.at(0), etype: INT32, filetype })
  return (_, values) => file[way](values)
}

const shared = (
  { file }: Case,
  way: 'readShared' | 'writeShared' | 'readOrdered' | 'writeOrdered',
): Promise<Access> => Promise.resolve((_, values) => file[way](values))

const WAYS: Readonly<Record<string, Way>> = {
  write: { write: (s) => next(s, 'write'), read: (s) => next(s, 'read'), pending: 1 },
  iwrite: { write: (s) => next(s, 'write'), read: (s) => next(s, 'read'), pending: 2 },
  writeat: { write: (s) => at(s, 'writeAt'), read: (s) => at(s, 'readAt'), pending: 1 },
  iwriteat: { write: (s) => at(s, 'writeAt'), read: (s) => at(s, 'readAt'), pending: 2 },
  writeatall: { write: (s) => at(s, 'writeAtAll'), read: (s) => at(s, 'readAtAll'), pending: 1 },
  'iwriteatall, writeatallbe': {
    write: (s) => at(s, 'writeAtAll'),
    read: (s) => at(s, 'readAtAll'),
    pending: 2,
  },
  writeall: { write: (s) => inView(s, 'writeAll'), read: (s) => inView(s, 'readAll'), pending: 1 },
  writeallbe: {
    write: (s) => inView(s, 'writeAll'),
    read: (s) => inView(s, 'readAll'),
    pending: 2,
  },
  'writesh, iwritesh': {
    write: (s) => shared(s, 'writeShared'),
    read: (s) => shared(s, 'readShared'),
    pending: 1,
    isRing: true,
  },
  writeord: {
    write: (s) => shared(s, 'writeOrdered'),
    read: (s) => shared(s, 'readOrdered'),
    pending: 1,
  },
  writeordbe: {
    write: (s) => shared(s, 'writeOrdered'),
    read: (s) => shared(s, 'readOrdered'),
    pending: 2,
  },
}

for (const [name, way] of Object.entries(WAYS)) {
  test(`${name}: the file is the integers in order, on every communicator and with every size`, async () => {
    await onCluster(RANKS, async (world) => {
      for (const [index, [count, blocks]] of SIZES.entries()) {
        for (const [kind, comm] of Object.entries(await commsOf(world))) {
          if (comm === undefined) continue
          const path = `/${kind}.${index}`
          await inFile(comm, path, { count, blocks }, async (scene) => {
            await moveAll(scene, way, await way.write(scene), (values, first) => {
              for (const i of values.keys()) values[i] = first + i
              return () => {}
            })
          })
          await inFile(comm, path, { count, blocks }, async (scene) => {
            await moveAll(scene, way, await way.read(scene), (values, first) => {
              for (const i of values.keys()) values[i] = -(first + i + 1)
              return () => assert.ok(values.every((value, i) => value === first + i))
            })
            await scene.file.setView()
            const whole = new Int32Array(count * blocks * comm.size)
            await scene.file.readAtAll(0, whole)
            assert.ok(whole.every((value, i) => value === i))
          })
          await comm.free()
        }
      }
    })
  })
}

// What is free at its end.
async function commsOf(world: Communicator): Promise<Record<string, Communicator | undefined>> {
  return {
    world: await world.dup(),
    reverse: await world.split(0, -world.rank),
    fewer: await world.split(world.rank === 0 ? undefined : 1),
  }
}

async function inFile(
  comm: Communicator,
  path: string,
  { count, blocks }: Pick<Case, 'count' | 'blocks'>,
  body: (scene: Case) => Promise<void>,
): Promise<void> {
  await using file = await File.open(comm, path, Mode.CREATE | Mode.RDWR)
  const { rank, size } = comm
  await body({ file, comm, count, blocks, at: (block) => 4 * count * (rank + block * size) })
}

// `prepare` makes the contents of a block, which begins with an integer, and returns what is looked at afterwards.
async function moveAll(
  { comm, count, blocks }: Case,
  { pending, isRing = false }: Way,
  access: Access,
  prepare: (values: Int32Array, first: number) => () => void,
): Promise<void> {
  const { rank, size } = comm
  for (let block = 0; block < blocks; block += pending) {
    if (isRing) await turn(comm, block)
    const group = Array.from({ length: pending }, (_, i) => {
      const values = new Int32Array(count)
      const looked = prepare(values, count * (rank + (block + i) * size))
      return { looked, status: access(block + i, values) }
    })
    for (const { looked, status } of group) {
      assert.is((await status).count(INT32), count)
      looked()
    }
    if (isRing) await comm.send('token', (rank + 1) % size)
  }
  // The last one to send is heard by the first.
  if (isRing && rank === 0) await comm.recv(size - 1)
}

async function turn(comm: Communicator, block: number): Promise<void> {
  if (comm.rank === 0 && block === 0) return
  await comm.recv((comm.rank + comm.size - 1) % comm.size)
}

test.run()
