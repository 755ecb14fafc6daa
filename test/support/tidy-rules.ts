// The rules of the house that a test enforces, as pure functions from a tree of files to problems.
// `test/tidy.test.ts` applies them to the repository, and each of them to a small bad sample.
import { dirname, join } from 'node:path/posix'
import { referencesOf } from './markdown.js'
import {
  childOf,
  childrenOf,
  declaredNames,
  type Import,
  importsOf,
  lineOf,
  parseSource,
  type Source,
  type SyntaxNode,
  statementsOf,
  targetOf,
  textOf,
  walk,
} from './source.js'
import { suiteFaults } from './suites.js'

/** A place that breaks a rule, and what to do about it. */
export interface Problem {
  readonly path: string
  readonly line: number
  readonly message: string
}

/** A document in Markdown. */
export interface Document {
  readonly path: string
  readonly text: string
}

/** What the rules look at. */
export interface Tree {
  readonly sources: readonly Source[]
  readonly documents: readonly Document[]
  /** Packages that an installation for use brings along: `dependencies` of package.json. */
  readonly dependencies: readonly string[]
  /** Whether a path, relative to the repository, is there as file or folder. */
  readonly exists: (path: string) => boolean
}

/** A rule: what it demands, and how its breaches are found. */
export interface Rule {
  readonly name: string
  readonly check: (tree: Tree) => Problem[]
}

/** The height of each layer of lib; imports point to a lower one or stay within their own. */
const LAYERS: Readonly<Record<string, number>> = {
  'lib/base': 0,
  'lib/datatype': 1,
  'lib/layout': 1,
  'lib/protocol': 2,
  'lib/transport': 3,
  'lib/driver': 4,
  'lib/comm': 4,
  'lib/access': 5,
  'lib/file': 6,
  'lib/index.ts': 7,
}

/** Servers see lib up to here: the wire and what lies below it, nothing of the client. */
const SERVER_HEIGHT_MAX = 3

/** The layers up to here are pure: no input or output, no operating system. */
const PURE_HEIGHT_MAX = 2

/** What an example may import: it shows the package as a user sees it. */
const EXAMPLE_IMPORTS = ['rankio', 'rankio/servers']

/** Packages that may stand in one place only, so that they can be replaced. */
const PLACES: Readonly<Record<string, RegExp>> = {
  ws: /^lib\/transport\/[^/]+\.ts$/,
  'p-retry': /^lib\/transport\/retry\.ts$/,
}

/** The one file of tests that may wait by a timer. */
const TIMER_FILE = 'test/support/assertions.ts'

/** The enforced rules, each with a bad sample in `test/tidy.test.ts`. */
export const RULES = [
  { name: 'imports point only down the layers', check: layerProblems },
  { name: 'packages are imported in their place only', check: packageProblems },
  { name: 'the pure layers import nothing of Node', check: purityProblems },
  { name: 'imports have no cycles, not even of types', check: cycleProblems },
  { name: 'tests do not sleep', check: sleepProblems },
  { name: 'every export has a doc comment', check: docProblems },
  { name: 'every suite runs', check: suiteProblems },
  { name: 'exports are named one by one', check: exportProblems },
  { name: 'nothing is left to do later', check: leftoverProblems },
  { name: 'links and paths in documents exist', check: linkProblems },
] as const satisfies readonly Rule[]

/** Parses files given as path and text; those that end in `.md` become documents. */
export function treeOf(
  files: Readonly<Record<string, string>>,
  dependencies: readonly string[] = [],
  exists: (path: string) => boolean = (path) => path in files,
): Tree {
  const entries = Object.entries(files).map(([path, text]) => ({ path, text }))
  return {
    sources: entries
      .filter(({ path }) => path.endsWith('.ts'))
      .map(({ path, text }) => parseSource(path, text)),
    documents: entries.filter(({ path }) => path.endsWith('.md')),
    dependencies,
    exists,
  }
}

function layerProblems({ sources }: Tree): Problem[] {
  return eachImport(sources, (source, { specifier }) => {
    const isInner = /^(lib|servers)\//.test(source.path)
    if (isInner && /^rankio(\/|$)/.test(specifier)) {
      return 'import the file by its relative path: the name of the package leads to index.ts'
    }
    if (source.path.startsWith('examples/')) {
      const isAllowed = EXAMPLE_IMPORTS.includes(specifier) || specifier.startsWith('node:')
      return isAllowed ? undefined : "an example imports only 'rankio', 'rankio/servers' and node:"
    }
    if (!specifier.startsWith('.')) return undefined
    return edgeProblem(source.path, targetOf(source, specifier))
  })
}

/** Why a file at `from` must not import the one at `to`, or undefined where it may. */
function edgeProblem(from: string, to: string): string | undefined {
  if (from.startsWith('lib/')) return libEdgeProblem(from, to)
  if (from.startsWith('servers/cli/')) {
    if (to.startsWith('servers/') || to === 'lib/index.ts') return undefined
    return serverEdgeProblem(to)
  }
  if (from.startsWith('servers/')) {
    if (to.startsWith('servers/cli/')) return 'servers must not import their command line'
    return to.startsWith('servers/') ? undefined : serverEdgeProblem(to)
  }
  const isLeaf = /^(examples|test\/(?!support\/))/.test(to)
  return from.startsWith('bench/') && isLeaf ? `bench must not import ${to}` : undefined
}

function libEdgeProblem(from: string, to: string): string | undefined {
  const height = LAYERS[layerOf(from)]
  const below = LAYERS[layerOf(to)]
  if (height === undefined) return `${layerOf(from)} is no layer: see LAYERS in tidy-rules.ts`
  if (below === undefined) return `lib must not import ${to}`
  if (layerOf(from) === layerOf(to) || below < height) return undefined
  return `${layerOf(from)} must not import ${layerOf(to)}: imports point down the layers`
}

function serverEdgeProblem(to: string): string | undefined {
  const height = LAYERS[layerOf(to)]
  if (height !== undefined && height <= SERVER_HEIGHT_MAX) return undefined
  return `servers must not import ${to}: of lib they see transport/ and what lies below it`
}

/** The folder directly beneath lib, or the file itself where it stands in no folder. */
function layerOf(path: string): string {
  return path.split('/').slice(0, 2).join('/')
}

function packageProblems({ sources, dependencies }: Tree): Problem[] {
  const product = sources.filter(({ path }) => /^(lib|servers)\//.test(path))
  return eachImport(product, (source, { specifier }) => {
    if (/^(\.|node:|rankio(\/|$))/.test(specifier)) return undefined
    const name = packageOf(specifier)
    const place = PLACES[name]
    if (place !== undefined && !place.test(source.path)) {
      return `${name} may be imported in ${place.source} only: go through lib/transport`
    }
    if (dependencies.includes(name)) return undefined
    return `${name} is none of "dependencies" in package.json`
  })
}

function packageOf(specifier: string): string {
  return specifier
    .split('/')
    .slice(0, specifier.startsWith('@') ? 2 : 1)
    .join('/')
}

function purityProblems({ sources }: Tree): Problem[] {
  const pure = sources.filter(({ path }) => {
    const height = LAYERS[layerOf(path)]
    const isShell = /^lib\/base\/[^/]+-node\.ts$/.test(path)
    return height !== undefined && height <= PURE_HEIGHT_MAX && !isShell
  })
  return eachImport(pure, (_, { specifier }) =>
    specifier.startsWith('node:')
      ? `no ${specifier} here: take it as an interface, its Node side is lib/base/…-node.ts`
      : undefined,
  )
}

function cycleProblems({ sources }: Tree): Problem[] {
  const byPath = new Map(sources.map((source) => [source.path, source]))
  const states = new Map<string, 'open' | 'done'>()
  const problems: Problem[] = []
  const visit = (source: Source, way: readonly string[]): void => {
    states.set(source.path, 'open')
    for (const { specifier, start } of importsOf(source)) {
      const target = specifier.startsWith('.') ? targetOf(source, specifier) : ''
      const next = byPath.get(target)
      if (states.get(target) === 'open') {
        const cycle = [...way.slice(way.indexOf(target)), target].join(' -> ')
        problems.push(problemAt(source, start, `break the cycle ${cycle}`))
      } else if (next !== undefined && !states.has(target)) {
        visit(next, [...way, target])
      }
    }
    states.set(source.path, 'done')
  }
  for (const source of sources) if (!states.has(source.path)) visit(source, [source.path])
  return problems
}

function sleepProblems({ sources }: Tree): Problem[] {
  const tests = sources.filter(({ path }) => path.startsWith('test/') && path !== TIMER_FILE)
  const message = `no timers in tests: use until() or deadline() of ${TIMER_FILE}`
  const imported = eachImport(tests, (_, { specifier }) =>
    /^(node:)?timers(\/promises)?$/.test(specifier) ? message : undefined,
  )
  const used = tests.flatMap((source) =>
    [...walk(source.program)]
      .filter(({ node, parent, key }) => isTimer(node) && !isPropertyName(parent, key))
      .map(({ node }) => problemAt(source, node.start, message)),
  )
  return [...imported, ...used]
}

function isTimer(node: SyntaxNode): boolean {
  if (node.type === 'Identifier') return /^set(Timeout|Interval)$/.test(textOf(node) ?? '')
  if (node.type !== 'MemberExpression') return false
  const isGlobal = /^global(This)?$/.test(textOf(childOf(node, 'object')) ?? '')
  return isGlobal && /^set(Timeout|Interval)$/.test(textOf(childOf(node, 'property')) ?? '')
}

/** Whether an identifier only names a property (`socket.setTimeout`) or an import, which is seen as such. */
function isPropertyName(parent: SyntaxNode | undefined, key: string): boolean {
  if (parent?.type === 'ImportSpecifier') return true
  return (key === 'property' || key === 'key') && parent?.['computed'] === false
}

function docProblems({ sources }: Tree): Problem[] {
  return sources
    .filter(({ path }) => /^(lib|servers|bench\/support|test\/support)\//.test(path))
    .flatMap((source) =>
      undocumented(source).map(({ node, name }) =>
        problemAt(source, node.start, `write a doc comment for ${name}`),
      ),
    )
}

/** Exported declarations without a doc comment; of an overloaded function only the first needs one. */
function undocumented(source: Source): { node: SyntaxNode; name: string }[] {
  const statements = statementsOf(source.program)
  const listed = statements
    .filter((statement) => statement.type === 'ExportNamedDeclaration')
    .filter((statement) => childOf(statement, 'source') === undefined)
    .flatMap((statement) => childrenOf(statement, 'specifiers'))
    .map((specifier) => textOf(childOf(specifier, 'local')))
  const seen = new Set<string>()
  return statements.flatMap((node) => {
    const exported = node.type === 'ExportNamedDeclaration'
    const names = declaredNames(childOf(node, 'declaration') ?? node)
    const [name] = names.filter((some) => exported || listed.includes(some))
    if (name === undefined || seen.has(name)) return []
    seen.add(name)
    return hasDoc(source, node) ? [] : [{ node, name }]
  })
}

function hasDoc(source: Source, node: SyntaxNode): boolean {
  return source.comments.some(
    ({ type, value, end }) =>
      type === 'Block' &&
      /^\*[\s*]*[^\s*]/.test(value) &&
      end <= node.start &&
      source.text.slice(end, node.start).trim() === '',
  )
}

function suiteProblems({ sources }: Tree): Problem[] {
  return sources
    .filter(({ path }) => path.startsWith('test/'))
    .flatMap((source) =>
      suiteFaults(source).map(({ start, message }) => problemAt(source, start, message)),
    )
}

function exportProblems({ sources }: Tree): Problem[] {
  return sources.flatMap((source) =>
    statementsOf(source.program).flatMap(({ type, start }) => {
      if (type === 'ExportDefaultDeclaration') {
        return [problemAt(source, start, 'export it by name, not as default')]
      }
      if (type !== 'ExportAllDeclaration') return []
      return [problemAt(source, start, 'list the names instead of export *')]
    }),
  )
}

function leftoverProblems({ sources, documents }: Tree): Problem[] {
  const message = 'do it now, or write it down where the work is planned'
  const words = /\b(TODO|FIXME|XXX)\b/
  const inSources = sources.flatMap((source) =>
    source.comments
      .filter(({ value }) => words.test(value))
      .map(({ start }) => problemAt(source, start, message)),
  )
  const inDocuments = documents.flatMap(({ path, text }) =>
    text
      .split('\n')
      .flatMap((line, index) => (words.test(line) ? [{ path, line: index + 1, message }] : [])),
  )
  return [...inSources, ...inDocuments]
}

function linkProblems({ documents, exists }: Tree): Problem[] {
  return documents.flatMap(({ path, text }) =>
    referencesOf(text).flatMap(({ target, line, kind }) => {
      const [file = ''] = target.split('#')
      const full = kind === 'path' ? join(file) : join(dirname(path), file)
      const isThere = exists(full.replace(/\/$/, ''))
      return isThere ? [] : [{ path, line, message: `${full} does not exist: correct the ${kind}` }]
    }),
  )
}

function eachImport(
  sources: readonly Source[],
  faultOf: (source: Source, imported: Import) => string | undefined,
): Problem[] {
  return sources.flatMap((source) =>
    importsOf(source).flatMap((imported) => {
      const message = faultOf(source, imported)
      return message === undefined ? [] : [problemAt(source, imported.start, message)]
    }),
  )
}

function problemAt(source: Source, position: number, message: string): Problem {
  return { path: source.path, line: lineOf(source, position), message }
}
