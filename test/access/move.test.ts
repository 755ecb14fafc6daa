import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { move } from '../../lib/access/move.js'
import { IoError } from '../../lib/base/errors.js'
import { MemoryFile, MemoryStore } from '../../lib/driver/memory.js'
import { pattern, plainAccess } from '../contract/driver.js'
import { rejects } from '../support/assertions.js'

const test = suite('move')

const down = new IoError('MPI_ERR_IO', 'down')

test('it gives the bytes that were moved, in both directions', async () => {
  const file = new MemoryFile(new MemoryStore())
  assert.is(await move(file, 'write', plainAccess(0, pattern(10))), 10)
  assert.is(await move(file, 'read', plainAccess(5, new Uint8Array(10))), 5)
})

test('no bytes need no driver', async () => {
  const file = new MemoryFile(new MemoryStore(), { fault: () => down })
  assert.is(await move(file, 'read', plainAccess(0, new Uint8Array(0))), 0)
  assert.is(await move(file, 'write', plainAccess(0, new Uint8Array(0))), 0)
  assert.is(await rejects(move(file, 'write', plainAccess(0, pattern(1)))), down)
})

for (const kind of ['read', 'write'] as const) {
  test(`memory that is detached during a ${kind} is MPI_ERR_BUFFER`, async () => {
    const file = new MemoryFile(new MemoryStore())
    await file.write(plainAccess(0, pattern(100)))
    const buffer = new Uint8Array(100)
    const moving = move(file, kind, plainAccess(0, buffer))
    structuredClone(buffer.buffer, { transfer: [buffer.buffer] })
    await rejects(moving, 'MPI_ERR_BUFFER')
  })
}

test.run()
