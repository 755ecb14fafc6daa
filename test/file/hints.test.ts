import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import {
  acceptHints,
  aggregatorsOf,
  changeable,
  hintNumber,
  HINTS,
  hintsInForce,
  ignoredHints,
  type Info,
  sameHints,
} from '../../lib/file/hints.js'
import { hintsOfEnvironment, printedHints } from '../../lib/file/hints-file.js'
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
  ['start_iodevice', 1023, '1023'],
  ['start_iodevice', 1024, undefined],
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
  ['cb_nodes', -1, '0'],
  ['cb_nodes', '-', undefined],
  ['cb_config_list', 'a:1,*:*', 'a:1,*:*'],
  ['cb_config_list', ' n1 , n2:0 ', 'n1 , n2:0'],
  ['cb_config_list', 'a:b', undefined],
  ['cb_config_list', '', undefined],
  ['cb_config_list', 'a:1,,b', undefined],
  ['cb_buffer_size', 1, '1'],
  ['cb_buffer_size', 1_073_741_824, '1073741824'],
  ['cb_buffer_size', 1_073_741_825, undefined],
  ['cb_buffer_size', 0, undefined],
  ['romio_ds_read', 'enable', 'enable'],
  ['romio_ds_read', 'on', undefined],
  ['ind_rd_buffer_size', 4_194_304, '4194304'],
  ['ind_rd_buffer_size', 0, undefined],
  ['ind_rd_buffer_size', 1_073_741_824, '1073741824'],
  ['ind_rd_buffer_size', 1_073_741_825, undefined],
  ['romio_no_indep_rw', true, 'true'],
  ['romio_no_indep_rw', 'TRUE', undefined],
  ['romio_no_indep_rw', '1', undefined],
  ['romio_ds_write', 'enable', 'disable'],
  ['ind_wr_buffer_size', 1, '1'],
  ['ind_wr_buffer_size', 1_073_741_824, '1073741824'],
  ['ind_wr_buffer_size', 1_073_741_825, undefined],
  ['ind_wr_buffer_size', 'x', undefined],
  ['access_style', 'read_once, sequential', 'read_once, sequential'],
  ['access_style', 'read_once,sometimes', undefined],
  ['nb_proc', 4, '4'],
  ['nb_proc', 131_072, '131072'],
  ['nb_proc', 131_073, undefined],
  ['nb_proc', 0, undefined],
  ['filename', '/other', undefined],
  ['num_io_nodes', 3, undefined],
  ['io_node_list', '0', undefined],
  ['romio_synchronized_flush', 'disabled', undefined],
  ['romio_visibility_immediate', 'false', undefined],
  ['romio_filesystem_type', 'UFS', undefined],
  ['rankio_operation_timeout', 1, '1'],
  ['rankio_operation_timeout', 0, undefined],
  ['rankio_operation_timeout', 2_147_483_647, '2147483647'],
  ['rankio_operation_timeout', 2_147_483_648, undefined],
  ['rankio_collective_timeout', 0, '0'],
  ['rankio_collective_timeout', 2_147_483_647, '2147483647'],
  ['rankio_collective_timeout', 2_147_483_648, undefined],
  ['rankio_direct', 'RW', 'rw'],
  ['rankio_direct', 'write', undefined],
  ['rankio_transport', 'stock', undefined],
  ['rankio_combine', 'Enable', 'enable'],
  ['rankio_combine', 'true', undefined],
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
  const info = {
    cb_block_size: 4096,
    chunked: '10,10',
    chunked_item: '8',
    chunked_size: '5,5',
    pfs_svr_buf: true,
    toString: 'x',
    constructor: 1,
  }
  assert.equal(acceptHints(info), {})
  assert.equal(acceptHints({}), {})
  assert.equal(acceptHints(undefined), {})
})

test('keys that objects have of their own are told as given in vain', () => {
  const info = { toString: 'x', constructor: '1', hasOwnProperty: 'y', cb_nodes: '2' }
  const { cb_nodes: _, ...vain } = info
  assert.equal(ignoredHints(info), vain)
})

test('what is no info, or too long, is an error', () => {
  for (const info of [null, 'cb_nodes=4', 7, new Map([['cb_nodes', '1']]), ['cb_nodes', '1']])
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

test('aggregators are as many as iods of the file or ranks; too many, or 0, mean all that may be', () => {
  const ranks = [0, 1, 2, 3, 4, 5, 6, 7]
  const count = (value: number | undefined): number =>
    aggregatorsOf(value === undefined ? {} : acceptHints({ cb_nodes: value }), ranks, 8, 3).length
  assert.equal([undefined, 0, 1, 7, 8, 9, 1000].map(count), [3, 8, 1, 7, 8, 8, 8])
  assert.equal(aggregatorsOf({}, [0, 1], 2, 3), [0, 1])
  assert.equal(aggregatorsOf({}, [5, 2, 7, 1], 8, 3), [5, 2, 7])
  assert.equal(aggregatorsOf(acceptHints({ cb_nodes: 0 }), [5, 2], 8, 3), [5, 2])
})

test('an open file takes no hints of its creation or its open', () => {
  const info = { striping_unit: 4096, cb_nodes: 2, cb_buffer_size: 4096, access_style: 'random' }
  assert.equal(changeable(acceptHints(info)), { cb_buffer_size: '4096', access_style: 'random' })
})

test('what is in force may be given again, and is in force again', () => {
  const first = hintsInForce(acceptHints({ cb_nodes: 3, romio_no_indep_rw: true }))
  const again = hintsInForce(acceptHints(first as Info))
  assert.equal(again, first)
})

test('a file of defaults is read as ROMIO reads it', () => {
  const directory = mkdtempSync(join(tmpdir(), 'hints-'))
  const path = join(directory, 'hints')
  const lines = [
    '# cb_nodes 7',
    'cb_buffer_size 4096',
    'cb_buffer_size 8192',
    '  romio_cb_write\tenable  ',
    'striping_unit',
    'unknown 1',
    `${'k'.repeat(257)} 1`,
    '',
  ]
  const expected = { cb_buffer_size: '4096', romio_cb_write: 'enable' }
  writeFileSync(path, lines.join('\n'))
  assert.equal(hintsOfEnvironment({ ROMIO_HINTS: path }), expected)
  // The limit: the first 4096 bytes.
  const filled = `${lines.join('\n')}#`.padEnd(4095 - 'cb_nodes 10'.length, 'x')
  writeFileSync(path, `${filled}\ncb_nodes 10`)
  assert.equal(hintsOfEnvironment({ ROMIO_HINTS: path }), { ...expected, cb_nodes: '10' })
  writeFileSync(path, `${filled}x\ncb_nodes 10`)
  assert.equal(hintsOfEnvironment({ ROMIO_HINTS: path }), { ...expected, cb_nodes: '1' })
  rmSync(directory, { recursive: true })
  assert.equal(hintsOfEnvironment({ ROMIO_HINTS: path }), {})
  assert.equal(hintsOfEnvironment({ ROMIO_HINTS: '' }), {})
  assert.equal(hintsOfEnvironment({}), {})
})

test('hints are printed only where that is asked for', () => {
  const info = { cb_nodes: '2', filename: '/f' }
  assert.is(printedHints(info, {}, {}), '')
  assert.is(printedHints(info, {}, { ROMIO_PRINT_HINTS: '0' }), '')
  const lines = 'key = cb_nodes  value = 2\nkey = filename  value = /f\n'
  assert.is(printedHints(info, undefined, { ROMIO_PRINT_HINTS: '1' }), lines)
  assert.is(printedHints(info, { cb_nodes: 2 }, { ROMIO_PRINT_HINTS: '1' }), lines)
})

test('a hints file that cannot be read is said where hints are printed, and nowhere else', () => {
  const missing = join(tmpdir(), 'rankio-no-such-directory', 'hints')
  for (const [path, code] of [
    [missing, 'ENOENT'],
    [tmpdir(), 'EISDIR'],
  ] as const) {
    const said = `not taken: ROMIO_HINTS ${JSON.stringify(path)}: it cannot be read (${code})\n`
    const env = { ROMIO_PRINT_HINTS: '1', ROMIO_HINTS: path }
    assert.is(printedHints({ cb_nodes: '2' }, {}, env), `key = cb_nodes  value = 2\n${said}`)
    assert.is(printedHints({ cb_nodes: '2' }, {}, { ROMIO_HINTS: path }), '')
  }
})

test('behind the hints in force stand those of program and file that were not taken', () => {
  const directory = mkdtempSync(join(tmpdir(), 'rankio-hints-'))
  const path = join(directory, 'hints')
  writeFileSync(path, 'cb_node 3\nconstructor 4\ncb_buffer_size 4096\nromio_cb_read sometimes\n')
  const given = { stripping_unit: 65_536, striping_unit: 65_537, filename: '/x', cb_nodes: 2 }
  assert.is(
    printedHints({ cb_nodes: '2' }, given, { ROMIO_PRINT_HINTS: '1', ROMIO_HINTS: path }),
    [
      'key = cb_nodes  value = 2',
      'not taken: key = cb_node  value = 3',
      'not taken: key = constructor  value = 4',
      'not taken: key = romio_cb_read  value = sometimes',
      'not taken: key = stripping_unit  value = 65536',
      'not taken: key = striping_unit  value = 65537',
      '',
    ].join('\n'),
  )
  rmSync(directory, { recursive: true })
})

test('the table of the documentation is the table of the code', () => {
  const readme = readFileSync(join(ROOT, 'lib/file/README.md'), 'utf8')
  const rows = Object.entries(HINTS).map(([key, { preset, same, taken, meaning }]) => [
    key,
    preset ?? '',
    same ? 'yes' : 'no',
    taken,
    meaning,
  ])
  assert.equal(tableUnder(readme, 'Hints'), rows)
})

test.run()
