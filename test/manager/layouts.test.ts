import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { CHOOSE, OPEN_FLAGS } from '../../lib/protocol/manager.js'
import { layoutFor } from '../../servers/manager/layouts.js'
import { throws } from '../support/assertions.js'

const test = suite('layouts')

const IODS = 5
const HANDLE = 13

const CASES: readonly (readonly [string, Asked, Given, RegExp | undefined])[] = [
  ['nothing', {}, {}, undefined],
  [
    'all of it',
    { stripSize: 4096, iodCount: 2, firstIod: 4 },
    { stripSize: 4096, iodCount: 2, firstIod: 4 },
    undefined,
  ],
  ['the largest strip', { stripSize: 67_108_864 }, { stripSize: 67_108_864 }, undefined],
  [
    'a strip beyond the largest',
    { stripSize: 134_217_728 },
    {},
    /a strip of 134217728 bytes is not a power of two from 4 KiB to 64 MiB/,
  ],
  ['a strip that is too small', { stripSize: 2048 }, {}, /a strip of 2048 bytes/],
  ['a strip that is no power of two', { stripSize: 5000 }, {}, /a strip of 5000 bytes/],
  [
    'more iods than there are',
    { iodCount: 6 },
    { iodCount: 5 },
    /6 iods were asked for, there are 5/,
  ],
  [
    'a first iod that is not there',
    { firstIod: 5 },
    {},
    /iod 5 was asked for as the first, there are 5/,
  ],
]

interface Asked {
  readonly stripSize?: number
  readonly iodCount?: number
  readonly firstIod?: number
}

type Given = Asked

for (const [what, asked, given, refusal] of CASES) {
  const expected = {
    stripSize: 65_536,
    iodCount: IODS,
    firstIod: HANDLE % IODS,
    iodTotal: IODS,
    ...given,
  }

  test(`a hint for ${what} gives a layout that is possible`, () => {
    assert.equal(layoutFor(request(asked, OPEN_FLAGS.ADVISORY), IODS)(HANDLE), expected)
  })

  test(`an option for ${what} is ${refusal === undefined ? 'kept' : 'refused'}`, () => {
    if (refusal === undefined) assert.equal(layoutFor(request(asked, 0), IODS)(HANDLE), expected)
    else {
      const error = throws(() => layoutFor(request(asked, 0), IODS), 'MPI_ERR_ARG')
      assert.match(error.message, refusal)
      assert.match(error.message, /^open "\/f": /)
    }
  })
}

function request({ stripSize = 0, iodCount = 0, firstIod = CHOOSE }: Asked, flags: number) {
  return {
    path: '/f',
    flags,
    rights: 3,
    mode: 0o644,
    uid: 0,
    gid: 0,
    stripSize,
    iodCount,
    firstIod,
  }
}

test.run()
