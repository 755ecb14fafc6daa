import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { IoError } from '../../lib/base/errors.js'
import { MemoryFile, MemoryStore } from '../../lib/driver/memory.js'
import {
  driverContract,
  type DriverFile,
  type DriverLayout,
  pattern,
  plainAccess,
} from '../contract/driver.js'
import { rejects } from '../support/assertions.js'

const test = suite('MemoryFile')

driverContract(test, {
  layouts: [{ stripSize: 4096, iodCount: 1 }],
  sparse: false,
  place: async () => ({ file: memoryFile, [Symbol.asyncDispose]: async () => {} }),
})

test('a fault fails the operation that it names, before anything has moved', async () => {
  const store = new MemoryStore()
  const full = new IoError('MPI_ERR_NO_SPACE', 'full')
  const file = new MemoryFile(store, {
    fault: (operation) => (operation === 'write' ? full : undefined),
  })
  assert.is(await rejects(file.write(plainAccess(0, pattern(10)))), full)
  assert.is(store.size, 0)
  assert.is(await file.size(), 0)
})

test.run()

async function memoryFile({ stripSize }: DriverLayout): Promise<DriverFile> {
  const store = new MemoryStore()
  return {
    open: async () => new MemoryFile(store, { stripSize }),
    stored: (offset, length) => store.at(offset, length),
    close: async () => {},
  }
}
