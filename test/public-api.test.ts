// The public surface as a user sees it: the names of both entries, the paths of package.json, and what
// the client path brings along. A change of a list here is a change that users can notice.
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { unlessMissing } from './support/optional.js'
import { manifestField, ROOT } from './support/repository.js'
import { exportedNamesOf, importsOf, parseSource, type Source, targetOf } from './support/source.js'

interface Entry {
  /** The name by which a program imports it. */
  readonly specifier: string
  readonly source: string
  readonly values: readonly string[]
  readonly types: readonly string[]
}

/** The public names, sorted. */
const ENTRIES: readonly Entry[] = [
  {
    specifier: 'rankio',
    source: 'lib/index.ts',
    values: [
      'Communicator',
      'Datatype',
      'ERRORS',
      'File',
      'FileHandle',
      'FileSystem',
      'HINTS',
      'IoError',
      'Mode',
      'REASONS',
      'initialize',
      'isIoError',
      'localRanks',
    ],
    types: [
      'Block',
      'BlockOptions',
      'BufferSpec',
      'ClientCounts',
      'Datarep',
      'Detour',
      'DirectChoice',
      'DirectCounts',
      'DirectOptions',
      'DirectoryName',
      'ErrorCode',
      'ErrorContext',
      'FileStat',
      'FileSystemSpace',
      'FileSystemStatus',
      'Finding',
      'FindingKind',
      'Group',
      'Info',
      'Layout',
      'LayoutOptions',
      'Offset',
      'OperationName',
      'ReadStreamOptions',
      'Reason',
      'Recovery',
      'ReduceOperation',
      'Status',
      'ViewSpec',
      'ViewState',
      'Whence',
      'WriteStreamOptions',
    ],
  },
  {
    specifier: 'rankio/servers',
    source: 'servers/index.ts',
    values: ['startCluster', 'startIod', 'startManager'],
    types: [
      'Cluster',
      'ClusterOptions',
      'IodStart',
      'ManagerStart',
      'RunningServer',
      'ServerName',
      'ServerStart',
    ],
  },
]

/** All that the client path may import besides itself and Node. */
const CLIENT_PACKAGES = ['p-retry', 'ws']

const test = suite('public API')

for (const { specifier, source, values, types } of ENTRIES) {
  const ifWritten = unlessMissing(test, missingSource(source))

  ifWritten(`${specifier} exports exactly the listed values and types`, () => {
    const names = exportedNamesOf(read(source))
    assert.equal(namesOf(names, false), values)
    assert.equal(namesOf(names, true), types)
  })

  ifWritten(`${specifier} can be imported by its name and has the listed values`, async () => {
    const entry: object = await import(specifier)
    assert.equal(Object.keys(entry).sort(), values)
  })
}

for (const { path, source } of publishedPaths()) {
  unlessMissing(test, missingSource(source))(`package.json: ${path} exists after the build`, () => {
    assert.ok(existsSync(join(ROOT, path)))
  })
}

test('package.json names paths for both entries and the command', () => {
  const sources = publishedPaths().map(({ source }) => source)
  for (const source of ['lib/index.ts', 'servers/index.ts', 'servers/cli/main.ts']) {
    assert.ok(sources.includes(source), source)
  }
})

test('the client path imports nothing but Node and its two packages', () => {
  const packages = reachableFrom('lib/index.ts')
    .flatMap(importsOf)
    .map(({ specifier }) => specifier)
    .filter((specifier) => !/^(\.|node:)/.test(specifier))
  const others = packages.filter((name) => !CLIENT_PACKAGES.includes(name))
  assert.equal(others, [])
})

test('the walk over imports follows re-exports and stops at each file once', () => {
  const paths = reachableFrom('lib/index.ts').map(({ path }) => path)
  assert.ok(paths.includes('lib/base/errors.ts'))
  assert.is(new Set(paths).size, paths.length)
})

test('the lock file holds no address of a registry', () => {
  const lock = readFileSync(join(ROOT, 'package-lock.json'), 'utf8')
  assert.not.match(lock, /"resolved"/)
})

test.run()

function namesOf(names: ReturnType<typeof exportedNamesOf>, isType: boolean): string[] {
  return names
    .filter((name) => name.isType === isType)
    .map(({ name }) => name)
    .sort()
}

function read(path: string): Source {
  return parseSource(path, readFileSync(join(ROOT, path), 'utf8'))
}

function missingSource(source: string): string | undefined {
  return existsSync(join(ROOT, source)) ? undefined : `${source} is not written yet`
}

/** Every file beneath the repository that an import of `path` loads, itself included. */
function reachableFrom(path: string): Source[] {
  const found = new Map<string, Source>()
  const visit = (name: string): void => {
    if (found.has(name)) return
    const source = read(name)
    found.set(name, source)
    for (const { specifier } of importsOf(source)) {
      if (specifier.startsWith('.')) visit(targetOf(source, specifier))
    }
  }
  visit(path)
  return [...found.values()]
}

/** The built paths that package.json promises, each with the source that it is built from. */
function publishedPaths(): { path: string; source: string }[] {
  return ['exports', 'bin']
    .flatMap((field) => stringsIn(manifestField(field)))
    .map((path) => path.replace(/^\.\//, ''))
    .map((path) => ({
      path,
      source: path.replace(/^dist\//, '').replace(/(\.d\.ts|\.js)$/, '.ts'),
    }))
}

function stringsIn(value: unknown): string[] {
  if (typeof value === 'string') return [value]
  if (typeof value !== 'object' || value === null) return []
  return Object.values(value).flatMap(stringsIn)
}
