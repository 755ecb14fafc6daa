// The manager that dies and comes back, alone or with its iods, as real processes on real disks.
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { deadline, until } from '../support/assertions.js'
import { Random } from '../support/random.js'
import { get, LAYOUT, Place, put } from './place.js'

const test = suite('recovery-manager')

const MIB = 2 ** 20

test('with the manager killed files are read and written; with it back they are opened, closed and removed', async () => {
  await using place = await Place.start()
  const bytes = new Random(4).bytes(MIB)
  await place.cluster.kill('manager')
  await put(place.file, bytes, 0)
  const opening = place.files.open('/g', 'w+', LAYOUT)
  assert.equal(await get(place.file, MIB, 0), bytes)
  await place.cluster.restart('manager')
  await using other = await deadline('open', 30_000, opening)
  await put(other, bytes, 0)
  await place.cluster.kill('manager')
  await place.cluster.restart('manager')
  await place.file.close()
  await other.close()
  assert.is((await place.files.stat('/g')).size, MIB)
  for (const name of ['/f', '/g']) await place.files.unlink(name)
  await until(() => place.datafiles() === 0)
  await place.expectUnnoticed()
})

test('manager and iods that are all killed come back with all that was written', async () => {
  await using place = await Place.start({ syncMs: 500 })
  const bytes = new Random(5).bytes(MIB)
  await put(place.file, bytes, 0)
  for (const server of ['manager', 0, 1, 2] as const) await place.cluster.kill(server)
  // Without its manager an iod listens after a while, and waits.
  await place.cluster.restart(0)
  await place.cluster.restart('manager')
  await Promise.all([1, 2].map((iod) => place.cluster.restart(iod)))
  assert.equal(await deadline('read', 30_000, get(place.file, MIB, 0)), bytes)
  await place.file.close()
  await place.expectUnnoticed()
})

test('a file that is removed while an iod is down leaves nothing on it', async () => {
  await using place = await Place.start()
  await put(place.file, new Random(6).bytes(MIB), 0)
  await place.file.close()
  await place.cluster.kill(1)
  await place.files.unlink('/f')
  assert.is(place.datafiles(), 1)
  await place.cluster.restart(1)
  assert.is(place.datafiles(), 0)
})

test.run()
