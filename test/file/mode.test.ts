import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { checkMode, has, Mode } from '../../lib/file/mode.js'
import { throws } from '../support/assertions.js'

const test = suite('mode')

const WAYS = [Mode.RDONLY, Mode.WRONLY, Mode.RDWR]
const ALL = Object.values(Mode)

test('the bits are those of the MPI 5.0 ABI', () => {
  assert.equal(Mode, {
    APPEND: 1,
    CREATE: 2,
    DELETE_ON_CLOSE: 4,
    EXCL: 8,
    RDONLY: 16,
    RDWR: 32,
    SEQUENTIAL: 64,
    UNIQUE_OPEN: 128,
    WRONLY: 256,
  })
})

test('of all 512 combinations exactly those that the standard allows are taken', () => {
  for (let amode = 0; amode < 512; amode++) {
    const ways = WAYS.filter((bit) => amode & bit).length
    const readsOnly = Boolean(amode & Mode.RDONLY)
    const creates = Boolean(amode & (Mode.CREATE | Mode.EXCL))
    const mixesPointers = Boolean(amode & Mode.RDWR) && Boolean(amode & Mode.SEQUENTIAL)
    const legal = ways === 1 && !(readsOnly && creates) && !mixesPointers
    if (legal) assert.is(checkMode(amode), amode)
    else throws(() => checkMode(amode), 'MPI_ERR_AMODE')
  }
})

test('what is no combination of the bits is MPI_ERR_AMODE', () => {
  for (const amode of [512, 1024 | Mode.RDWR, -1, 1.5, Number.NaN, 2 ** 40 + 32])
    throws(() => checkMode(amode), 'MPI_ERR_AMODE')
  for (const amode of ['32', null, undefined, {}, 32n])
    throws(() => checkMode(amode), 'MPI_ERR_AMODE')
})

test('the message says which rule is broken', () => {
  const messageOf = (amode: number): string => throws(() => checkMode(amode)).message
  assert.match(messageOf(Mode.CREATE), 'exactly one of RDONLY, WRONLY and RDWR')
  assert.match(messageOf(Mode.RDONLY | Mode.CREATE), 'not created')
  assert.match(messageOf(Mode.RDWR | Mode.SEQUENTIAL), 'do not go together')
})

test('has asks for one bit', () => {
  for (const bit of ALL) {
    assert.ok(has(bit | Mode.RDWR, bit))
    assert.not(
      has(
        ALL.filter((other) => other !== bit).reduce((a, b) => a | b, 0),
        bit,
      ),
    )
  }
})

test.run()
