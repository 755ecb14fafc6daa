// Applies the enforced rules to the repository, and each rule to a sample that breaks it: a check that
// cannot fail is worth nothing.
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { manifestField, ROOT, repositoryFiles } from './support/repository.js'
import { RULES, type Tree, treeOf } from './support/tidy-rules.js'

interface Sample {
  readonly rule: (typeof RULES)[number]['name']
  readonly breaks: string
  readonly files: Readonly<Record<string, string>>
  /** Where the problem must be reported. */
  readonly at: string
}

const DOC = '/** A thing. */\n'

const BAD: readonly Sample[] = [
  {
    rule: 'imports point only down the layers',
    breaks: 'upwards',
    files: { 'lib/base/a.ts': "import { b } from '../layout/b.js'" },
    at: 'lib/base/a.ts:1',
  },
  {
    rule: 'imports point only down the layers',
    breaks: 'sideways',
    files: { 'lib/driver/a.ts': "\nimport type { C } from '../comm/c.js'" },
    at: 'lib/driver/a.ts:2',
  },
  {
    rule: 'imports point only down the layers',
    breaks: 'sideways by the type of an import',
    files: { 'lib/layout/a.ts': "type C = import('../datatype/c.js').C" },
    at: 'lib/layout/a.ts:1',
  },
  {
    rule: 'imports point only down the layers',
    breaks: 'lib to its index',
    files: { 'lib/file/a.ts': "export { b } from '../index.js'" },
    at: 'lib/file/a.ts:1',
  },
  {
    rule: 'imports point only down the layers',
    breaks: 'lib to the package by name',
    files: { 'lib/file/a.ts': "await import('rankio')" },
    at: 'lib/file/a.ts:1',
  },
  {
    rule: 'imports point only down the layers',
    breaks: 'lib to servers',
    files: { 'lib/file/a.ts': "import '../../servers/index.js'" },
    at: 'lib/file/a.ts:1',
  },
  {
    rule: 'imports point only down the layers',
    breaks: 'a folder that is no layer',
    files: { 'lib/misc/a.ts': "import '../base/b.js'" },
    at: 'lib/misc/a.ts:1',
  },
  {
    rule: 'imports point only down the layers',
    breaks: 'a server to the client',
    files: { 'servers/iod/a.ts': "import '../../lib/comm/c.js'" },
    at: 'servers/iod/a.ts:1',
  },
  {
    rule: 'imports point only down the layers',
    breaks: 'a server to the command line',
    files: { 'servers/iod/a.ts': "import '../cli/main.js'" },
    at: 'servers/iod/a.ts:1',
  },
  {
    rule: 'imports point only down the layers',
    breaks: 'the command line to the inside of the client',
    files: { 'servers/cli/a.ts': "import '../../lib/file/file.js'" },
    at: 'servers/cli/a.ts:1',
  },
  {
    rule: 'imports point only down the layers',
    breaks: 'an example to a file',
    files: { 'examples/a.ts': "import '../lib/index.js'" },
    at: 'examples/a.ts:1',
  },
  {
    rule: 'imports point only down the layers',
    breaks: 'a bench to a test',
    files: { 'bench/a.ts': "import '../test/run.js'" },
    at: 'bench/a.ts:1',
  },
  {
    rule: 'packages are imported in their place only',
    breaks: 'ws outside of the transport',
    files: { 'servers/common/a.ts': "import { WebSocket } from 'ws'" },
    at: 'servers/common/a.ts:1',
  },
  {
    rule: 'packages are imported in their place only',
    breaks: 'p-retry in another file of the transport',
    files: { 'lib/transport/a.ts': "import pRetry from 'p-retry'" },
    at: 'lib/transport/a.ts:1',
  },
  {
    rule: 'packages are imported in their place only',
    breaks: 'a package that is not declared',
    files: { 'servers/common/a.ts': "import x from '@scope/name/deep'" },
    at: 'servers/common/a.ts:1',
  },
  {
    rule: 'the pure layers import nothing of Node',
    breaks: 'a codec that reads files',
    files: { 'lib/protocol/a.ts': "import { readFileSync } from 'node:fs'" },
    at: 'lib/protocol/a.ts:1',
  },
  {
    rule: 'the pure layers import nothing of Node',
    breaks: 'the name of the exception in another layer',
    files: { 'lib/layout/a-node.ts': "import 'node:fs'" },
    at: 'lib/layout/a-node.ts:1',
  },
  {
    rule: 'imports have no cycles, not even of types',
    breaks: 'two files that import each other',
    files: {
      'lib/file/a.ts': "import { b } from './b.js'",
      'lib/file/b.ts': "\n\nimport type { a } from './a.js'",
    },
    at: 'lib/file/b.ts:3',
  },
  {
    rule: 'imports have no cycles, not even of types',
    breaks: 'a file that imports itself',
    files: { 'lib/file/a.ts': "import { b } from './a.js'" },
    at: 'lib/file/a.ts:1',
  },
  {
    rule: 'tests do not sleep',
    breaks: 'a sleep',
    files: { 'test/a.test.ts': '\nawait new Promise((done) => setTimeout(done, 10))' },
    at: 'test/a.test.ts:2',
  },
  {
    rule: 'tests do not sleep',
    breaks: 'a sleep of the global object',
    files: { 'test/support/a.ts': 'globalThis.setInterval(look, 10)' },
    at: 'test/support/a.ts:1',
  },
  {
    rule: 'tests do not sleep',
    breaks: 'a sleep by promise',
    files: { 'test/a.test.ts': "import { setTimeout as s } from 'node:timers/promises'" },
    at: 'test/a.test.ts:1',
  },
  {
    rule: 'every export has a doc comment',
    breaks: 'a function without one',
    files: { 'lib/base/a.ts': `${DOC}export const a = 1\nexport function b() {}` },
    at: 'lib/base/a.ts:3',
  },
  {
    rule: 'every export has a doc comment',
    breaks: 'an empty one',
    files: { 'servers/a.ts': '/** */\nexport type A = 1' },
    at: 'servers/a.ts:2',
  },
  {
    rule: 'every export has a doc comment',
    breaks: 'a plain comment',
    files: { 'bench/support/a.ts': '// A thing.\nexport class A {}' },
    at: 'bench/support/a.ts:2',
  },
  {
    rule: 'every export has a doc comment',
    breaks: 'a name that is exported by list',
    files: { 'test/support/a.ts': 'const a = 1\nexport { a }' },
    at: 'test/support/a.ts:1',
  },
  {
    rule: 'every suite runs',
    breaks: 'a suite that is never run',
    files: { 'test/a.test.ts': "const test = suite('a')\ntest('b', () => {})" },
    at: 'test/a.test.ts:1',
  },
  {
    rule: 'every suite runs',
    breaks: 'a suite in a loop, run by the name of another',
    files: {
      'test/a.test.ts': 'for (const a of all) {\n  const test = suite(a)\n}\nother.run()',
    },
    at: 'test/a.test.ts:2',
  },
  {
    rule: 'every suite runs',
    breaks: 'a suite without a name',
    files: { 'test/a.test.ts': "fill(suite('a'))" },
    at: 'test/a.test.ts:1',
  },
  {
    rule: 'every suite runs',
    breaks: 'a test that shuts out others',
    files: { 'test/a.test.ts': "const test = suite('a')\ntest.only('b', () => {})\ntest.run()" },
    at: 'test/a.test.ts:2',
  },
  {
    rule: 'every suite runs',
    breaks: 'a hook',
    files: { 'test/a.test.ts': "const test = suite('a')\ntest.before(setUp)\ntest.run()" },
    at: 'test/a.test.ts:2',
  },
  {
    rule: 'exports are named one by one',
    breaks: 'a default',
    files: { 'examples/a.ts': 'export default 1' },
    at: 'examples/a.ts:1',
  },
  {
    rule: 'exports are named one by one',
    breaks: 'a star',
    files: { 'lib/index.ts': "export * from './file/file.js'" },
    at: 'lib/index.ts:1',
  },
  {
    rule: 'nothing is left to do later',
    breaks: 'a comment',
    files: { 'lib/base/a.ts': '\n// TODO: more' },
    at: 'lib/base/a.ts:2',
  },
  {
    rule: 'nothing is left to do later',
    breaks: 'a document',
    files: { 'README.md': 'A\nFIXME' },
    at: 'README.md:2',
  },
  {
    rule: 'links and paths in documents exist',
    breaks: 'a link',
    files: { 'lib/README.md': '\n[text](base/none.ts#part)' },
    at: 'lib/README.md:2',
  },
  {
    rule: 'links and paths in documents exist',
    breaks: 'a path',
    files: { 'lib/README.md': 'see `lib/base/none.ts`' },
    at: 'lib/README.md:1',
  },
]

/** What comes near to a breach of a rule but is none. */
const GOOD: Readonly<Record<string, string>> = {
  'lib/base/a.ts': `${DOC}export function a(): void\nexport function a(b?: number): void {}`,
  'lib/base/a-node.ts': "import 'node:fs'",
  'lib/transport/retry.ts': "import pRetry from 'p-retry'\nimport '../protocol/c.js'",
  'lib/transport/websocket.ts': "import { WebSocket } from 'ws'",
  'lib/access/a.ts': "import '../driver/d.js'\nimport '../comm/c.js'",
  'lib/index.ts': "export { a } from './base/a.js'",
  'servers/cli/main.ts': "import '../index.js'\nimport '../../lib/index.js'",
  'servers/iod/a.ts': "import '../../lib/transport/rpc.js'\nimport { open } from 'lmdb'",
  'examples/a.ts': "import { a } from 'rankio'\nimport 'node:fs'",
  'test/a.test.ts': `import { suite } from 'uvu'
    socket.setTimeout(10)
    for (const a of all) {
      const test = suite(a)
      test('setTimeout()', () => {})
      test.run()
    }`,
  'test/support/assertions.ts': 'setTimeout(look, 10)',
  'README.md': `[a](lib/base/a.ts) [b](https://example.com/none) [c](#part) \`lib/base/a.ts\`
\`\`\`
[none](none.md)
\`\`\`
`,
}

const DEPENDENCIES = ['ws', 'p-retry', 'lmdb']

const test = suite('tidy')

const repository = repositoryTree()

test('the repository is read: sources, documents, dependencies', () => {
  const paths = repository.sources.map(({ path }) => path)
  assert.ok(paths.includes('test/tidy.test.ts'))
  assert.ok(paths.includes('lib/base/errors.ts'))
  assert.ok(repository.documents.some(({ path }) => path === 'test/README.md'))
  assert.ok(repository.dependencies.includes('ws'))
})

for (const { name, check } of RULES) {
  test(`${name}: in the repository`, () => {
    const problems = check(repository)
    assert.is(report(problems), '')
  })

  test(`${name}: what is near to a breach passes`, () => {
    assert.is(report(check(treeOf(GOOD, DEPENDENCIES))), '')
  })

  test(`${name}: has a sample that breaks it`, () => {
    assert.ok(BAD.some(({ rule }) => rule === name))
  })
}

for (const { rule, breaks, files, at } of BAD) {
  test(`${rule}: reports ${breaks}`, () => {
    const found = RULES.filter(({ name }) => name === rule)
      .flatMap(({ check }) => check(treeOf(files, DEPENDENCIES)))
      .map(({ path, line }) => `${path}:${line}`)
    assert.equal(found, [at])
  })
}

test.run()

function report(problems: readonly { path: string; line: number; message: string }[]): string {
  return problems.map(({ path, line, message }) => `${path}:${line}: ${message}`).join('\n')
}

function repositoryTree(): Tree {
  const files = repositoryFiles().filter((path) => /\.(ts|md)$/.test(path))
  const texts = files.map((path) => [path, readFileSync(join(ROOT, path), 'utf8')] as const)
  return treeOf(Object.fromEntries(texts), declaredDependencies(), (path) =>
    existsSync(join(ROOT, path)),
  )
}

function declaredDependencies(): string[] {
  const dependencies = manifestField('dependencies')
  return typeof dependencies === 'object' && dependencies !== null ? Object.keys(dependencies) : []
}
