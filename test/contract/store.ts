// What every kind of metadata store promises: `storeContract` adds the same tests for each.

import type { Test } from 'uvu'
import * as assert from 'uvu/assert'
import {
  type Compare,
  compareKeys,
  type Durability,
  entriesOf,
  type Operation,
  type Store,
} from '../../servers/manager/store/store.js'
import { rejects } from '../support/assertions.js'
import { property, type Random } from '../support/random.js'

/** A place where a store lies: opened, closed and opened again, and removed at the end. */
export interface StorePlace extends AsyncDisposable {
  open(): Promise<Store>
}

/** Adds the tests of the contract for one kind of store; `place` makes a fresh, empty place. */
export function storeContract(test: Test, place: () => Promise<StorePlace>): void {
  const withStore = (name: string, body: (store: Store) => Promise<void>): void => {
    test(name, async () => {
      await using fresh = await place()
      await using store = await fresh.open()
      await body(store)
    })
  }
  addReadTests(withStore)
  addTransactionTests(withStore)
  addConcurrencyTests(withStore)
  addLimitTests(withStore)
  addLifeTests(test, place)
  addModelTest(test, place)
}

type AddTest = (name: string, body: (store: Store) => Promise<void>) => void

function addReadTests(withStore: AddTest): void {
  withStore('a key that was never put is absent', async (store) => {
    assert.is(await store.get(bytes('a')), undefined)
    assert.equal(await store.range(bytes(''), undefined, 10), [])
  })

  withStore(
    'ranges come in ascending order of bytes, a prefix before what it begins',
    async (store) => {
      const keys = [[0], [0, 0], [0, 255], [1], [127], [128], [128, 0], [255], [255, 255]]
      await put(store, ...[...keys].reverse().map((key) => [key, key] as const))
      const found = await store.range(bytes(''), undefined, 100)
      assert.equal(
        found.map(({ key }) => [...key]),
        keys,
      )
      assert.equal(
        found.map(({ value }) => [...value]),
        keys,
      )
    },
  )

  withStore('a range holds exactly the keys with its prefix', async (store) => {
    await put(store, ['a', '1'], ['ab', '2'], ['aba', '3'], ['ac', '4'], ['b', '5'])
    assert.equal(await keysOf(store, 'ab'), ['ab', 'aba'])
    assert.equal(await keysOf(store, 'abab'), [])
    assert.equal(await keysOf(store, 'a'), ['a', 'ab', 'aba', 'ac'])
  })

  withStore('a prefix of bytes 255 has no end but the end of all keys', async (store) => {
    await put(store, [[254], ''], [[255], ''], [[255, 255], ''], [[255, 255, 3], ''])
    const found = await store.range(Uint8Array.of(255, 255), undefined, 10)
    assert.equal(
      found.map(({ key }) => [...key]),
      [
        [255, 255],
        [255, 255, 3],
      ],
    )
  })

  withStore('a range starts after `after`, whether that key is there or not', async (store) => {
    await put(store, ['p1', ''], ['p2', ''], ['p3', ''], ['q', ''])
    assert.equal(await keysOf(store, 'p', 'p1'), ['p2', 'p3'])
    assert.equal(await keysOf(store, 'p', 'p15'), ['p2', 'p3'])
    assert.equal(await keysOf(store, 'p', 'p3'), [])
    assert.equal(await keysOf(store, 'p', 'a'), ['p1', 'p2', 'p3'])
    assert.equal(await keysOf(store, 'p', 'z'), [])
    assert.equal(await keysOf(store, 'p', 'p'), ['p1', 'p2', 'p3'])
  })

  withStore('pages of a range, one after another, are the whole', async (store) => {
    const names = Array.from({ length: 25 }, (_, index) => `k${String(index).padStart(2, '0')}`)
    await put(store, ...names.map((name) => [name, name] as const))
    const found: string[] = []
    for (let after: string | undefined; ; after = found.at(-1)) {
      const page = await keysOf(store, 'k', after, 7)
      found.push(...page)
      if (page.length < 7) break
    }
    assert.equal(found, names)
  })

  withStore('entriesOf walks over more than one page', async (store) => {
    const names = Array.from({ length: 1025 }, (_, index) => `k${String(index).padStart(4, '0')}`)
    await put(store, ...names.map((name) => [name, ''] as const))
    const found: string[] = []
    for await (const { key } of entriesOf(store, bytes('k'))) found.push(text(key))
    assert.equal(found, names)
  })

  withStore('a value may be empty, which is not the same as absent', async (store) => {
    await put(store, ['a', ''])
    assert.equal(await store.get(bytes('a')), bytes(''))
    assert.is(await compareOnly(store, 'a', undefined), false)
    assert.is(await compareOnly(store, 'a', ''), true)
  })

  withStore(
    'what is passed in is copied, and what comes out belongs to the caller',
    async (store) => {
      const key = bytes('key')
      const value = bytes('value')
      const done = store.transact({
        compare: [],
        operations: [{ key, value }],
        durability: 'flushed',
      })
      key.fill(0)
      value.fill(0)
      await done
      ;(await store.get(bytes('key')))?.fill(0)
      const [entry] = await store.range(bytes('key'), undefined, 1)
      entry?.key.fill(0)
      entry?.value.fill(0)
      assert.equal(await store.get(bytes('key')), bytes('value'))
      assert.equal(await keysOf(store, ''), ['key'])
    },
  )

  withStore('entries of one range do not share memory', async (store) => {
    const sizes = [0, 1, 100, 4000, 5000, 40_000, 70_000, 1 << 20]
    await put(store, ...sizes.map((size, index) => [[index], filled(size, index)] as const))
    const found = await store.range(bytes(''), undefined, 100)
    assert.equal(
      found.map(({ value }) => value.length),
      sizes,
    )
    for (const [index, { value }] of found.entries()) {
      assert.ok(
        value.every((byte) => byte === index),
        `value ${index}`,
      )
      assert.equal(await store.get(Uint8Array.of(index)), value)
    }
  })
}

function addTransactionTests(withStore: AddTest): void {
  withStore('a comparison holds only for exactly that value', async (store) => {
    await put(store, ['a', 'value'])
    assert.is(await compareOnly(store, 'a', 'value'), true)
    for (const other of ['', 'valu', 'value ', 'valuf', undefined]) {
      assert.is(await compareOnly(store, 'a', other), false, String(other))
    }
    assert.is(await compareOnly(store, 'b', undefined), true)
    assert.is(await compareOnly(store, 'b', ''), false)
  })

  withStore('one comparison that fails leaves everything as it was', async (store) => {
    await put(store, ['a', '1'], ['b', '2'])
    const changed = await store.transact({
      compare: [
        { key: bytes('a'), value: bytes('1') },
        { key: bytes('b'), value: bytes('no') },
      ],
      operations: [operation('a', undefined), operation('c', '3')],
      durability: 'flushed',
    })
    assert.is(changed, false)
    assert.equal(await keysOf(store, ''), ['a', 'b'])
  })

  withStore('puts and removals of one transaction happen together', async (store) => {
    await put(store, ['a', '1'], ['b', '2'])
    const changed = await store.transact({
      compare: [{ key: bytes('a'), value: bytes('1') }],
      operations: [operation('a', undefined), operation('c', '3'), operation('missing', undefined)],
      durability: 'committed',
    })
    assert.is(changed, true)
    assert.equal(await keysOf(store, ''), ['b', 'c'])
  })

  withStore(
    'what follows a change in memory comes once it is committed, in order',
    async (store) => {
      const seen: string[] = []
      const change = (key: string): Operation => ({
        ...operation(key, '1'),
        applied: () => void seen.push(key),
      })
      const transact = async (
        keys: readonly string[],
        durability: Durability,
        compare: readonly Compare[] = [],
      ): Promise<void> => {
        const holds = await store.transact({ compare, operations: keys.map(change), durability })
        if (keys.length > 0) seen.push(holds ? `${keys.at(-1)} resolved` : 'does not hold')
      }
      const both = [transact(['a', 'b', 'b'], 'flushed'), transact(['c'], 'committed')]
      assert.equal(seen, [])
      await Promise.all(both)
      // Of the two the later one may resolve first.
      assert.equal(seen.slice(0, 4), ['a', 'b', 'b', 'c'])
      assert.equal(seen.slice(4).sort(), ['b resolved', 'c resolved'])
      await transact(['d'], 'committed', [{ key: bytes('a'), value: undefined }])
      assert.equal(seen.slice(6), ['does not hold'])
    },
  )

  withStore('the last change of a key in a transaction wins', async (store) => {
    await put(store, ['a', '1'], ['a', '2'], ['b', '1'])
    await store.transact({
      compare: [],
      operations: [
        operation('b', undefined),
        operation('b', '3'),
        operation('a', '4'),
        operation('a', undefined),
      ],
      durability: 'flushed',
    })
    assert.equal(await store.get(bytes('b')), bytes('3'))
    assert.is(await store.get(bytes('a')), undefined)
  })

  withStore('an empty prefix is compared with all keys that begin so', async (store) => {
    await put(store, ['d1', ''], ['d2', ''], ['e', ''])
    assert.is(await emptyOnly(store, 'd'), false)
    assert.is(await emptyOnly(store, 'd2'), false)
    assert.is(await emptyOnly(store, 'd3'), true)
    await put(store, ['d1', undefined])
    assert.is(await emptyOnly(store, 'd'), false)
    await put(store, ['d2', undefined])
    assert.is(await emptyOnly(store, 'd'), true)
  })

  withStore('a transaction of nothing holds', async (store) => {
    assert.is(await store.transact({ compare: [], operations: [], durability: 'flushed' }), true)
    await store.flush()
  })
}

function addConcurrencyTests(withStore: AddTest): void {
  withStore('of two transactions that race for a key exactly one wins', async (store) => {
    const claim = (by: string): Promise<boolean> =>
      store.transact({
        compare: [{ key: bytes('a'), value: undefined }],
        operations: [operation('a', by)],
        durability: 'flushed',
      })
    assert.equal(await Promise.all([claim('first'), claim('second')]), [true, false])
    assert.equal(await store.get(bytes('a')), bytes('first'))
  })

  withStore(
    'a later transaction sees what an earlier one of the same turn changed',
    async (store) => {
      await put(store, ['d1', ''])
      const results = await Promise.all([
        store.transact({
          compare: [],
          operations: [operation('d1', undefined)],
          durability: 'committed',
        }),
        emptyOnly(store, 'd'),
        store.transact({ compare: [], operations: [operation('d2', '')], durability: 'flushed' }),
        emptyOnly(store, 'd'),
        compareOnly(store, 'd1', undefined),
        compareOnly(store, 'd2', ''),
      ])
      assert.equal(results, [true, true, true, false, true, true])
    },
  )

  withStore('a counter that 50 callers increase with retries loses no step', async (store) => {
    const increase = async (): Promise<void> => {
      for (;;) {
        const value = await store.get(bytes('n'))
        const next = String(Number(value === undefined ? 0 : text(value)) + 1)
        const compare = [{ key: bytes('n'), value }]
        const operations = [operation('n', next)]
        if (await store.transact({ compare, operations, durability: 'committed' })) return
      }
    }
    await Promise.all(Array.from({ length: 50 }, increase))
    assert.equal(await store.get(bytes('n')), bytes('50'))
  })

  withStore('transactions resolve in the order in which they were called', async (store) => {
    const order: number[] = []
    await Promise.all(
      Array.from({ length: 100 }, async (_, index) => {
        await put(store, [`k${index % 3}`, String(index)])
        order.push(index)
      }),
    )
    assert.equal(
      order,
      Array.from({ length: 100 }, (_, index) => index),
    )
    assert.equal(await store.get(bytes('k0')), bytes('99'))
  })

  withStore('more transactions at once than one group takes all happen', async (store) => {
    const count = 3000
    const names = Array.from({ length: count }, (_, index) => `k${index}`)
    await Promise.all(names.map((name) => put(store, [name, name])))
    let found = 0
    for await (const { key, value } of entriesOf(store, bytes('k'))) {
      assert.equal(key, value)
      found++
    }
    assert.is(found, count)
  })
}

function addLimitTests(withStore: AddTest): void {
  withStore(
    'a key of the longest length is taken, a longer one and an empty one are refused',
    async (store) => {
      const longest = filled(store.limits.keyBytes, 7)
      await put(store, [longest, 'v'])
      assert.equal(await store.get(longest), bytes('v'))
      assert.equal((await store.range(longest, undefined, 2)).length, 1)
      assert.is(
        await store.transact({
          compare: [{ key: longest, value: bytes('v') }],
          operations: [],
          durability: 'flushed',
        }),
        true,
      )
      for (const wrong of [filled(store.limits.keyBytes + 1, 7), bytes('')]) {
        await rejects(store.get(wrong), 'MPI_ERR_ARG')
        await rejects(put(store, [wrong, 'v']), 'MPI_ERR_ARG')
        const compare = [{ key: wrong, value: undefined }]
        await rejects(
          store.transact({ compare, operations: [], durability: 'flushed' }),
          'MPI_ERR_ARG',
        )
      }
    },
  )

  withStore('a value of the greatest size is taken, a greater one is refused', async (store) => {
    const greatest = filled(store.limits.valueBytes, 9)
    await put(store, ['a', greatest])
    assert.equal(await store.get(bytes('a')), greatest)
    await rejects(put(store, ['b', filled(store.limits.valueBytes + 1, 9)]), 'MPI_ERR_ARG')
    assert.equal(await keysOf(store, ''), ['a'])
  })

  withStore(
    'a transaction of the most operations is taken, a larger one is refused whole',
    async (store) => {
      const most = store.limits.operations
      const entries = Array.from({ length: most + 1 }, (_, index) => [`k${index}`, 'v'] as const)
      await rejects(put(store, ...entries), 'MPI_ERR_ARG')
      assert.equal(await keysOf(store, ''), [])
      await put(store, ...entries.slice(1))
      assert.is((await store.range(bytes('k'), undefined, store.limits.rangeEntries)).length, most)
    },
  )

  withStore('a range of no entries, of a part of one, or of too many is refused', async (store) => {
    for (const limit of [0, -1, 0.5, Number.NaN, store.limits.rangeEntries + 1]) {
      await rejects(store.range(bytes('a'), undefined, limit), 'MPI_ERR_ARG')
      await rejects(store.keys(bytes('a'), undefined, limit), 'MPI_ERR_ARG')
    }
  })
}

function addLifeTests(test: Test, place: () => Promise<StorePlace>): void {
  test('a closed store rejects, and closing it again does nothing', async () => {
    await using fresh = await place()
    const store = await fresh.open()
    await store.close()
    await rejects(store.get(bytes('a')), 'MPI_ERR_IO')
    await rejects(store.range(bytes('a'), undefined, 1), 'MPI_ERR_IO')
    await rejects(put(store, ['a', '']), 'MPI_ERR_IO')
    await rejects(store.flush(), 'MPI_ERR_IO')
    await store.close()
    await store[Symbol.asyncDispose]()
  })

  test('what was in flight when a store was closed is there after it is opened again', async () => {
    await using fresh = await place()
    const first = await fresh.open()
    const pending = Array.from({ length: 20 }, (_, index) => put(first, [`k${index}`, 'v']))
    await Promise.all([first.close(), ...pending])
    await using second = await fresh.open()
    assert.is((await second.range(bytes('k'), undefined, 100)).length, 20)
  })

  test('a store that is open cannot be opened a second time', async () => {
    await using fresh = await place()
    const store = await fresh.open()
    const error = await rejects(fresh.open(), 'MPI_ERR_IO')
    assert.is(error.context.errno, 'EBUSY')
    await put(store, ['a', '1'])
    await store.close()
    await using again = await fresh.open()
    assert.equal(await again.get(bytes('a')), bytes('1'))
  })
}

function addModelTest(test: Test, place: () => Promise<StorePlace>): void {
  property(test, 'random transactions leave what a naive map says', 20, async (random) => {
    await using fresh = await place()
    await using store = await fresh.open()
    const model = new Map<string, string>()
    for (let round = 0; round < 15; round++) {
      const expected: boolean[] = []
      const results: Promise<boolean>[] = []
      for (let index = random.int(1, 8); index > 0; index--) {
        const { compare, operations, holds } = randomTransaction(random, model)
        expected.push(holds)
        const durability = random.pick(['flushed', 'committed'] as const)
        results.push(store.transact({ compare, operations, durability }))
      }
      assert.equal(await Promise.all(results), expected)
      await checkRange(store, model, random)
    }
  })
}

function randomTransaction(random: Random, model: Map<string, string>) {
  const compare = Array.from({ length: random.int(0, 2) }, () => {
    const key = randomKey(random)
    const value = random.chance(0.8) ? model.get(key) : randomValue(random)
    return { key: bytes(key), value: value === undefined ? undefined : bytes(value) }
  })
  const holds = compare.every(({ key, value }) => model.get(text(key)) === (value && text(value)))
  const operations = Array.from({ length: random.int(0, 4) }, () =>
    operation(randomKey(random), randomValue(random)),
  )
  if (holds)
    for (const { key, value } of operations) applyTo(model, text(key), value && text(value))
  return { compare, operations, holds }
}

async function checkRange(store: Store, model: Map<string, string>, random: Random): Promise<void> {
  const prefix = randomKey(random).slice(0, random.int(0, 2))
  const after = random.chance() ? randomKey(random) : undefined
  const limit = random.int(1, 6)
  const expected = [...model.keys()]
    .filter((key) => key.startsWith(prefix) && (after === undefined || key > after))
    .sort((one, other) => compareKeys(bytes(one), bytes(other)))
    .slice(0, limit)
  const found = await store.range(
    bytes(prefix),
    after === undefined ? undefined : bytes(after),
    limit,
  )
  assert.equal(
    found.map(({ key }) => text(key)),
    expected,
  )
  for (const { key, value } of found) assert.is(text(value), model.get(text(key)))
}

function applyTo(model: Map<string, string>, key: string, value: string | undefined): void {
  if (value === undefined) model.delete(key)
  else model.set(key, value)
}

function randomKey(random: Random): string {
  return Array.from({ length: random.int(1, 3) }, () => random.pick(['a', 'b', 'c'])).join('')
}

function randomValue(random: Random): string | undefined {
  return random.chance(0.3) ? undefined : String(random.int(0, 3))
}

type Content = string | readonly number[] | Uint8Array

async function put(
  store: Store,
  ...entries: (readonly [Content, Content | undefined])[]
): Promise<void> {
  const operations = entries.map(([key, value]) => operation(key, value))
  assert.is(await store.transact({ compare: [], operations, durability: 'flushed' }), true)
}

function operation(key: Content, value: Content | undefined): Operation {
  return { key: bytes(key), value: value === undefined ? undefined : bytes(value) }
}

function compareOnly(store: Store, key: string, value: string | undefined): Promise<boolean> {
  const { key: keyBytes, value: valueBytes } = operation(key, value)
  const compare = [{ key: keyBytes, value: valueBytes }]
  return store.transact({ compare, operations: [], durability: 'flushed' })
}

function emptyOnly(store: Store, prefix: string): Promise<boolean> {
  const compare = [{ emptyPrefix: bytes(prefix) }]
  return store.transact({ compare, operations: [], durability: 'committed' })
}

async function keysOf(
  store: Store,
  prefix: string,
  after?: string,
  limit = 100,
): Promise<string[]> {
  const from = after === undefined ? undefined : bytes(after)
  const keys = (await store.range(bytes(prefix), from, limit)).map(({ key }) => key)
  assert.equal(await store.keys(bytes(prefix), from, limit), keys)
  return keys.map(text)
}

function bytes(content: Content): Uint8Array {
  return typeof content === 'string' ? new TextEncoder().encode(content) : Uint8Array.from(content)
}

function text(content: Uint8Array): string {
  return new TextDecoder().decode(content)
}

function filled(length: number, byte: number): Uint8Array {
  return new Uint8Array(length).fill(byte)
}
