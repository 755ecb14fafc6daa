// The tables of README.md: each test that they name is there, and every conformance test stands in the first.
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { tableUnder } from '../support/markdown.js'
import { ROOT } from '../support/repository.js'
import {
  childrenOf,
  childOf,
  parseSource,
  type SyntaxNode,
  textOf,
  walk,
} from '../support/source.js'

const test = suite('inventory of conformance tests')

const FOLDER = join(ROOT, 'test/file')

const README = readFileSync(join(FOLDER, 'README.md'), 'utf8')

/** A place in a table: a file, and what its test is called. */
interface Named {
  readonly path: string
  readonly name: string
}

/** What a test of a file may be called: the source of its name, and which names come of it. */
interface TestName {
  readonly source: string
  readonly pattern: RegExp
}

const ASSERTED = namedUnder('What is asserted')

const BAD_INPUT = namedUnder('Bad input')

test('each test that the tables name is in its file', () => {
  for (const { path, name } of [...ASSERTED, ...BAD_INPUT]) {
    const names = namesIn(path)
    assert.ok(
      names.some(({ pattern }) => pattern.test(name)),
      `${path} has no test "${name}"`,
    )
  }
})

test('every conformance test stands in the table', () => {
  const files = readdirSync(FOLDER).filter((file) => /^conformance-.*\.test\.ts$/.test(file))
  assert.ok(files.length >= 7)
  for (const path of files) {
    const listed = ASSERTED.filter((each) => each.path === path)
    for (const { source, pattern } of namesIn(path))
      assert.ok(
        listed.some(({ name }) => pattern.test(name)),
        `${path}: ${source} stands in no row`,
      )
  }
})

test('no row is said twice', () => {
  for (const heading of ['What is asserted', 'Bad input', 'What has no counterpart']) {
    const rows = tableUnder(README, heading).map((cells) => cells.join(' | '))
    assert.equal(rows, [...new Set(rows)], heading)
  }
})

function namedUnder(heading: string): Named[] {
  return tableUnder(README, heading).map((cells) => {
    const [, path = '', name = ''] = /^\[[^\]]+\]\(([^)]+)\): (.+)$/.exec(cells.at(-1) ?? '') ?? []
    assert.ok(path !== '', `${cells.join(' | ')} names no test`)
    return { path, name }
  })
}

/** The names of the tests of a file; of one without tests, the names of what it has for them. */
function namesIn(path: string): TestName[] {
  const source = parseSource(path, readFileSync(join(FOLDER, path), 'utf8'))
  const visits = [...walk(source.program)].map(({ node }) => node)
  const nodes = path.endsWith('.test.ts')
    ? visits.flatMap((node) => nameOf(node) ?? [])
    : visits.filter(({ type }) => type === 'Property').flatMap((node) => childOf(node, 'key') ?? [])
  return nodes.map((node) => ({
    source: source.text.slice(node.start, node.end),
    pattern: new RegExp(`^${patternOf(node)}$`),
  }))
}

/** The name in `test(name, …)`, and in helpers that are given the suite: `onTypes(test, name, …)`. */
function nameOf(node: SyntaxNode): SyntaxNode | undefined {
  if (node.type !== 'CallExpression') return undefined
  const [first, second] = childrenOf(node, 'arguments')
  if (textOf(childOf(node, 'callee')) === 'test') return first
  return textOf(first) === 'test' ? second : undefined
}

/** What is put into a name may be anything; a name that is not written here at all fits nothing. */
function patternOf(node: SyntaxNode): string {
  if (node.type === 'TemplateLiteral')
    return childrenOf(node, 'quasis')
      .map((quasi) => escaped(String((quasi['value'] as { cooked: string }).cooked)))
      .join('.*')
  return node.type === 'Literal' ? escaped(textOf(node) ?? '') : '(?!)'
}

function escaped(text: string): string {
  return text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')
}

test.run()
