import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { Datafiles } from '../../servers/iod/datafiles.js'
import { Quarantine } from '../../servers/iod/quarantine.js'
import { VirtualClock } from '../sim/clock.js'
import { SimDisk } from '../sim/disk.js'
import { rejects } from '../support/assertions.js'

const STAY_MS = 1000

const test = suite('quarantine')

test('a datafile that is taken is away, whole, and stays so after a loss of power', async () => {
  const { disk, datafiles, quarantine, kept } = await start()
  datafiles.write(0x12, Uint8Array.of(1, 2, 3), 0)
  datafiles.write(0x13, Uint8Array.of(4), 0)
  for (const handle of [0x12, 0x13]) await datafiles.flush(handle)
  assert.equal(await quarantine.take([0x12, 0x99]), [0x12])
  assert.is(datafiles.sizeOf(0x12), 0)
  assert.is(datafiles.pieceOf(0x12), undefined)
  disk.crash()
  assert.equal(
    kept().map((name) => name.slice(0, 16)),
    ['0000000000000012'],
  )
  assert.is(disk.sizeOf(`/iod/lost+found/${kept()[0]}`), 3)
  assert.is(disk.sizeOf('/iod/data/13/0000000000000013'), 1)
})

test('it is removed when its time is over, and nothing else with it', async () => {
  const { clock, disk, datafiles, quarantine, kept } = await start()
  datafiles.write(1, Uint8Array.of(1), 0)
  await quarantine.take([1])
  disk.open('/iod/lost+found/of an operator', 'create').close()
  await clock.advance(STAY_MS - 1)
  assert.is(await quarantine.sweep(), 0)
  await clock.advance(1)
  assert.is(await quarantine.sweep(), 1)
  assert.equal(kept(), ['of an operator'])
  assert.is(await quarantine.sweep(), 0)
})

test('without anything in it there is no folder, and nothing to sweep', async () => {
  const { disk, quarantine } = await start()
  assert.is(await quarantine.sweep(), 0)
  assert.equal(await quarantine.take([]), [])
  assert.not(disk.exists('/iod/lost+found'))
})

test('a disk that fails is said, and the datafile stays where it was', async () => {
  const { disk, datafiles, quarantine } = await start()
  datafiles.write(1, Uint8Array.of(1), 0)
  disk.faults = {
    fault: (operation) => (operation === 'rename' ? { kind: 'error', errno: 'ENOSPC' } : undefined),
  }
  const error = await rejects(quarantine.take([1]), 'MPI_ERR_NO_SPACE')
  assert.is(error.context.errno, 'ENOSPC')
  assert.is(datafiles.sizeOf(1), 1)
})

test.run()

async function start() {
  const clock = new VirtualClock()
  const disk = new SimDisk({ clock })
  disk.makeDirectory('/iod/data')
  await disk.syncDirectory('/')
  await disk.syncDirectory('/iod')
  await Datafiles.format(disk, '/iod/data')
  const datafiles = new Datafiles(disk, '/iod/data')
  const directory = '/iod'
  const quarantine = new Quarantine({ disk, clock, directory, datafiles, stayMs: STAY_MS })
  const kept = (): string[] => disk.list('/iod/lost+found')
  return { clock, disk, datafiles, quarantine, kept }
}
