import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { LIMITS } from '../../lib/protocol/limits.js'
import { checkGrown, iodtabHash, iodtabLine, parseIodtab } from '../../servers/manager/iodtab.js'
import { rejects, throws } from '../support/assertions.js'

const test = suite('iodtab')

test('lines become addresses in their order; comments, blanks and empty lines do not count', async () => {
  const text =
    '# iods of the lab\n\n  127.0.0.1:7301  # the first\r\n[::1]:7302\n\t/run/rankio/iod-2.sock\n#127.0.0.1:9\n'
  const entries = await parseIodtab(text, 'tab')
  assert.equal(entries.map(iodtabLine), ['127.0.0.1:7301', '[::1]:7302', '/run/rankio/iod-2.sock'])
  assert.equal([...(entries[0]?.hosts ?? [])], ['127.0.0.1'])
  assert.equal([...(entries[1]?.hosts ?? [])], ['::1'])
  assert.is(entries[2]?.hosts.size, 0)
})

test('a host name is resolved to all of its addresses', async () => {
  const [entry] = await parseIodtab('localhost:7301', 'tab')
  assert.ok(entry?.hosts.has('127.0.0.1') === true || entry?.hosts.has('::1') === true)
})

const REFUSED: readonly (readonly [string, string, RegExp])[] = [
  ['no iod at all', '# nothing\n\n', /^tab: it names no iod; write one line host:port for each$/],
  [
    'a host without a port',
    '127.0.0.1:7301\nhost\n',
    /^tab, line 2: "host" is neither host:port nor the path of a unix socket$/,
  ],
  ['a port beyond the last', 'host:65536', /^tab, line 1: "host:65536" is neither/],
  ['port 0', 'host:0', /^tab, line 1: "host:0" is neither/],
  ['two addresses in one line', '127.0.0.1:1 127.0.0.1:2', /^tab, line 1: .* is neither/],
  [
    'an iod twice',
    '127.0.0.1:7301\n#\n127.0.0.1:7301',
    /^tab, line 3: 127\.0\.0\.1:7301 stands on line 1 already$/,
  ],
  [
    'an unknown host',
    '127.0.0.1:1\nno-such-host.invalid:7301',
    /^tab, line 2: the host "no-such-host\.invalid" is not known$/,
  ],
]

for (const [what, text, message] of REFUSED) {
  test(`${what} is refused with its line`, async () => {
    assert.match((await rejects(parseIodtab(text, 'tab'), 'MPI_ERR_ARG')).message, message)
  })
}

test('as many iods as a file can name are taken, and one more is not', async () => {
  const lines = Array.from({ length: LIMITS.iods }, (_, index) => `/iod-${index}`)
  assert.is((await parseIodtab(lines.join('\n'), 'tab')).length, LIMITS.iods)
  const error = await rejects(parseIodtab([...lines, '/more'].join('\n'), 'tab'), 'MPI_ERR_ARG')
  assert.is(error.message, `tab: ${LIMITS.iods + 1} iods, at most ${LIMITS.iods} are possible`)
})

test('a table may grow at its end, and nothing else may change', () => {
  checkGrown([], ['a:1'], 'tab')
  checkGrown(['a:1', 'b:2'], ['a:1', 'b:2'], 'tab')
  checkGrown(['a:1', 'b:2'], ['a:1', 'b:2', 'c:3'], 'tab')
  const changes: readonly (readonly [readonly string[], RegExp])[] = [
    [['b:2', 'a:1'], /^tab: iod 0 was a:1 and is b:2 now; entries may be added at the end only$/],
    [['a:1'], /^tab: iod 1 was b:2 and is missing now/],
    [['a:1', 'c:3', 'b:2'], /^tab: iod 1 was b:2 and is c:3 now/],
    [[], /^tab: iod 0 was a:1 and is missing now/],
  ]
  for (const [lines, message] of changes) {
    assert.match(
      throws(() => checkGrown(['a:1', 'b:2'], lines, 'tab'), 'MPI_ERR_ARG').message,
      message,
    )
  }
})

test('the digest of a prefix is that of the shorter table, and knows order and bounds of lines', () => {
  const hash = iodtabHash(['a:1', 'b:2'])
  assert.is(iodtabHash(['a:1', 'b:2', 'c:3'], 2), hash)
  assert.is.not(iodtabHash(['b:2', 'a:1']), hash)
  assert.is.not(iodtabHash(['a:1b:2']), hash)
  assert.match(hash, /^[0-9a-f]{32}$/)
})

test.run()
