// What a test file promises to run, read from its syntax tree: suites that are declared but not run,
// tests that shut out others, and how many tests must run at least.
import {
  childOf,
  childrenOf,
  type Source,
  type SyntaxNode,
  statementsOf,
  textOf,
  walk,
} from './source.js'

/** A place where a test file does not run all that it holds. */
export interface SuiteFault {
  readonly start: number
  readonly message: string
}

/** Hooks of uvu: a failure in them ends green. */
const HOOKS: readonly (string | undefined)[] = ['before', 'after']

/** Everything in a test file by which a test may be left out unseen. */
export function suiteFaults(source: Source): SuiteFault[] {
  const faults: SuiteFault[] = []
  const named = new Set<SyntaxNode>()
  const suites = new Set<string | undefined>()
  for (const block of blocksOf(source)) {
    for (const { name, call } of suitesOf(block)) {
      named.add(call)
      suites.add(name)
      if (!statementsOf(block).some((statement) => methodCalled(statement, name) === 'run')) {
        faults.push({ start: call.start, message: `add ${name}.run() at the end of its block` })
      }
    }
  }
  for (const { node } of walk(source.program)) {
    if (isSuiteCall(node) && !named.has(node)) {
      faults.push({ start: node.start, message: 'give the suite a name: const test = suite(…)' })
    }
    const object = textOf(childOf(node, 'object'))
    const method = textOf(childOf(node, 'property'))
    if (node.type !== 'MemberExpression') continue
    if (method === 'only') {
      faults.push({ start: node.start, message: 'remove .only, it shuts out all other tests' })
    }
    if (HOOKS.includes(method) && suites.has(object)) {
      const message = `uvu swallows what ${method}() throws: set up in the body of the test`
      faults.push({ start: node.start, message })
    }
  }
  return faults
}

/** The tests written outside of loops and functions: so many must run at least, or be skipped by name. */
export function testsAtLeast(source: Source): number {
  const names = suitesOf(source.program).map(({ name }) => name)
  return statementsOf(source.program).filter((statement) => {
    const call = childOf(statement, 'expression')
    const callee = textOf(childOf(call, 'callee'))
    return call?.type === 'CallExpression' && callee !== undefined && names.includes(callee)
  }).length
}

function blocksOf(source: Source): SyntaxNode[] {
  return [...walk(source.program)]
    .map(({ node }) => node)
    .filter(({ type }) => ['Program', 'BlockStatement', 'FunctionBody'].includes(type))
}

function suitesOf(block: SyntaxNode): { name: string; call: SyntaxNode }[] {
  const declarators = statementsOf(block)
    .map((statement) => childOf(statement, 'declaration') ?? statement)
    .flatMap((declaration) => childrenOf(declaration, 'declarations'))
  return declarators.flatMap((declarator) => {
    const name = textOf(childOf(declarator, 'id'))
    const call = childOf(declarator, 'init')
    return name !== undefined && call !== undefined && isSuiteCall(call) ? [{ name, call }] : []
  })
}

function isSuiteCall(node: SyntaxNode): boolean {
  return node.type === 'CallExpression' && textOf(childOf(node, 'callee')) === 'suite'
}

/** The method that a statement `name.method()` calls. */
function methodCalled(statement: SyntaxNode, name: string): string | undefined {
  const callee = childOf(childOf(statement, 'expression'), 'callee')
  if (textOf(childOf(callee, 'object')) !== name) return undefined
  return textOf(childOf(callee, 'property'))
}
