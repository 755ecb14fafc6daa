// Sources as syntax trees, for tests that read the code: parsing, walking, imports, exports, comments.
// TypeScript 7 offers no parser to JavaScript, so this is oxc-parser's tree (ESTree with types).
import { dirname, join } from 'node:path/posix'
import { type Comment, parseSync } from 'oxc-parser'

/** One node of a syntax tree. */
export interface SyntaxNode {
  readonly type: string
  readonly start: number
  readonly end: number
  readonly [key: string]: unknown
}

/** A node and the way to it: the node above it and the property that holds it. */
export interface Visit {
  readonly node: SyntaxNode
  readonly parent: SyntaxNode | undefined
  readonly key: string
}

/** One parsed file. */
export interface Source {
  /** Relative to the repository, with forward slashes. */
  readonly path: string
  readonly text: string
  readonly program: SyntaxNode
  readonly comments: readonly Comment[]
}

/** One import of a module, static, dynamic, of a type, or a re-export. */
export interface Import {
  readonly specifier: string
  readonly start: number
}

/** One name that a module exports. */
export interface ExportedName {
  readonly name: string
  readonly isType: boolean
}

/** Parses a TypeScript or JavaScript file; a syntax error throws. */
export function parseSource(path: string, text: string): Source {
  const result = parseSync(path, text)
  const [error] = result.errors
  if (error !== undefined) throw new SyntaxError(`${path}: ${error.message}`)
  const { program, comments } = result
  if (!isNode(program)) throw new SyntaxError(`${path}: no syntax tree`)
  return { path, text, program, comments }
}

/** The 1-based line of a position. */
export function lineOf(source: Source, position: number): number {
  return source.text.slice(0, position).split('\n').length
}

/** All nodes beneath `root` and itself, outer ones first, in the order of the text. */
export function* walk(root: unknown, parent?: SyntaxNode, key: string = ''): Generator<Visit> {
  if (Array.isArray(root)) {
    for (const element of root) yield* walk(element, parent, key)
    return
  }
  if (!isNode(root)) return
  yield { node: root, parent, key }
  for (const [name, value] of Object.entries(root)) yield* walk(value, root, name)
}

/** The statements of a program or block. */
export function statementsOf(node: SyntaxNode): SyntaxNode[] {
  const body = node['body']
  return Array.isArray(body) ? body.filter(isNode) : []
}

/** A property of `node` that is a node itself. */
export function childOf(node: SyntaxNode | undefined, key: string): SyntaxNode | undefined {
  const child = node?.[key]
  return isNode(child) ? child : undefined
}

/** The elements of a property of `node` that is a list of nodes. */
export function childrenOf(node: SyntaxNode | undefined, key: string): SyntaxNode[] {
  const children = node?.[key]
  return Array.isArray(children) ? children.filter(isNode) : []
}

/** The name of an identifier, or the value of a string literal. */
export function textOf(node: SyntaxNode | undefined): string | undefined {
  const text = node?.type === 'Identifier' ? node['name'] : node?.['value']
  return typeof text === 'string' ? text : undefined
}

/** All imports of a file, those of types included. */
export function importsOf(source: Source): Import[] {
  const imports: Import[] = []
  for (const { node } of walk(source.program)) {
    const specifier = specifierOf(node)
    if (specifier !== undefined) imports.push({ specifier, start: node.start })
  }
  return imports
}

/** Where a relative import leads: the path of a source file. */
export function targetOf(source: Source, specifier: string): string {
  return join(dirname(source.path), specifier).replace(/\.js$/, '.ts')
}

/** The names that a module exports, sorted by name. */
export function exportedNamesOf(source: Source): ExportedName[] {
  const names: ExportedName[] = []
  for (const statement of statementsOf(source.program)) {
    if (statement.type !== 'ExportNamedDeclaration') continue
    const isType = statement['exportKind'] === 'type'
    for (const name of declaredNames(childOf(statement, 'declaration')))
      names.push({ name, isType })
    for (const specifier of childrenOf(statement, 'specifiers')) {
      const name = textOf(childOf(specifier, 'exported'))
      const kind = isType || specifier['exportKind'] === 'type'
      if (name !== undefined) names.push({ name, isType: kind })
    }
  }
  return names.sort((a, b) => (a.name < b.name ? -1 : 1))
}

/** The names that a declaration makes; none where there is no declaration. */
export function declaredNames(declaration: SyntaxNode | undefined): string[] {
  if (declaration === undefined) return []
  const makers =
    declaration.type === 'VariableDeclaration'
      ? childrenOf(declaration, 'declarations')
      : [declaration]
  return makers.map((maker) => textOf(childOf(maker, 'id'))).filter((name) => name !== undefined)
}

function specifierOf(node: SyntaxNode): string | undefined {
  switch (node.type) {
    case 'ImportDeclaration':
    case 'ExportNamedDeclaration':
    case 'ExportAllDeclaration':
    case 'ImportExpression':
      return textOf(childOf(node, 'source'))
    case 'TSImportType':
      return textOf(childOf(node, 'source') ?? childOf(node, 'argument'))
    default:
      return undefined
  }
}

function isNode(value: unknown): value is SyntaxNode {
  return typeof value === 'object' && value !== null && 'type' in value && 'start' in value
}
