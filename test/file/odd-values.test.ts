// Values that have no text, given where something else is wanted: an error of the library says so, whichever the
// function and the argument, and never the engine's own about the text.
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { IoError } from '../../lib/base/errors.js'
import type { Communicator } from '../../lib/comm/communicator.js'
import { localRanks } from '../../lib/comm/local-ranks.js'
import { Datatype } from '../../lib/datatype/datatype.js'
import { FileSystem } from '../../lib/file/file-system.js'
import { File } from '../../lib/file/file.js'
import { Mode } from '../../lib/file/mode.js'
import { startCluster } from '../../servers/cluster.js'
import { onRanks } from '../support/ranks.js'

const test = suite('odd values')

const { INT32 } = Datatype

// What each is given has any type.
// biome-ignore lint/suspicious/noExplicitAny: that is what is tested
type Anything = any

const refuse = (): never => {
  throw new TypeError('no text')
}

const ODD: readonly (readonly [string, unknown])[] = [
  ['an object without prototype', Object.create(null)],
  ['a symbol', Symbol('odd')],
  ['an object whose text throws', { toString: refuse, toJSON: refuse }],
  ['a list of an object without prototype', [Object.create(null)]],
]

type Call = (value: Anything) => unknown

async function expectIoErrors(
  calls: Readonly<Record<string, Call>>,
  values: typeof ODD = ODD,
): Promise<void> {
  const wrong: string[] = []
  for (const [name, call] of Object.entries(calls)) {
    for (const [what, value] of values) {
      let outcome: unknown
      try {
        await call(value)
      } catch (error) {
        outcome = error
      }
      if (!(outcome instanceof IoError)) {
        const shown = outcome instanceof Error ? outcome.stack : 'no error'
        wrong.push(`${name} of ${what}: ${shown}`)
      }
    }
  }
  assert.is(wrong.join('\n'), '')
}

const buffer = new Int32Array(4)

const ofCommunicator = (comm: Communicator): Record<string, Call> => ({
  'send to': (value) => comm.send(1, value),
  'send tag': (value) => comm.send(1, 0, value),
  'recv from': (value) => comm.recv(value),
  'recv tag': (value) => comm.recv(0, value),
  'bcast root': (value) => comm.bcast(1, value),
  'gather root': (value) => comm.gather(1, value),
  'scatter root': (value) => comm.scatter([1], value),
  'alltoallv buffers': (value) => comm.alltoallv(value),
  'reduce operation': (value) => comm.reduce(1, value),
  'reduce root': (value) => comm.reduce(1, 'sum', value),
  'allreduce operation': (value) => comm.allreduce(1, value),
  'allreduce value': (value) => comm.allreduce(value, 'sum'),
  'scan operation': (value) => comm.scan(1, value),
  'exscan operation': (value) => comm.exscan(1, value),
  'split color': (value) => comm.split(value),
  'split key': (value) => comm.split(0, value),
})

test('of a communicator', async () => {
  const [comm] = localRanks(1)
  if (comm === undefined) throw new RangeError('one rank')
  await expectIoErrors(ofCommunicator(comm))
  await comm.free()
  await expectIoErrors({ localRanks: (value) => localRanks(value) })
})

test('of datatypes', async () => {
  await expectIoErrors({
    'contiguous count': (value) => Datatype.contiguous(value, INT32),
    'contiguous type': (value) => Datatype.contiguous(1, value),
    'vector count': (value) => Datatype.vector(value, 1, 1, INT32),
    'vector blocklength': (value) => Datatype.vector(1, value, 1, INT32),
    'vector stride': (value) => Datatype.vector(1, 1, value, INT32),
    'vector type': (value) => Datatype.vector(1, 1, 1, value),
    'hvector stride': (value) => Datatype.hvector(1, 1, value, INT32),
    indexed: (value) => Datatype.indexed(value),
    'indexed type': (type) => Datatype.indexed({ blocklengths: [1], displacements: [0], type }),
    'indexed lengths': (value) =>
      Datatype.indexed({ blocklengths: value, displacements: [0], type: INT32 }),
    'indexed length': (value) =>
      Datatype.indexed({ blocklengths: [value], displacements: [0], type: INT32 }),
    'indexed displacement': (value) =>
      Datatype.indexed({ blocklengths: [1], displacements: [value], type: INT32 }),
    hindexed: (value) => Datatype.hindexed(value),
    indexedBlock: (value) => Datatype.indexedBlock(value),
    'indexedBlock displacements': (value) =>
      Datatype.indexedBlock({ blocklength: 1, displacements: value, type: INT32 }),
    hindexedBlock: (value) => Datatype.hindexedBlock(value),
    struct: (value) => Datatype.struct(value),
    'struct member': (value) => Datatype.struct([value]),
    'struct displacement': (displacement) =>
      Datatype.struct([{ count: 1, displacement, type: INT32 }]),
    subarray: (value) => Datatype.subarray(value),
    'subarray sizes': (sizes) =>
      Datatype.subarray({ sizes, subsizes: [1], starts: [0], type: INT32 }),
    'subarray start': (value) =>
      Datatype.subarray({ sizes: [1], subsizes: [1], starts: [value], type: INT32 }),
    'subarray order': (order) =>
      Datatype.subarray({ sizes: [1], subsizes: [1], starts: [0], order, type: INT32 }),
    darray: (value) => Datatype.darray(value),
    'darray distribution': (value) =>
      Datatype.darray({
        size: 1,
        rank: 0,
        gsizes: [1],
        distribs: [value],
        dargs: [0],
        psizes: [1],
        type: INT32,
      }),
    'darray argument': (value) =>
      Datatype.darray({
        size: 1,
        rank: 0,
        gsizes: [1],
        distribs: ['block'],
        dargs: [value],
        psizes: [1],
        type: INT32,
      }),
    'resized type': (value) => Datatype.resized(value, 0, 1),
    'resized bound': (value) => Datatype.resized(INT32, value, 1),
    'resized extent': (value) => Datatype.resized(INT32, 0, value),
  })
})

test('of a file', async () => {
  await using cluster = await startCluster({ iods: 1, inProcess: true })
  await onRanks(1, cluster, async (comm) => {
    await using file = await File.open(comm, '/f', Mode.CREATE | Mode.RDWR)
    await expectIoErrors({
      'open communicator': (value) => File.open(value, '/g'),
      'open path': (value) => File.open(comm, value),
      'open mode': (value) => File.open(comm, '/g', value),
      'delete path': (value) => File.delete(value),
      setSize: (value) => file.setSize(value),
      preallocate: (value) => file.preallocate(value),
      setAtomicity: (value) => file.setAtomicity(value),
      'setView displacement': (displacement) => file.setView({ displacement }),
      'setView etype': (etype) => file.setView({ etype }),
      'setView filetype': (filetype) => file.setView({ filetype }),
      'setView datarep': (datarep) => file.setView({ datarep }),
      'readAt offset': (value) => file.readAt(value, buffer),
      'writeAt offset': (value) => file.writeAt(value, buffer),
      'writeAtAll offset': (value) => file.writeAtAll(value, buffer),
      'write buffer': (value) => file.write(value),
      'writeAll buffer': (value) => file.writeAll(value),
      'write data': (data) => file.write({ data }),
      'write count': (count) => file.write({ data: buffer, count }),
      'write offset': (offset) => file.write({ data: buffer, offset }),
      'write datatype': (datatype) => file.write({ data: buffer, datatype }),
      blocks: async (value) => {
        for await (const _ of file.blocks(value)) continue
      },
      'blocks count': async (count) => {
        for await (const _ of file.blocks({ count })) continue
      },
      'seek offset': (value) => file.seek(value),
      'seek whence': (value) => file.seek(0, value),
      'seekShared offset': (value) => file.seekShared(value),
      'seekShared whence': (value) => file.seekShared(0, value),
      getByteOffset: (value) => file.getByteOffset(value),
      getTypeExtent: (value) => file.getTypeExtent(value),
    })
    // A value of a hint that is not legal is left out, and no error.
    for (const [, value] of ODD) await file.setInfo({ cb_buffer_size: value as Anything })
  })
})

test('of a file system', async () => {
  await using cluster = await startCluster({ iods: 1, inProcess: true })
  const fs = await FileSystem.connect(cluster.url)
  await fs.writeFile('/f', 'text')
  const handle = await fs.open('/f', 'r+')
  await expectIoErrors({
    connect: (value) => FileSystem.connect(value),
    'open path': (value) => fs.open(value),
    'open flags': (value) => fs.open('/f', value),
    'open mode': (mode) => fs.open('/f', 'r', { mode }),
    'open stripSize': (stripSize) => fs.open('/f', 'r', { stripSize }),
    'open iodCount': (iodCount) => fs.open('/f', 'r', { iodCount }),
    'open direct': (direct) => fs.open('/f', 'r', { direct }),
    mkdir: (value) => fs.mkdir(value),
    readdir: (value) => fs.readdir(value),
    'readdir limit': (limit) => fs.readdir('/', { limit }),
    'readdir after': (after) => fs.readdir('/', { after }),
    stat: (value) => fs.stat(value),
    'rename from': (value) => fs.rename(value, '/g'),
    'rename to': (value) => fs.rename('/f', value),
    unlink: (value) => fs.unlink(value),
    rmdir: (value) => fs.rmdir(value),
    truncate: (value) => fs.truncate(value),
    'truncate size': (value) => fs.truncate('/f', value),
    'chmod mode': (value) => fs.chmod('/f', value),
    'utimes time': (value) => fs.utimes('/f', value, 0),
    readFile: (value) => fs.readFile(value),
    'writeFile path': (value) => fs.writeFile(value, ''),
    'writeFile data': (value) => fs.writeFile('/f', value),
    'read buffer': (value) => handle.read(value, 0, 1, 0),
    'read offset': (value) => handle.read(new Uint8Array(4), value, 1, 0),
    'read length': (value) => handle.read(new Uint8Array(4), 0, value, 0),
    'read position': (value) => handle.read(new Uint8Array(4), 0, 1, value),
    'write buffer': (value) => handle.write(value, 0, 1, 0),
    'write position': (value) => handle.write(new Uint8Array(4), 0, 1, value),
    'handle truncate': (value) => handle.truncate(value),
    'stream start': (start) => handle.createReadStream({ start }),
  })
  // The first is an object without options, which is none to refuse.
  await expectIoErrors(
    {
      'connect options': (value) => FileSystem.connect(cluster.url, value),
      'open options': (value) => fs.open('/f', 'r', value),
      'mkdir options': (value) => fs.mkdir('/d', value),
      'writeFile options': (value) => fs.writeFile('/f', '', value),
      createReadStream: (value) => handle.createReadStream(value),
      createWriteStream: (value) => handle.createWriteStream(value),
    },
    ODD.slice(1),
  )
  assert.is(new TextDecoder().decode(await fs.readFile('/f')), 'text')
  await handle.close()
  await fs.close()
})

test.run()
