// mpi4py's test_file.py and test_io.py, written afresh; names are theirs. Each runs over all element types, with
// a file for each rank alone and one for all.
import * as assert from 'uvu/assert'
import { Datatype } from '../../../lib/datatype/datatype.js'
import { Mode } from '../../../lib/file/mode.js'
import { AMODE, check, COUNT, onTypes } from './element-types.js'
import { type Case, casesInto, RANKS } from './case.js'

/** mpi4py's tests of I/O. */
export const MPI4PY_CASES: Case[] = []

const conforms = casesInto(MPI4PY_CASES)

const { BYTE, INT16, INT32, INT64, FLOAT32, FLOAT64 } = Datatype

onTypes(conforms, 'testReadWriteAt and testIReadIWriteAt', async (file, element, comm) => {
  const offset = COUNT * comm.rank
  await file.writeAt(offset, element.filled(COUNT, 42))
  await file.sync()
  const buffer = element.filled(COUNT + 1, 99)
  const held = file.readAt(offset, { data: buffer, count: COUNT })
  assert.is((await held).count(element.type), COUNT)
  check(element, buffer)
})

onTypes(conforms, 'testReadWrite and testIReadIWrite', async (file, element, comm) => {
  for (let rank = 0; rank < comm.size; rank++) {
    await file.seek(0)
    if (rank === comm.rank) await file.write(element.filled(COUNT, 42))
    await file.sync()
    for (let n = 0; n < COUNT; n++) {
      const buffer = element.filled(n + 1, 99)
      await file.seek(0)
      const status = await file.read({ data: buffer, count: n })
      assert.is(status.count(element.type), n)
      const expected = element.filled(n + 1, 42)
      expected.set(element.filled(1, 99) as never, n)
      assert.equal(buffer, expected)
    }
    await file.sync()
  }
})

onTypes(conforms, 'testReadWriteAtAll and its held forms', async (file, element, comm) => {
  const offset = COUNT * comm.rank
  const held = file.writeAtAll(offset, element.filled(COUNT, 42))
  await held
  await file.sync()
  const buffer = element.filled(COUNT + 1, 99)
  await file.readAtAll(offset, { data: buffer, count: COUNT })
  check(element, buffer)
})

onTypes(conforms, 'testReadWriteAll and its held forms', async (file, element, comm) => {
  await file.seek(COUNT * comm.rank)
  await file.writeAll(element.filled(COUNT, 42))
  await file.sync()
  await file.seek(COUNT * comm.rank)
  const buffer = element.filled(COUNT + 1, 99)
  const held = file.readAll({ data: buffer, count: COUNT })
  assert.is(file.getPosition(), COUNT * (comm.rank + 1))
  await held
  check(element, buffer)
})

conforms(
  'testGetSetSize, testGetGroup, testGetAmode, testGetSetInfo, testSync, testSeekGetPosition',
  [2],
  async (at) => {
    await using alone = await at.alone()
    const amode = Mode.RDWR | Mode.CREATE
    await using file = await alone.open('/file', amode)
    assert.is(await file.getSize(), 0)
    await file.setSize(100)
    assert.is(await file.getSize(), 100)
    assert.equal(file.group, alone.comm.group)
    assert.is(file.amode, amode)
    assert.is(file.info['filename'], alone.path('/file'))
    await file.sync()
    await file.setSize(0)
    for (const whence of ['end', 'cur', 'set'] as const) {
      await file.seek(0, whence)
      assert.is(file.getPosition(), 0)
    }
    for (let offset = 0; offset < 10; offset++) assert.is(file.getByteOffset(offset), offset)
    assert.is(file.getTypeExtent(BYTE), 1)
  },
)

conforms('testGetSetView: what was set is told', RANKS, async (each) => {
  await using at = await each.alone()
  await using file = await at.open('/view', AMODE)
  await file.setSize(100 * 8)
  for (let displacement = 0; displacement < 100; displacement++) {
    for (const type of [INT16, INT32, INT64, FLOAT32, FLOAT64]) {
      await file.setView({ displacement, etype: type, filetype: type, datarep: 'native' })
      const view = file.getView()
      assert.is(view.displacement, displacement)
      assert.is(view.etype.extent, type.extent)
      assert.is(view.filetype.extent, type.extent)
      assert.is(view.datarep, 'native')
    }
  }
})

conforms('testPath: a file is opened, closed and gone', RANKS, async (each) => {
  await using at = await each.alone()
  const amode = Mode.CREATE | Mode.RDWR | Mode.DELETE_ON_CLOSE
  for (const path of ['/path', 'path', '/päth with blanks'])
    await (await at.open(path, amode)).close()
})
