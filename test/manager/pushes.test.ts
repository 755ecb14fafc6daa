import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { type Deferred, deferred } from '../../lib/base/deferred.js'
import { errorOf } from '../../lib/base/errors.js'
import { silentLog } from '../../servers/common/log.js'
import { Intents } from '../../servers/manager/intents.js'
import { Pushes, type PushesOptions } from '../../servers/manager/pushes.js'
import { MemoryDisk } from '../../servers/manager/store/memory.js'
import type { Store } from '../../servers/manager/store/store.js'

const test = suite('pushes')

test('what an iod must do is told in order, and done then', async () => {
  const place = await Place.make()
  await place.wish([3, 1, 2])
  await place.pushes.push(0)
  assert.equal(place.told, [3, 1, 2])
  assert.is(place.intents.size, 0)
})

test('an iod that is not up is told nothing', async () => {
  const place = await Place.make()
  place.isUp = false
  await place.wish([1])
  await place.pushes.push(0)
  assert.equal(place.told, [])
  assert.is(place.intents.size, 1)
})

test('after a call without an answer the rest waits, and the next push begins there', async () => {
  const place = await Place.make()
  await place.wish([1, 2, 3])
  place.failing = 2
  await place.pushes.push(0)
  assert.equal(place.told, [1, 2])
  place.failing = undefined
  await place.pushes.push(0)
  assert.equal(place.told, [1, 2, 2, 3])
})

test('pushes that come while one is under way are one more, which tells what came meanwhile', async () => {
  const place = await Place.make()
  await place.wish([1])
  place.gate = deferred()
  const first = place.pushes.push(0)
  await place.wish([2])
  const others = Array.from({ length: 100 }, () => place.pushes.push(0))
  assert.is(new Set(others).size, 1)
  place.gate.resolve()
  await first
  await Promise.all(others)
  assert.equal(place.told, [1, 2])
  await place.wish([3])
  await place.pushes.push(0)
  assert.equal(place.told, [1, 2, 3])
})

test('one iod that is slow holds up no other', async () => {
  const place = await Place.make()
  await place.wish([1], 0)
  await place.wish([2], 1)
  place.gate = deferred()
  const slow = place.pushes.push(0)
  const gate = place.gate
  place.gate = undefined
  await place.pushes.push(1)
  assert.equal(place.told, [1, 2])
  gate.resolve()
  await slow
})

class Place {
  readonly told: number[] = []
  readonly intents: Intents
  readonly pushes: Pushes
  isUp = true
  /** The handle of which the call has no answer. */
  failing: number | undefined
  gate: Deferred<void> | undefined
  readonly #store: Store

  private constructor(store: Store, intents: Intents) {
    this.#store = store
    this.intents = intents
    const callIfUp = async (
      _: number,
      __: unknown,
      request: { handle: number },
    ): Promise<object> => {
      this.told.push(request.handle)
      await this.gate?.promise
      if (request.handle === this.failing) throw errorOf('TIMEOUT', 'no answer')
      return {}
    }
    const iods = { isUp: () => this.isUp, callIfUp } as unknown as PushesOptions['iods']
    this.pushes = new Pushes({ log: silentLog, intents, iods })
  }

  static async make(): Promise<Place> {
    const store = new MemoryDisk().open()
    return new Place(store, await Intents.load(store, 1))
  }

  async wish(handles: readonly number[], iod = 0): Promise<void> {
    for (const handle of handles)
      await this.intents.during(async (reserve) => {
        const operations = reserve([{ iod, kind: 'remove', handle, localSize: 0, hasData: false }])
        await this.#store.transact({ compare: [], operations, durability: 'flushed' })
      })
  }
}

test.run()
