// The tables of README.md: each test that they name is there, and every conformance test stands in the first.
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { FAMILIES } from './conformance/families.js'
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

const ASSERTED = namedUnder('What is asserted')

const BAD_INPUT = namedUnder('Bad input')

test('each test that the tables name is in its file', () => {
  for (const { path, name } of [...ASSERTED, ...BAD_INPUT])
    assert.ok(isIn(path, name), `${path} has no test "${name}"`)
})

test('every conformance case stands in the table', () => {
  for (const [family, cases] of Object.entries(FAMILIES)) {
    const rows = ASSERTED.filter(({ path }) => path === `conformance/${family}.ts`)
    for (const { name } of cases)
      assert.ok(
        rows.some((row) => isNamed(row.name, name)),
        `${family}: ${name} stands in no row`,
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

/** Whether a file has a test of this name, or a table has cases of it. */
function isIn(path: string, name: string): boolean {
  const [, family] = /^conformance\/(.+)\.ts$/.exec(path) ?? []
  if (family !== undefined) return (FAMILIES[family] ?? []).some((each) => isNamed(name, each.name))
  return namesIn(path).some((pattern) => pattern.test(name))
}

/** Whether a row means a case: its name may say more, behind a comma. */
function isNamed(row: string, name: string): boolean {
  return name === row || name.startsWith(`${row}, `)
}

/** What the tests of a file may be called. */
function namesIn(path: string): RegExp[] {
  const source = parseSource(path, readFileSync(join(FOLDER, path), 'utf8'))
  const nodes = [...walk(source.program)].flatMap(({ node }) => nameOf(node) ?? [])
  return nodes.map((node) => new RegExp(`^${patternOf(node)}$`))
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
