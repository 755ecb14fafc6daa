import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import {
  acceptHints,
  aggregatorCount,
  hintNumber,
  HINTS,
  hintsInForce,
  type Info,
  sameHints,
} from '../../lib/file/hints.js'
import { throws } from '../support/assertions.js'
import { tableUnder } from '../support/markdown.js'
import { ROOT } from '../support/repository.js'

const test = suite('hints')

const CASES: readonly (readonly [
  key: string,
  given: string | number | boolean,
  accepted: string | undefined,
])[] = [
  ['striping_unit', 4096, '4096'],
  ['striping_unit', ' 65536 ', '65536'],
  ['striping_unit', 67_108_864, '67108864'],
  ['striping_unit', 2048, undefined],
  ['striping_unit', 134_217_728, undefined],
  ['striping_unit', 5000, undefined],
  ['striping_unit', '64k', undefined],
  ['striping_unit', '', undefined],
  ['striping_unit', -4096, undefined],
  ['striping_unit', 4096.5, undefined],
  ['striping_unit', true, undefined],
  ['striping_factor', 1, '1'],
  ['striping_factor', '007', '7'],
  ['striping_factor', 1024, '1024'],
  ['striping_factor', 0, undefined],
  ['striping_factor', 1025, undefined],
  ['start_iodevice', 0, '0'],
  ['start_iodevice', -1, undefined],
  ['start_iodevice', 'first', undefined],
  ['file_perm', '640', '640'],
  ['file_perm', '0600', '0600'],
  ['file_perm', '0888', undefined],
  ['file_perm', 'rw-', undefined],
  ['collective_buffering', true, 'true'],
  ['collective_buffering', 'False', 'false'],
  ['collective_buffering', 1, undefined],
  ['romio_cb_read', 'enable', 'enable'],
  ['romio_cb_read', 'yes', undefined],
  ['romio_cb_write', ' DISABLE', 'disable'],
  ['romio_cb_write', 'automatic', 'automatic'],
  ['cb_nodes', 0, '0'],
  ['cb_nodes', 131_072, '131072'],
  ['cb_nodes', 131_073, undefined],
  ['cb_nodes', -1, undefined],
  ['cb_config_list', 'a:1,*:*', 'a:1,*:*'],
  ['cb_buffer_size', 1, '1'],
  ['cb_buffer_size', 1_073_741_824, '1073741824'],
  ['cb_buffer_size', 1_073_741_825, undefined],
  ['cb_buffer_size', 0, undefined],
  ['romio_ds_read', 'enable', 'enable'],
  ['romio_ds_read', 'on', undefined],
  ['ind_rd_buffer_size', 4_194_304, '4194304'],
  ['ind_rd_buffer_size', 0, undefined],
  ['rankio_manager', 'rankio://host:7300', 'rankio://host:7300'],
]

for (const [key, given, accepted] of CASES) {
  const outcome =
    accepted === undefined ? 'is ignored' : `is in force as ${JSON.stringify(accepted)}`
  test(`${key} ${JSON.stringify(given)} ${outcome}`, () => {
    assert.equal(acceptHints({ [key]: given }), accepted === undefined ? {} : { [key]: accepted })
  })
}

test('keys that are not known are ignored, of all standards and of objects', () => {
  const info = { romio_ds_write: 'enable', pfs_svr_buf: true, toString: 'x', constructor: 1 }
  assert.equal(acceptHints(info), {})
  assert.equal(acceptHints({}), {})
  assert.equal(acceptHints(undefined), {})
})

test('what is no info, or too long, is an error', () => {
  for (const info of [null, 'cb_nodes=4', 7])
    throws(() => acceptHints(info as unknown as Info), 'MPI_ERR_ARG')
  throws(() => acceptHints({ ['k'.repeat(257)]: 1 }), 'MPI_ERR_INFO_KEY')
  throws(() => acceptHints({ some: 'v'.repeat(1025) }), 'MPI_ERR_INFO_VALUE')
  acceptHints({ ['k'.repeat(256)]: 'v'.repeat(1024) })
})

test('infos that come to the same are the same, whatever their order and spelling', () => {
  const one = sameHints(acceptHints({ striping_unit: 4096, striping_factor: '2', other: 1 }))
  const two = sameHints(acceptHints({ striping_factor: 2, striping_unit: ' 4096', another: 2 }))
  assert.is(one, two)
  assert.is.not(one, sameHints(acceptHints({ striping_unit: 4096 })))
})

test('a number can be had of a hint', () => {
  assert.is(hintNumber(acceptHints({ striping_unit: 4096 }), 'striping_unit'), 4096)
  assert.is(hintNumber({}, 'striping_unit'), undefined)
})

test('where nothing was given the preset is in force', () => {
  const given = acceptHints({ cb_buffer_size: 4096, romio_cb_write: 'never' })
  const inForce = hintsInForce(given)
  assert.is(inForce.cb_buffer_size, '4096')
  assert.is(inForce.romio_cb_write, 'automatic')
  assert.is(inForce.striping_unit, undefined)
})

test('aggregators are as many as iods of the file or ranks; too many, or 0, mean all ranks', () => {
  const count = (value: number | undefined): number =>
    aggregatorCount(value === undefined ? {} : acceptHints({ cb_nodes: value }), 8, 3)
  assert.equal([undefined, 0, 1, 7, 8, 9, 1000].map(count), [3, 8, 1, 7, 8, 8, 8])
  assert.is(aggregatorCount({}, 2, 3), 2)
})

test('the table of the documentation is the table of the code', () => {
  const readme = readFileSync(join(ROOT, 'lib/file/README.md'), 'utf8')
  const rows = Object.entries(HINTS).map(([key, { same, meaning }]) => [
    key,
    same ? 'yes' : 'no',
    meaning,
  ])
  assert.equal(tableUnder(readme, 'Hints'), rows)
})

test.run()
