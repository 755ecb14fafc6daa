import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { Pointer } from '../../lib/file/pointer.js'

const test = suite('pointer')

test('it stands at 0, and where it was set', () => {
  const pointer = new Pointer()
  assert.is(pointer.position, 0)
  pointer.set(7)
  assert.is(pointer.position, 7)
})

test('an access takes its place at the call, so the next one begins behind it', () => {
  const pointer = new Pointer()
  const first = pointer.take(10)
  const second = pointer.take(5)
  assert.is(first.start, 0)
  assert.is(second.start, 10)
  assert.is(pointer.position, 15)
})

test('a short access puts it where the data ended', () => {
  const pointer = new Pointer()
  const use = pointer.take(10)
  pointer.settle(use, 4)
  assert.is(pointer.position, 4)
})

test('a failed access puts it back', () => {
  const pointer = new Pointer()
  pointer.set(3)
  pointer.settle(pointer.take(10), 0)
  assert.is(pointer.position, 3)
})

for (const [what, use] of [
  ['another access', (pointer: Pointer) => void pointer.take(5)],
  ['an access of nothing', (pointer: Pointer) => void pointer.take(0)],
  ['a seek', (pointer: Pointer) => pointer.set(15)],
  ['a seek to the same place', (pointer: Pointer) => pointer.set(pointer.position)],
] as const) {
  test(`${what} meanwhile keeps it where it is`, () => {
    const pointer = new Pointer()
    const early = pointer.take(10)
    use(pointer)
    const { position } = pointer
    pointer.settle(early, 2)
    assert.is(pointer.position, position)
  })
}

test('of two held accesses only the last one corrects it', () => {
  const pointer = new Pointer()
  const first = pointer.take(10)
  const last = pointer.take(10)
  pointer.settle(last, 1)
  assert.is(pointer.position, 11)
  pointer.settle(first, 1)
  assert.is(pointer.position, 11)
})

test.run()
