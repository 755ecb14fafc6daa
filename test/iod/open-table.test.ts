import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { idBytes } from '../../lib/protocol/codec.js'
import { type OpenRecord, RIGHTS } from '../../lib/protocol/records.js'
import { IodOpenTable } from '../../servers/iod/open-table.js'

const test = suite('iod open-table')

const LAYOUT = { stripSize: 4096, iodCount: 2, firstIod: 3, iodTotal: 4 }

test('an entry has the part of this iod, also where the layout wraps around the end of the iodtab', () => {
  const parts = [0, 1, 2, 3].map((index) => {
    const table = new IodOpenTable(index)
    table.replace([record(7, 1)])
    return table.find(7, capability(1))?.part
  })
  assert.equal(parts, [1, undefined, undefined, 0])
})

test('an iod that was added after a file was made has no part of it', () => {
  const table = new IodOpenTable(4)
  table.replace([record(7, 1)])
  assert.is(table.size, 0)
})

test('the right handle with another capability, or the right capability with another handle, is unknown', () => {
  const table = tableOf(record(7, 1), record(8, 2))
  assert.ok(table.find(7, capability(1)))
  assert.is(table.find(7, capability(2)), undefined)
  assert.is(table.find(8, capability(1)), undefined)
  assert.is(table.find(7, new Uint8Array(16)), undefined)
  assert.is(table.find(7, capability(1).subarray(0, 15)), undefined)
})

test('a new table keeps the identity of what was known, and tells what is running that it was revoked', () => {
  const table = tableOf(record(7, 1), record(7, 2), record(8, 3))
  const [kept, revoked, other] = [
    table.find(7, capability(1)),
    table.find(7, capability(2)),
    table.find(8, capability(3)),
  ]
  table.replace([record(7, 1), record(7, 4)])
  assert.is(table.find(7, capability(1)), kept)
  assert.equal([kept?.live, revoked?.live, other?.live], [true, false, false])
  assert.is(table.find(7, capability(2)), undefined)
  assert.is(table.find(7, capability(4))?.live, true)
  assert.is(table.size, 2)
})

test('what is running sees that its file was held meanwhile, also where it was let go since', () => {
  const table = tableOf(record(7, 1), record(8, 2))
  const [held, other] = [table.find(7, capability(1)), table.find(8, capability(2))]
  table.hold(7)
  table.release(7)
  assert.equal([held?.holds, other?.holds], [1, 0])
  table.holdOnly([7])
  table.replace([record(7, 1), record(8, 2)])
  assert.equal([held?.holds, other?.holds], [2, 0])
  assert.is(table.find(7, capability(1)), held)
})

test('a table that names an open twice has it once', () => {
  const table = tableOf(record(7, 1), record(7, 1))
  assert.is(table.size, 1)
})

test('an open that is installed twice is one; a close of it is final and can be repeated', () => {
  const table = tableOf()
  table.install(record(7, 1))
  const entry = table.find(7, capability(1))
  table.install(record(7, 1))
  assert.is(table.find(7, capability(1)), entry)
  assert.is(table.size, 1)
  table.remove(7, record(7, 1).capability)
  table.remove(7, record(7, 1).capability)
  assert.is(entry?.live, false)
  assert.is(table.size, 0)
})

test('a handle that is dropped loses every open and its hold', () => {
  const table = tableOf(record(7, 1), record(7, 2), record(8, 3))
  const entries = [table.find(7, capability(1)), table.find(7, capability(2))]
  table.hold(7)
  table.drop(7)
  table.drop(7)
  assert.equal(
    entries.map((entry) => entry?.live),
    [false, false],
  )
  assert.is(table.size, 1)
  assert.not(table.isHeld(7))
})

test('what is held is told one by one, or all at once', () => {
  const table = tableOf()
  table.hold(7)
  table.hold(8)
  table.release(7)
  table.release(7)
  assert.equal(
    [7, 8, 9].map((handle) => table.isHeld(handle)),
    [false, true, false],
  )
  table.holdOnly([9])
  assert.equal(
    [7, 8, 9].map((handle) => table.isHeld(handle)),
    [false, false, true],
  )
})

function tableOf(...records: OpenRecord[]): IodOpenTable {
  const table = new IodOpenTable(3)
  table.replace(records)
  return table
}

function record(handle: number, number: number): OpenRecord {
  return {
    handle,
    capability: number.toString(16).padStart(32, '0'),
    rights: RIGHTS.READ,
    sessionId: 'a'.repeat(32),
    layout: LAYOUT,
    state: 'open',
    unlinked: false,
    tokenFloor: 0,
    hasData: new Uint8Array(1),
  }
}

function capability(number: number): Uint8Array {
  return idBytes(number.toString(16).padStart(32, '0'))
}

test.run()
