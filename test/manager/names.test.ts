import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { LIMITS } from '../../lib/protocol/limits.js'
import { type PathErrno, parsePath, quote } from '../../servers/manager/names.js'
import { throws } from '../support/assertions.js'

const test = suite('names')

const GOOD: readonly (readonly [path: string, names: readonly string[], isDirectory?: boolean])[] =
  [
    ['/', [], true],
    ['//', [], true],
    ['////', [], true],
    ['/a', ['a']],
    ['a', ['a']],
    ['a/b', ['a', 'b']],
    ['/a/b/c', ['a', 'b', 'c']],
    ['/a/', ['a'], true],
    ['/a//', ['a'], true],
    ['//a///b//', ['a', 'b'], true],
    ['/...', ['...']],
    ['/..a', ['..a']],
    ['/a..', ['a..']],
    ['/.a', ['.a']],
    ['/a.', ['a.']],
    ['/. ', ['. ']],
    ['/ .', [' .']],
    ['/ ', [' ']],
    ['/ / ', [' ', ' ']],
    ['/~', ['~']],
    ['/-', ['-']],
    ['/--help', ['--help']],
    ['/*', ['*']],
    ['/?', ['?']],
    ['/a b', ['a b']],
    ['/a\tb', ['a\tb']],
    ['/a\nb', ['a\nb']],
    ['/a\rb', ['a\rb']],
    ['/\x1b[31m', ['\x1b[31m']],
    ['/\x7f', ['\x7f']],
    ['/\x01', ['\x01']],
    ['/a\\b', ['a\\b']],
    ['/..\\..\\etc', ['..\\..\\etc']],
    ['/C:\\windows', ['C:\\windows']],
    ['/a:b', ['a:b']],
    ['/"quoted"', ['"quoted"']],
    ["/'; rm -rf ~", ["'; rm -rf ~"]],
    ['/$(id)', ['$(id)']],
    ['/`id`', ['`id`']],
    ['/%2e%2e', ['%2e%2e']],
    ['/%2f', ['%2f']],
    ['/%00', ['%00']],
    ['/con', ['con']],
    ['/NUL', ['NUL']],
    ['/__proto__', ['__proto__']],
    ['/constructor', ['constructor']],
    ['/grüße', ['grüße']],
    ['/grüße', ['grüße']],
    ['/数据', ['数据']],
    ['/🦆', ['🦆']],
    ['/👩‍🔬', ['👩‍🔬']],
    ['/\u202egnp.exe', ['\u202egnp.exe']],
    ['/\ufeff', ['\ufeff']],
    ['/\u200b', ['\u200b']],
    ['/\u2024', ['\u2024']],
    ['/\u2025', ['\u2025']],
    ['/\uff0f', ['\uff0f']],
    ['/\u2028', ['\u2028']],
    ['/\ufffd', ['\ufffd']],
    ['/\u{10ffff}', ['\u{10ffff}']],
    [`/${'n'.repeat(LIMITS.nameBytes)}`, ['n'.repeat(LIMITS.nameBytes)]],
    [`/${'ü'.repeat(127)}n`, [`${'ü'.repeat(127)}n`]],
    [`/${'🦆'.repeat(63)}nnn`, [`${'🦆'.repeat(63)}nnn`]],
    ['/a'.repeat(LIMITS.pathDepth), Array.from({ length: LIMITS.pathDepth }, () => 'a')],
    [
      `${'/a'.repeat(LIMITS.pathDepth)}/`,
      Array.from({ length: LIMITS.pathDepth }, () => 'a'),
      true,
    ],
    [`${'/'.repeat(4095)}a`, ['a']],
    [
      `/${'n'.repeat(LIMITS.nameBytes)}`.repeat(16),
      Array.from({ length: 16 }, () => 'n'.repeat(LIMITS.nameBytes)),
    ],
  ]

const BAD: readonly (readonly [path: string, errno: PathErrno, message: string])[] = [
  ['', 'EINVAL', 'path "": it is empty'],
  ['.', 'EINVAL', 'path ".": a name must not be "."'],
  ['..', 'EINVAL', 'path "..": a name must not be ".."'],
  ['/.', 'EINVAL', 'path "/.": a name must not be "."'],
  ['/..', 'EINVAL', 'path "/..": a name must not be ".."'],
  ['./a', 'EINVAL', 'path "./a": a name must not be "."'],
  ['../a', 'EINVAL', 'path "../a": a name must not be ".."'],
  ['../../../etc/passwd', 'EINVAL', 'path "../../../etc/passwd": a name must not be ".."'],
  ['/a/../b', 'EINVAL', 'path "/a/../b": a name must not be ".."'],
  ['/a/./b', 'EINVAL', 'path "/a/./b": a name must not be "."'],
  ['/a/..', 'EINVAL', 'path "/a/..": a name must not be ".."'],
  ['/a/.', 'EINVAL', 'path "/a/.": a name must not be "."'],
  ['/a/../', 'EINVAL', 'path "/a/../": a name must not be ".."'],
  ['//..//', 'EINVAL', 'path "//..//": a name must not be ".."'],
  ['\0', 'EINVAL', 'path "\\u0000": it holds a NUL'],
  ['/a\0', 'EINVAL', 'path "/a\\u0000": it holds a NUL'],
  ['/a\0/../b', 'EINVAL', 'path "/a\\u0000/../b": it holds a NUL'],
  ['/\0a', 'EINVAL', 'path "/\\u0000a": it holds a NUL'],
  ['/\ud800', 'EINVAL', 'path "/\\ud800": it is not valid Unicode'],
  ['/\udfff', 'EINVAL', 'path "/\\udfff": it is not valid Unicode'],
  ['/\udc00\ud800', 'EINVAL', 'path "/\\udc00\\ud800": it is not valid Unicode'],
  ['/a\ud83e', 'EINVAL', 'path "/a\\ud83e": it is not valid Unicode'],
  ['/\ud83ex', 'EINVAL', 'path "/\\ud83ex": it is not valid Unicode'],
  [
    `/${'n'.repeat(LIMITS.nameBytes + 1)}`,
    'ENAMETOOLONG',
    'a name of 256 bytes, at most 255 are allowed',
  ],
  [`/${'ü'.repeat(128)}`, 'ENAMETOOLONG', 'a name of 256 bytes, at most 255 are allowed'],
  [`/a/${'🦆'.repeat(64)}/b`, 'ENAMETOOLONG', 'a name of 256 bytes, at most 255 are allowed'],
  ['/a'.repeat(LIMITS.pathDepth + 1), 'ENAMETOOLONG', '129 names, at most 128 are allowed'],
  [`${'/'.repeat(4096)}a`, 'ENAMETOOLONG', 'it is too long, at most 4096 bytes are allowed'],
  [`${'/'.repeat(4095)}ü`, 'ENAMETOOLONG', 'it is too long, at most 4096 bytes are allowed'],
  ['/'.repeat(1 << 20), 'ENAMETOOLONG', 'it is too long, at most 4096 bytes are allowed'],
]

test('every control character but NUL, and every byte that a shell or a browser knows, is a name like another', () => {
  const odd = Array.from({ length: 0x20 }, (_, code) => String.fromCharCode(code + 1))
  const marks = Array.from('!"#$%&\'()*+,-:;<=>?@[\\]^_`{|}~\x7f\x80\x9b')
  for (const name of [...odd, ...marks]) {
    assert.equal(parsePath(`/${name}`).names, [name])
    assert.equal(parsePath(`/a/x${name}y/b`).names, ['a', `x${name}y`, 'b'])
  }
})

test('a lone surrogate is refused wherever it stands, a pair is taken', () => {
  for (const lone of ['\ud800', '\udbff', '\udc00', '\udfff', '\udc00\ud800'])
    for (const path of [`/${lone}`, `/a${lone}`, `/${lone}b`, `/a/${lone}/b`, lone, `/x/${lone}/`])
      assert.is(throws(() => parsePath(path), 'MPI_ERR_BAD_FILE').context.errno, 'EINVAL')
  for (const pair of ['\ud800\udc00', '\udbff\udfff']) assert.equal(parsePath(pair).names, [pair])
})

for (const [path, names, isDirectory = false] of GOOD) {
  test(`${shortened(path)} is taken`, () => {
    assert.equal(parsePath(path), { text: path, names, isDirectory })
  })
}

for (const [path, errno, message] of BAD) {
  test(`${shortened(path)} is refused with ${errno}`, () => {
    const error = throws(() => parsePath(path), 'MPI_ERR_BAD_FILE')
    assert.is(error.context.errno, errno)
    assert.is(error.context.path, path)
    assert.ok(error.message.endsWith(message), error.message)
  })
}

for (const [text, shown] of [
  ['/a"b', '"/a\\"b"'],
  ['a\nb\r\t', '"a\\nb\\r\\t"'],
  ['\x1b[2J\x9b31m\x7f', '"\\u001b[2J\\u009b31m\\u007f"'],
  ['\u202egnp\u2028\u2029\ufeff', '"\\u202egnp\\u2028\\u2029\\ufeff"'],
  ['\u{e0041}', '"\\udb40\\udc41"'],
  ['\ud800', '"\\ud800"'],
  ['grüße 数据 🦆', '"grüße 数据 🦆"'],
  ['x'.repeat(201), `"${'x'.repeat(200)}…"`],
] as const) {
  test(`${shown.slice(0, 60)} is how that text is shown`, () => {
    assert.is(quote(text), shown)
  })
}

function shortened(path: string): string {
  return quote(path.length > 40 ? `${path.slice(0, 40)}… (${path.length})` : path)
}

test.run()
