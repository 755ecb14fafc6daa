// A process that writes into a store without end and prints the number of each transaction once it is
// acknowledged: started by `store-lmdb.test.ts`, and killed by it, or ended by a disk that fails.

import { writeSync } from 'node:fs'
import { isIoError } from '../../lib/base/errors.js'
import { openLmdbStore } from '../../servers/manager/store/lmdb.js'
import type { Store } from '../../servers/manager/store/store.js'

/** Transactions that are under way together, so that groups form. */
const TOGETHER = 8

const store = await openLmdbStore(process.argv[2] ?? '')
let next = 1
try {
  for (;;) {
    const numbers = Array.from({ length: TOGETHER }, () => next++)
    await Promise.all(
      numbers.map(async (number) => {
        await put(store, number)
        // At once and unbuffered: a number that was printed was acknowledged.
        writeSync(1, `${number}\n`)
      }),
    )
  }
} catch (error) {
  const later = await codeOf(store.get(Uint8Array.of(1)))
  writeSync(1, `poisoned ${name(error)}, then ${later}\n`)
  await store.close()
}

async function put(to: Store, number: number): Promise<void> {
  const value = bytes(String(number))
  const operations = [
    { key: bytes(`a${number}`), value },
    { key: bytes(`b${number}`), value },
  ]
  await to.transact({ compare: [], operations, durability: number % 2 ? 'flushed' : 'committed' })
}

async function codeOf(promise: Promise<unknown>): Promise<string> {
  try {
    await promise
    return 'resolved'
  } catch (error) {
    return name(error)
  }
}

function name(error: unknown): string {
  return isIoError(error) ? `${error.code} ${error.context.errno}` : String(error)
}

function bytes(text: string): Uint8Array {
  return new TextEncoder().encode(text)
}
