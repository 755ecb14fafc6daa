import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { LIMITS } from '../../lib/protocol/limits.js'
import { silentLog } from '../../servers/common/log.js'
import { Datafiles } from '../../servers/iod/datafiles.js'
import { Inventory } from '../../servers/iod/inventory.js'
import { IodOpenTable } from '../../servers/iod/open-table.js'
import { Quarantine } from '../../servers/iod/quarantine.js'
import { VirtualClock } from '../sim/clock.js'
import { SimDisk } from '../sim/disk.js'
import { throws } from '../support/assertions.js'

const test = suite('inventory')

test('pages hold every datafile once, in bounded lists, also where one folder has more than a page', async () => {
  const { disk, inventory } = await start()
  const expected: number[] = []
  const plant = (handle: number): void => {
    expected.push(handle)
    disk.open(pathOf(handle), 'create').close()
  }
  for (let count = 0; count < LIMITS.datafilesPerPage + 10; count++) plant(count * 256 + 7)
  for (const handle of [1, 255, 256, 300, 2 ** 53 - 1]) plant(handle)
  const found: number[] = []
  let pages = 0
  for (const handles of inventory.pages()) {
    assert.ok(handles.length <= LIMITS.datafilesPerPage)
    found.push(...handles)
    pages++
  }
  assert.is(pages, 2)
  assert.is(new Set(found).size, found.length)
  assert.equal(sorted(found), sorted(expected))
})

test('a page that is exactly full is the last one where nothing follows', async () => {
  const { disk, inventory } = await start()
  for (let count = 0; count < LIMITS.datafilesPerPage; count++)
    disk.open(pathOf(count * 256 + 255), 'create').close()
  const page = inventory.page({ folder: 0, after: 0 })
  assert.is(page.handles.length, LIMITS.datafilesPerPage)
  assert.is(page.next, undefined)
})

test('what is no datafile is told apart, wherever it is, and at most so much of it', async () => {
  const { disk, inventory } = await start()
  disk.open(pathOf(0x0105), 'create').close()
  disk.open('/iod/data/05/0000000000000106', 'create').close()
  disk.open('/iod/data/07/notes.txt', 'create').close()
  disk.open('/iod/data/00/0000000000000000', 'create').close()
  for (let count = 0; count < LIMITS.strangersPerPage + 1; count++)
    disk.open(`/iod/data/09/x${count}`, 'create').close()
  const first = inventory.page({ folder: 0, after: 0 })
  assert.equal(first.handles, [0x0105])
  assert.equal(first.strangers.slice(0, 3), [
    'data/00/0000000000000000',
    'data/05/0000000000000106',
    'data/07/notes.txt',
  ])
  assert.is(first.strangers.length, LIMITS.strangersPerPage)
  assert.equal(first.next, { folder: 10, after: 0 })
  throws(() => inventory.page({ folder: 256, after: 0 }))
})

test('a datafile that an open keeps is not put into quarantine, whatever is said', async () => {
  const { disk, opens, inventory } = await start()
  for (const handle of [1, 2]) disk.open(pathOf(handle), 'create').close()
  opens.install({
    handle: 1,
    capability: 'a'.repeat(32),
    rights: 3,
    sessionId: 'b'.repeat(32),
    layout: { stripSize: 4096, iodCount: 1, firstIod: 0, iodTotal: 1 },
    state: 'open',
    unlinked: true,
    tokenFloor: 0,
    hasData: new Uint8Array(1),
  })
  assert.equal(await inventory.quarantine([1, 2, 3]), [2])
  assert.equal(inventory.pieces([1, 2, 3]), [0, undefined, undefined])
})

test.run()

function pathOf(handle: number): string {
  const name = handle.toString(16).padStart(16, '0')
  return `/iod/data/${name.slice(-2)}/${name}`
}

function sorted(numbers: readonly number[]): number[] {
  return [...numbers].sort((one, other) => one - other)
}

async function start() {
  const clock = new VirtualClock()
  const disk = new SimDisk({ clock })
  disk.makeDirectory('/iod/data')
  await Datafiles.format(disk, '/iod/data')
  const datafiles = new Datafiles(disk, '/iod/data')
  const quarantine = new Quarantine({ disk, clock, directory: '/iod', datafiles, stayMs: 1000 })
  const opens = new IodOpenTable(0)
  return {
    disk,
    opens,
    inventory: new Inventory({ clock, log: silentLog, datafiles, quarantine, opens }),
  }
}
