import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { IOD } from '../../lib/protocol/iod.js'
import { decode, encode } from '../../lib/protocol/codec.js'
import { LIMITS } from '../../lib/protocol/limits.js'
import type { Intent } from '../../lib/protocol/records.js'
import { HeldFiles } from '../../servers/manager/held-files.js'
import { throws } from '../support/assertions.js'

const test = suite('held-files')

test('an iod holds what is held and what it must still cut, but not what it cuts by what comes with it', () => {
  const held = new HeldFiles({ truncationsMost: () => 0 })
  for (const handle of [1, 2, 3]) held.hold(handle)
  held.release(3)
  const told = [truncation(2), removal(1)]
  const left = [truncation(4), removal(5)]
  assert.equal(new Set(held.but(told, left)), new Set([1, 4]))
})

test('what is cut by what comes with it, and once more later, stays held', () => {
  const held = new HeldFiles({ truncationsMost: () => 0 })
  assert.equal(held.but([truncation(1)], [truncation(1)]), [1])
})

test('none of them is left out, however many there are, and all of them fit into a RECONCILE', () => {
  let pending = 0
  const held = new HeldFiles({ truncationsMost: () => pending })
  const left = Array.from({ length: LIMITS.heldHandles - 10 }, (_, index) => truncation(index + 1))
  pending = left.length
  for (let handle = 1; handle <= 10; handle++) held.hold(2 ** 40 + handle)
  const handles = held.but([], left)
  assert.is(handles.length, LIMITS.heldHandles)
  const request = { epoch: 1, epochId: 'e'.repeat(32), version: 1, intents: [], held: handles }
  const bytes = encode(IOD.reconcile.request, request)
  assert.ok(bytes.length <= LIMITS.controlBytes)
  assert.is(decode(IOD.reconcile.request, bytes).held.length, LIMITS.heldHandles)
  assert.is(throws(() => held.hold(1)).context.reason, 'BUSY')
  held.release(2 ** 40 + 1)
  held.hold(1)
})

function truncation(handle: number): Intent {
  return { sequence: handle, kind: 'truncate', handle, localSize: 0, hasData: false }
}

function removal(handle: number): Intent {
  return { ...truncation(handle), kind: 'remove' }
}

test.run()
